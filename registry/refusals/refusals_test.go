package refusals

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quench-dev/quench/registry/use"
)

// kept keeps what is written.
type kept struct {
	mu   sync.Mutex
	all  []map[string]string
	fail error
}

func (k *kept) write(_ context.Context, all []*Sum) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail != nil {
		return k.fail
	}
	for _, s := range all {
		k.all = append(k.all, s.Details())
	}
	return nil
}

// A lone refusal is written within a second; of a flood that lasts an hour there is an
// event a minute for each reason, which together tell all of them.
func TestAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept
		r := New(k.write)
		r.Add("unknown", &use.Use{Client: "first"}, time.Now())
		time.Sleep(soon)
		synctest.Wait()
		if len(k.all) != 1 || k.all[0]["refusals"] != "1" || k.all[0]["client"] != "first" || k.all[0]["reason"] != "unknown" {
			t.Fatalf("after a second: %v", k.all)
		}
		began := time.Now()
		n := 0
		for time.Since(began) < time.Hour {
			for _, reason := range []string{"malformed", "unknown"} {
				r.Add(reason, &use.Use{Client: fmt.Sprint("c", n), Method: "GET"}, time.Now())
				n++
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		told := 0
		for _, e := range k.all[1:] {
			var one int
			fmt.Sscan(e["refusals"], &one)
			told += one
			if len(strings.Join([]string{e["client"], e["method"]}, "")) > 200 {
				t.Fatalf("an event grows with what is refused: %v", e)
			}
		}
		if told != n || len(k.all) > 1+2*61 || len(k.all) < 1+2*59 {
			t.Errorf("%d refusals are told in %d events; want %d in one a minute for each reason", told, len(k.all)-1, n)
		}
		if e := k.all[3]; !strings.Contains(e["client"], "and others in ") || e["method"] != "GET" || e["from"] == "" || e["from"] == e["to"] {
			t.Errorf("%v", e)
		}
		if r.Add("unknown", &use.Use{}, time.Now()) {
			t.Error("a refusal was taken after Close")
		}
	})
}

// What cannot be written is kept and tried again, and meanwhile nothing more is taken.
func TestAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := kept{fail: errors.New("full")}
		r := New(k.write)
		r.Add("unknown", &use.Use{Client: "a"}, time.Now())
		if err := r.Flush(context.Background()); err == nil {
			t.Fatal("written")
		}
		if r.Takes() || r.Add("unknown", &use.Use{}, time.Now()) {
			t.Error("a refusal was taken that nothing writes down")
		}
		r.Keep("unknown", &use.Use{Client: "b"}, time.Now())
		k.mu.Lock()
		k.fail = nil
		k.mu.Unlock()
		time.Sleep(2 * soon)
		synctest.Wait()
		if len(k.all) != 1 || k.all[0]["refusals"] != "2" || k.all[0]["client"] != "a, b" || !r.Takes() {
			t.Errorf("%v", k.all)
		}
		k.fail = errors.New("full")
		r.Add("unknown", &use.Use{}, time.Now())
		if err := r.Close(); err == nil || !strings.Contains(err.Error(), "1 refusals") {
			t.Errorf("%v", err)
		}
	})
}

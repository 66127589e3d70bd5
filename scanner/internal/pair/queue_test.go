package pair

import (
	"fmt"
	"io"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// thing is a half with what was joined to it; one without a rule is none.
type thing struct {
	Half
	With string
}

func queue() *Queue[thing] {
	return &Queue[thing]{
		Half: func(t *thing) (Half, bool) { return t.Half, t.Rule != "" },
		Join: func(s, p *thing) bool { s.With = fmt.Sprintf("%d:%d", p.Line, p.Column); return true },
	}
}

// In whatever pieces a text comes, its halves are joined as those of the whole text
// are, and what a later line can still belong to waits.
func TestQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []thing
		line := 1
		for i := range rapid.IntRange(0, 40).Draw(t, "n") {
			line += rapid.IntRange(0, 14).Draw(t, "gap")
			h := Half{Rule: "id", Line: line, Column: i}
			if rapid.Bool().Draw(t, "secret") {
				h.Rule, h.Partner = "secret", "id"
			}
			all = append(all, thing{Half: h})
		}
		q := queue()
		want := Join(slices.Clone(all), q.Half, q.Join)
		var got []thing
		for _, x := range all {
			if !q.Add(x) {
				t.Fatal("a half is none")
			}
			if rapid.Bool().Draw(t, "piece") {
				got = append(got, q.Take(x.Line-1)...) // more may come on this line
				if q.First() == nil {
					t.Fatal("the last one did not wait")
				}
			}
		}
		got = append(got, q.Take(All)...)
		if d := cmp.Diff(want, got); d != "" {
			t.Fatal(d)
		}
	})
	if q := queue(); q.Add(thing{}) || q.Take(All) != nil || q.First() != nil {
		t.Error("what is no half was taken")
	}
}

// A half is given once no other can be near it, not before, and never waits for the
// end of a text full of them.
func TestQueueLetsGo(t *testing.T) {
	q := queue()
	q.Add(thing{Half: Half{Rule: "id", Line: 5}})
	if got := q.Take(5 + Lines - 1); got != nil {
		t.Errorf("given with a line to come: %v", got)
	}
	if got := q.Take(5 + Lines); len(got) != 1 || q.First() != nil {
		t.Errorf("not given: %v", got)
	}
	n := 0
	for i := range 3 * maxHeld {
		q.Add(thing{Half: Half{Rule: "id", Line: i}})
		n += len(q.Take(i))
	}
	if n < 2*maxHeld {
		t.Errorf("%d of %d were given", n, 3*maxHeld)
	}
}

// A text that goes quiet says so after a while, once for each read.
func TestLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		var idle atomic.Int32 // it is called from a goroutine of its own
		l := Live{ReadCloser: r, Idle: func() { idle.Add(1) }}
		go func() {
			time.Sleep(Quiet / 2)
			_, _ = w.Write([]byte("a"))
			time.Sleep(2 * Quiet)
			_ = w.Close()
		}()
		b := make([]byte, 1)
		if _, err := l.Read(b); err != nil || idle.Load() != 0 {
			t.Errorf("%v, idle %d", err, idle.Load())
		}
		if _, err := l.Read(b); err != io.EOF || idle.Load() != 1 {
			t.Errorf("%v, idle %d", err, idle.Load())
		}
	})
}

package registry_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// TestReachChild is the other process of TestReach: for each line of its standard
// input, a kind and a number, it makes a change and tells "KIND ID TIME VALUE": the time
// in microseconds at which the change was acknowledged.
func TestReachChild(t *testing.T) {
	db := os.Getenv("QUENCH_TEST_REACH_DB")
	if db == "" {
		t.Skip("only as the child of TestReach")
	}
	r := open(t, place{db, os.Getenv("QUENCH_TEST_REACH_PEPPER")}.options())
	ctx := context.Background()
	var last registry.Token // imported last, the one to suspend and to revoke
	var value secret.Secret
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		kind, number, _ := strings.Cut(in.Text(), " ")
		n, err := strconv.Atoi(number)
		if err != nil {
			t.Fatal(err)
		}
		tok, v := last, value
		switch kind {
		case "issue", "hold":
			tok, v, err = r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "reach"})
		case "import":
			v = odd(n)
			tok, err = r.Import(ctx, registry.ImportRequest{Value: v, Owner: "ann", Purpose: "reach"})
			last, value = tok, v
		case "suspend":
			_, _, err = r.Do(ctx, registry.Suspend, tok.ID, registry.Change{})
		case "revoke":
			_, _, err = r.Do(ctx, registry.Revoke, tok.ID, registry.Change{})
		}
		at := time.Now().UnixMicro()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println(kind, tok.ID, at, string(v.Reveal()))
	}
}

// reachKinds are the changes, in the order in which one token can take them. "issue"
// counts until a scan finds the token, which is at once, as one of the own form is
// always asked for; "hold" until its fingerprint is in the set.
var reachKinds = []string{"issue", "hold", "import", "suspend", "revoke"}

// other is the process that makes changes.
type other struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

// newOther starts it; it is gone when the test ends.
func newOther(t testing.TB, p place) other {
	child := exec.Command(os.Args[0], "-test.run=^TestReachChild$")
	child.Env = append(os.Environ(), "QUENCH_TEST_REACH_DB="+p.db, "QUENCH_TEST_REACH_PEPPER="+p.pepper, storetest.Variable+"=")
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		_, _ = io.Copy(io.Discard, out)
		if err := child.Wait(); err != nil {
			t.Error("the other process:", err)
		}
	})
	return other{in, bufio.NewScanner(out)}
}

// change makes one, and returns the token's id, when it was acknowledged, and the value.
func (o other) change(t testing.TB, kind string, n int) (id string, at time.Time, value secret.Secret) {
	t.Helper()
	if _, err := fmt.Fprintln(o.in, kind, n); err != nil {
		t.Fatal(err)
	}
	if !o.out.Scan() {
		t.Fatalf("the other process ended at %s: %v", kind, o.out.Err())
	}
	f := strings.Fields(o.out.Text())
	if len(f) != 4 || f[0] != kind {
		t.Fatalf("the other process said %d words at %s", len(f), kind)
	}
	us, err := strconv.ParseInt(f[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return f[1], time.UnixMicro(us), secret.NewString(f[3])
}

// reach makes a change of each kind in the other process and returns how long after its
// acknowledgement the running set answers by it.
func reach(t testing.TB, o other, set *match.Set, n int) map[string]time.Duration {
	t.Helper()
	took := map[string]time.Duration{}
	for _, kind := range reachKinds {
		// At any moment between two looks of the set, and not just after one.
		<-time.After(time.Duration(rand.Int64N(int64(match.Every))))
		held := set.Len()
		id, at, value := o.change(t, kind, n)
		seen := func() bool {
			switch kind {
			case "hold":
				return set.Len() > held
			case "suspend":
				return state(set, value, id) == registry.Suspended
			case "revoke":
				return state(set, value, id) == registry.Revoked
			}
			return state(set, value, id) == registry.Live
		}
		for !seen() {
			// Ten times what is promised: this fails when nothing comes, not when
			// the machine is busy.
			if time.Since(at) > 10*time.Second {
				t.Fatalf("%s of %s did not reach the set in 10 s: %v", kind, id, set.Err())
			}
			<-time.After(time.Millisecond)
		}
		took[kind] = max(0, time.Since(at))
	}
	return took
}

// state is what the set says of a value, when it is the token id.
func state(set *match.Set, value secret.Secret, id string) string {
	if k, ok := set.Lookup(value.Reveal()); ok && k.ID == id {
		return k.State
	}
	return ""
}

// What another process issues, imports, suspends and revokes reaches a running set by
// itself.
func TestReach(t *testing.T) {
	p := newPlace(t)
	set := newMatch(t, open(t, p.options()))
	defer set.Close()
	o := newOther(t, p)
	took := reach(t, o, set, 0)
	for _, kind := range reachKinds {
		t.Logf("%s: %.1f ms after its acknowledgement", kind, float64(took[kind].Microseconds())/1000)
	}
	if err := set.Err(); err != nil {
		t.Error(err)
	}
}

// BenchmarkReach tells how long changes take to reach another process: b.N of each kind.
//
//	make bench-reach
func BenchmarkReach(b *testing.B) {
	for _, name := range []string{"sqlite", "postgres"} {
		b.Run(name, func(b *testing.B) {
			dir := b.TempDir()
			p := place{filepath.Join(dir, "state", "registry.db"), filepath.Join(dir, "config", "pepper")}
			if name == "postgres" {
				p.db = storetest.Postgres(b)
			}
			set := newMatch(b, open(b, p.options()))
			defer set.Close()
			o := newOther(b, p)
			all := map[string][]time.Duration{}
			for n := range b.N {
				for kind, d := range reach(b, o, set, n) {
					all[kind] = append(all[kind], d)
				}
			}
			for _, kind := range reachKinds {
				d := all[kind]
				slices.Sort(d)
				b.ReportMetric(float64(d[len(d)/2].Microseconds())/1000, kind+"-p50-ms")
				b.ReportMetric(float64(d[(len(d)-1)*99/100].Microseconds())/1000, kind+"-p99-ms")
				b.ReportMetric(float64(d[len(d)-1].Microseconds())/1000, kind+"-max-ms")
			}
		})
	}
}

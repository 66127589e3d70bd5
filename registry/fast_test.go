package registry_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// pair is a registry whose Verify is fast and one in which each use is a
// transaction, in step: the same tokens by index, at the same time.
type pair struct {
	clock       *clock
	fast, plain *registry.Registry
	other       *registry.Registry // the fast one's database, opened again as another process would
	ids         [2][]string
	values      [2][]secret.Secret
}

func newPair(t testing.TB) *pair {
	p := &pair{clock: &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}}
	where := where{netip.MustParseAddr("192.0.2.1"): "DE"}
	a, b := newPlace(t).options(), newPlace(t).options()
	a.Now, b.Now = p.clock.now, p.clock.now
	a.Countries, b.Countries, b.EachUse = where, where, true
	p.fast, p.plain, p.other = open(t, a), open(t, b), open(t, a)
	return p
}

// do runs f on both registries; on the fast one's database through either handle.
func (p *pair) do(elsewhere bool, f func(r *registry.Registry, which int) error) (fast, plain error) {
	r := p.fast
	if elsewhere {
		r = p.other
	}
	return f(r, 0), f(p.plain, 1)
}

// step makes one random change, and says what it was.
func (p *pair) step(t *rapid.T) string {
	ctx := context.Background()
	elsewhere := rapid.Bool().Draw(t, "elsewhere")
	i := -1
	if n := len(p.ids[0]); n > 0 {
		i = rapid.IntRange(0, n-1).Draw(t, "token")
	}
	act := rapid.SampledFrom([]string{"issue", "verify", "verify", "verify", "verify", "revoke", "suspend", "resume", "rotate", "wait", "flush", "pepper"}).Draw(t, "act")
	var fast, plain error
	switch {
	case act == "issue" || i < 0:
		act = "issue"
		q := registry.IssueRequest{Owner: "ann", Purpose: "tests", Scopes: []string{"read:a"},
			TTL:          rapid.SampledFrom([]time.Duration{time.Minute, time.Hour, 24 * time.Hour}).Draw(t, "ttl"),
			MaxUses:      rapid.SampledFrom([]int64{0, 0, 0, 3}).Draw(t, "uses"),
			Networks:     rapid.SampledFrom([][]string{nil, nil, {"192.0.2.0/30"}}).Draw(t, "networks"),
			Countries:    rapid.SampledFrom([][]string{nil, nil, {"DE"}}).Draw(t, "countries"),
			RotateWithin: rapid.SampledFrom([]time.Duration{0, 0, time.Second}).Draw(t, "rotate")}
		fast, plain = p.do(elsewhere, func(r *registry.Registry, k int) error {
			tok, value, err := r.Issue(ctx, q)
			p.ids[k], p.values[k] = append(p.ids[k], tok.ID), append(p.values[k], value)
			return err
		})
	case act == "verify":
		use := registry.Use{Scope: rapid.SampledFrom([]string{"", "read:a", "read:b"}).Draw(t, "scope")}
		if from := rapid.SampledFrom([]string{"", "192.0.2.1", "192.0.2.2", "203.0.113.1"}).Draw(t, "from"); from != "" {
			use.Address = netip.MustParseAddr(from)
		}
		var got [2]registry.Verdict
		fast, plain = p.do(elsewhere, func(r *registry.Registry, k int) (err error) {
			got[k], err = r.Verify(ctx, p.values[k][i], use)
			return err
		})
		if a, b := got[0], got[1]; a.Reason != b.Reason || a.Valid != b.Valid || a.Token.ID != p.ids[0][i] {
			t.Fatalf("token %d for %+v: fast %s, plain %s", i, use, a.Reason, b.Reason)
		}
		act += " " + got[1].Reason
	case act == "rotate":
		q := registry.RotateRequest{Overlap: rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(t, "overlap")}
		fast, plain = p.do(elsewhere, func(r *registry.Registry, k int) error {
			tok, value, err := r.Rotate(ctx, p.ids[k][i], q)
			if err == nil {
				p.ids[k], p.values[k] = append(p.ids[k], tok.ID), append(p.values[k], value)
			}
			return err
		})
	case act == "wait":
		p.clock.move(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, time.Hour, 25 * time.Hour}).Draw(t, "wait"))
	case act == "flush":
		fast = p.fast.Flush(ctx)
	case act == "pepper":
		if rapid.IntRange(0, 9).Draw(t, "rarely") == 0 {
			fast, plain = p.do(elsewhere, func(r *registry.Registry, _ int) error { _, err := r.RotatePepper(ctx); return err })
		}
	default:
		fast, plain = p.do(elsewhere, func(r *registry.Registry, k int) error {
			_, _, err := r.Do(ctx, registry.Action(act), p.ids[k][i], registry.Change{Reason: "test"})
			return err
		})
	}
	if (fast == nil) != (plain == nil) {
		t.Fatalf("%s: fast %v, plain %v", act, fast, plain)
	}
	return act
}

// Verify by what is at hand answers as Verify by a transaction does, whatever
// happens between, in this process or another; and leaves the same counts.
func TestFastIsPlain(t *testing.T) {
	if storetest.OnPostgres() { // the same draws, on a store whose opening takes most of the time
		checks := flag.Lookup("rapid.checks")
		was := checks.Value.String()
		checks.Value.Set("30")
		defer checks.Value.Set(was)
	}
	outcomes := map[string]int{}
	rapid.Check(t, func(rt *rapid.T) {
		p := newPair(t)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			outcomes[p.step(rt)]++
		}
		ctx := context.Background()
		for _, r := range []*registry.Registry{p.fast, p.other} {
			if err := r.Flush(ctx); err != nil {
				rt.Fatal(err)
			}
		}
		for i := range p.ids[0] {
			a, err := p.fast.Token(ctx, p.ids[0][i])
			if err != nil {
				rt.Fatal(err)
			}
			b, err := p.plain.Token(ctx, p.ids[1][i])
			if err != nil {
				rt.Fatal(err)
			}
			if a.Uses != b.Uses || !a.LastUsedAt.Equal(b.LastUsedAt) || a.State != b.State {
				rt.Fatalf("token %d: fast %d uses, last %v, %s; plain %d, %v, %s", i, a.Uses, a.LastUsedAt, a.State, b.Uses, b.LastUsedAt, b.State)
			}
			if a, b := told(t, p.fast, a.ID), told(t, p.plain, b.ID); !reflect.DeepEqual(a, b) {
				rt.Fatalf("token %d: the log has fast %v, plain %v", i, a, b)
			}
		}
		for _, r := range []*registry.Registry{p.other, p.fast, p.plain} {
			r.Close()
		}
	})
	if testing.Short() { // too few tries to meet all
		return
	}
	for _, want := range []string{"verify valid", "verify revoked", "verify expired", "verify suspended", "verify out_of_scope", "verify wrong_network", "verify wrong_country"} {
		if outcomes[want] == 0 {
			t.Errorf("nothing tested %q: %v", want, outcomes)
		}
	}
}

// told counts what a token's audit events tell, by kind.
func told(t testing.TB, r *registry.Registry, id string) map[string]int {
	n := map[string]int{}
	err := r.Audit().Each(context.Background(), 0, id, func(e audit.Entry) error {
		uses, err := strconv.Atoi(e.Details["uses"])
		if err != nil {
			uses = 1
		}
		n[e.Kind] += uses
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A revocation that returned is seen by the next Verify, under load.
func TestRevocationIsSeenAtOnce(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r, other := open(t, p.options()), open(t, p.options())
	for i := range 20 {
		tok, value := issue(t, r, registry.IssueRequest{})
		for range 3 {
			if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
				t.Fatal(v, err)
			}
		}
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						r.Verify(ctx, value, registry.Use{})
					}
				}
			})
		}
		by := []*registry.Registry{r, other}[i%2]
		if _, _, err := by.Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
			t.Error(err)
		}
		for range 100 {
			if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Valid {
				t.Errorf("after the revocation: %v, %v", v.Reason, err)
				break
			}
		}
		close(stop)
		wg.Wait()
	}
}

// A token's uses of a second are one event, which tells them all.
func TestUsesTogether(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	watch := &seen{r: r}
	r.Observe(watch)
	tok, value := issue(t, r, registry.IssueRequest{Scopes: []string{"read:**"}})
	for i := range 31 { // the first one is alone
		use := registry.Use{Scope: fmt.Sprintf("read:x%d", i%12), Method: "GET", Address: netip.MustParseAddr("192.0.2.1")}
		if v, err := r.Verify(ctx, value, use); err != nil || !v.Valid || v.Token.Uses != int64(i+1) {
			t.Fatal(v, err)
		}
		if i == 20 {
			c.move(time.Second)
		}
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var got []map[string]string
	err := r.Audit().Each(ctx, 0, tok.ID, func(e audit.Entry) error {
		if e.Kind == "token.use" {
			got = append(got, e.Details)
		}
		return nil
	})
	if err != nil || len(got) != 2 || got[0]["uses"] != "20" || got[1]["uses"] != "10" || got[0]["second"] != "2026-05-01T12:00:00Z" || got[1]["second"] != "2026-05-01T12:00:01Z" {
		t.Fatalf("%v, %v", got, err)
	}
	if s := got[0]["scope"]; !strings.HasPrefix(s, "read:x1, read:x2, ") || !strings.HasSuffix(s, "read:x8, and others in 4 uses") || got[0]["method"] != "GET" || got[0]["address"] != "192.0.2.1" {
		t.Errorf("%v", got[0])
	}
	if len(watch.all) != 31 {
		t.Errorf("the observer was told of %d uses", len(watch.all))
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

// While uses cannot be written down, none is answered; and none is lost.
func TestUsesThatCannotBeWritten(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	r := open(t, o)
	watch := &seen{r: r}
	r.Observe(watch)
	tok, value := issue(t, r, registry.IssueRequest{})
	for range 5 {
		if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
			t.Fatal(v, err)
		}
	}
	watch.fail = sql.ErrConnDone
	if err := r.Flush(ctx); err == nil {
		t.Fatal("uses were written that could not be")
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err == nil {
		t.Errorf("answered %v, with nothing that writes it down", v.Reason)
	}
	watch.fail = nil
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("%v, %v: a use can be written again", v, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := open(t, o).Token(ctx, tok.ID)
	if err != nil || again.Uses != 6 {
		t.Errorf("%d uses, %v; want 6", again.Uses, err)
	}
}

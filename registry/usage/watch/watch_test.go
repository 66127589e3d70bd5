package watch_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/country"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/scanner/secret"
)

var ctx = context.Background()

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

var start = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func open(t testing.TB) (*registry.Registry, *clock) {
	t.Helper()
	dir := t.TempDir()
	c := &clock{at: start}
	r, err := registry.Open(ctx, registry.Options{Path: storetest.Address(t, filepath.Join(dir, "state", "registry.db")), Create: true,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "config", "pepper")}, Actor: "tester", Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r, c
}

// places is a database of two addresses.
type places map[string]string

func (p places) Find(a netip.Addr) (string, country.Point, bool) {
	iso, ok := p[a.String()]
	return iso, country.Point{}, ok
}

var world = places{"192.0.2.1": "DE", "203.0.113.9": "BR"}

func newWatch(t testing.TB, r *registry.Registry, o watch.Options) *watch.Watch {
	t.Helper()
	if o.Countries == nil {
		o.Countries = world
	}
	w, err := watch.New(r, o)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func issue(t testing.TB, r *registry.Registry) *registry.Token {
	t.Helper()
	tok, _, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "test", Scopes: []string{"read:items"}, TTL: 300 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return &tok
}

func use(tok *registry.Token, at time.Time, addr string) watch.Use {
	return watch.Use{Token: tok, Event: usage.Event{At: at, Scope: "read:items", Endpoint: "GET /items", Address: netip.MustParseAddr(addr)}}
}

// fortnight is a token's quiet use.
func fortnight(tok *registry.Token) (uses []watch.Use) {
	for h := range 14 * 24 {
		uses = append(uses, use(tok, start.Add(time.Duration(h)*time.Hour), "192.0.2.1"))
	}
	return uses
}

func feed(t testing.TB, w *watch.Watch, uses ...watch.Use) []watch.Told {
	t.Helper()
	told, err := w.Feed(ctx, uses, nil)
	if err != nil {
		t.Fatal(err)
	}
	return told
}

func list(t testing.TB, w *watch.Watch) []alert.Alert {
	t.Helper()
	all, err := w.List(ctx, alert.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What Verify decides reaches the watch, and a thief's use is an alert in the same
// transaction.
func TestVerifyFeedsTheWatch(t *testing.T) {
	r, c := open(t)
	w := newWatch(t, r, watch.Options{})
	r.Observe(w)
	tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "test", Scopes: []string{"read:items"}, TTL: 300 * 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(u registry.Use) {
		t.Helper()
		if _, err := r.Verify(ctx, value, u); err != nil {
			t.Fatal(err)
		}
		c.move(6 * time.Hour)
	}
	at := registry.Use{Scope: "read:items", Address: netip.MustParseAddr("192.0.2.1"), Method: "GET", Endpoint: "/v1/items/17?token=x", Agent: "curl/8"}
	for range 60 {
		verify(at)
	}
	away := at
	away.Address = netip.MustParseAddr("203.0.113.9")
	verify(away)
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{Reason: "test"}); err != nil {
		t.Fatal(err)
	}
	verify(at)
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, a := range list(t, w) {
		kinds = append(kinds, a.Kind)
		if a.TokenID != tok.ID || a.Owner != "ann" || a.Advice == "" || a.Details["address"] == "" {
			t.Errorf("%+v", a)
		}
	}
	if got := strings.Join(kinds, " "); got != "usage.new_country usage.after_revocation" {
		t.Errorf("alerts: %s", got)
	}
	s, err := w.State(ctx, tok.ID)
	if err != nil {
		t.Fatal(err)
	}
	if sum := s.Summary(c.now(), &usage.Policy{}); sum.Events != 62 || sum.Refusals != 1 || sum.Endpoints.Known[0].Name != "GET /v1/items/{}" || sum.Agents.Known[0].Name != "curl" {
		t.Errorf("%+v", sum)
	}
}

// A batch that is undone leaves neither state nor alert, and comes again as new.
func TestUndoneTogether(t *testing.T) {
	r, c := open(t)
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	feed(t, w, fortnight(tok)...)
	c.move(15 * 24 * time.Hour)
	away := use(tok, c.now(), "203.0.113.9")
	broken := errors.New("broken")
	if _, err := w.Feed(ctx, []watch.Use{away}, func(*sql.Tx) error { return broken }); !errors.Is(err, broken) {
		t.Fatal(err)
	}
	if n := len(list(t, w)); n != 0 {
		t.Fatalf("%d alerts of what never happened", n)
	}
	if told := feed(t, w, away); len(told) != 1 || told[0].Finding.Signal != usage.NewCountry {
		t.Errorf("%+v", told)
	}
	if all := list(t, w); len(all) != 1 || !all[0].At.Equal(away.At.Truncate(time.Microsecond)) {
		t.Errorf("%+v", all)
	}
}

func TestMute(t *testing.T) {
	r, c := open(t)
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	feed(t, w, fortnight(tok)...)
	c.move(15 * 24 * time.Hour)
	mute := watch.Mute{TokenID: tok.ID, Signal: usage.NewCountry, Until: c.now().Add(time.Hour), Reason: "ann travels"}
	if err := w.Mute(ctx, mute); err != nil {
		t.Fatal(err)
	}
	if all, err := w.Mutes(ctx); err != nil || len(all) != 1 || all[0].Actor != "tester" {
		t.Fatalf("%+v, %v", all, err)
	}
	if told := feed(t, w, use(tok, c.now(), "203.0.113.9")); len(told) != 0 {
		t.Errorf("%+v", told)
	}
	c.move(2 * time.Hour)
	if all, _ := w.Mutes(ctx); len(all) != 0 {
		t.Errorf("it has not run out: %+v", all)
	}
	u := use(tok, c.now(), "192.0.2.1")
	u.Country = "JP"
	if told := feed(t, w, u); len(told) != 1 {
		t.Errorf("%+v", told)
	}
	for _, bad := range []watch.Mute{{TokenID: tok.ID, Signal: "x", Until: c.now().Add(time.Hour)}, {TokenID: "nonenonone", Signal: usage.Burst, Until: c.now().Add(time.Hour)},
		{Signal: usage.Burst, Until: c.now().AddDate(3, 0, 0)}} {
		if err := w.Mute(ctx, bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	// For all tokens, and ended by hand.
	mute.TokenID, mute.Until = "", c.now().Add(time.Hour)
	w.Mute(ctx, mute)
	mute.Until = c.now()
	if err := w.Mute(ctx, mute); err != nil {
		t.Fatal(err)
	}
	if all, _ := w.Mutes(ctx); len(all) != 0 {
		t.Errorf("%+v", all)
	}
}

// By policy a signal suspends the token, in the same transaction; not a protected
// one, and not for what an old log tells.
func TestSuspend(t *testing.T) {
	for _, c := range []struct {
		name      string
		suspend   []usage.Signal
		protected bool
		age       time.Duration
		want      string
	}{
		{"by policy", []usage.Signal{usage.Burst, usage.NewCountry}, false, 0, registry.Suspended},
		{"not by default", nil, false, 0, registry.Live},
		{"another signal", []usage.Signal{usage.Burst}, false, 0, registry.Live},
		{"protected", []usage.Signal{usage.NewCountry}, true, 0, registry.Live},
		{"an old log", []usage.Signal{usage.NewCountry}, false, 48 * time.Hour, registry.Live},
	} {
		r, clock := open(t)
		w, tok := newWatch(t, r, watch.Options{Policy: usage.Policy{Suspend: c.suspend}, Protected: func(*registry.Token) bool { return c.protected }}), issue(t, r)
		feed(t, w, fortnight(tok)...)
		clock.move(15*24*time.Hour + c.age)
		told := feed(t, w, use(tok, clock.now().Add(-c.age), "203.0.113.9"))
		now, err := r.Token(ctx, tok.ID)
		if err != nil || now.State != c.want || len(told) != 1 || told[0].Suspended != (c.want == registry.Suspended) {
			t.Errorf("%s: %s, %+v, %v", c.name, now.State, told, err)
		}
	}
}

// A damaged state is told and learned anew; one of a newer program is left as it is.
func TestUnreadableState(t *testing.T) {
	r, _ := open(t)
	w, tok := newWatch(t, r, watch.Options{}), issue(t, r)
	set := func(b []byte) {
		t.Helper()
		err := r.Store().InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE usage_states SET state = ?", b)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	feed(t, w, use(tok, start, "192.0.2.1"))
	set([]byte{1, 2, 3})
	feed(t, w, use(tok, start, "192.0.2.1"))
	if s, err := w.State(ctx, tok.ID); err != nil || s.Events != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	set([]byte{200, 1})
	feed(t, w, use(tok, start, "192.0.2.1"))
	feed(t, w, use(tok, start, "192.0.2.1"))
	if _, err := w.State(ctx, tok.ID); !errors.Is(err, usage.ErrNewer) {
		t.Errorf("it was written over: %v", err)
	}
	if all := list(t, w); len(all) != 2 || all[0].Kind != "usage.state" {
		t.Errorf("%+v", all)
	}
}

// BenchmarkFeed is whole batches into the database: 1,000 tokens, 5,000 events a
// transaction.
func BenchmarkFeed(b *testing.B) {
	r, _ := open(b)
	w := newWatch(b, r, watch.Options{})
	var tokens []*registry.Token
	for range 1000 {
		tokens = append(tokens, issue(b, r))
	}
	uses := make([]watch.Use, 5000)
	n := 0
	for b.Loop() {
		for i := range uses {
			tok := tokens[(n*7+n/1000)%len(tokens)]
			uses[i] = use(tok, start.Add(time.Duration(n)*300*time.Millisecond), "192.0.2.1")
			uses[i].Endpoint = fmt.Sprintf("GET /items/%c", 'a'+n%11)
			n++
		}
		if _, err := w.Feed(ctx, uses, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkVerify is Verify of random tokens of 10,000, watched and not: what the
// watch costs. Uses are written down each second, with the states they changed.
func BenchmarkVerify(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			dir := b.TempDir()
			r, err := registry.Open(ctx, registry.Options{Path: filepath.Join(dir, "state", "registry.db"), Create: true, Pepper: registry.PepperSource{File: filepath.Join(dir, "config", "pepper")}})
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			if watched {
				r.Observe(newWatch(b, r, watch.Options{}))
			}
			var values []secret.Secret
			for range 10_000 {
				_, value, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "bench", Scopes: []string{"read:items"}})
				if err != nil {
					b.Fatal(err)
				}
				values = append(values, value)
			}
			u := registry.Use{Scope: "read:items", Address: netip.MustParseAddr("192.0.2.1"), Method: "GET", Endpoint: "/items/17", Agent: "curl/8"}
			for _, v := range values { // first uses are transactions of their own
				if _, err := r.Verify(ctx, v, u); err != nil {
					b.Fatal(err)
				}
			}
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
			i := 0
			for b.Loop() {
				if _, err := r.Verify(ctx, values[i*7919%len(values)], u); err != nil {
					b.Fatal(err)
				}
				i++
			}
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "verifies/s")
		})
	}
}

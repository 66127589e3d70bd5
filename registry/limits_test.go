package registry_test

import (
	"context"
	"database/sql"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
)

func TestNetworks(t *testing.T) {
	r := open(t, newPlace(t).options())
	for _, tc := range []struct {
		network, from string // "" is an address not known
		want          string
	}{
		{"10.0.0.0/8", "10.255.255.255", registry.ReasonValid},
		{"10.0.0.0/8", "11.0.0.0", registry.ReasonWrongNetwork},
		{"10.0.0.0/8", "::ffff:10.0.0.1", registry.ReasonValid},
		{"::ffff:10.0.0.0/104", "10.0.0.1", registry.ReasonValid},
		{"::ffff:10.0.0.1", "10.0.0.1", registry.ReasonValid},
		{"10.0.0.0/8", "", registry.ReasonWrongNetwork},
		{"0.0.0.0/0", "", registry.ReasonWrongNetwork},
		{"0.0.0.0/0", "2001:db8::1", registry.ReasonWrongNetwork},
		{"fe80::/10", "fe80::1%eth0", registry.ReasonValid},
		{"2001:db8::1", "2001:db8::2", registry.ReasonWrongNetwork},
	} {
		_, value := issue(t, r, registry.IssueRequest{Networks: []string{tc.network}})
		var from netip.Addr
		if tc.from != "" {
			from = netip.MustParseAddr(tc.from)
		}
		if v, err := r.Verify(context.Background(), value, registry.Use{Address: from}); err != nil || v.Reason != tc.want {
			t.Errorf("%s from %q: %v, %v; want %s", tc.network, tc.from, v.Reason, err, tc.want)
		}
	}
	for _, bad := range []registry.IssueRequest{
		{Networks: []string{""}}, {Networks: []string{"10.0.0.1/8"}}, {Networks: []string{"10.0.0.0/33"}}, {Networks: []string{"fe80::1%eth0"}},
		{Networks: make([]string, 257)}, {MaxUses: -1}, {RotateWithin: -1}, {RotateWithin: time.Hour, TTL: time.Hour},
	} {
		bad.Owner, bad.Purpose = "ann", "tests"
		if _, _, err := r.Issue(context.Background(), bad); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad, err)
		}
	}
}

// Of many at once, by two processes, exactly MaxUses pass.
func TestMaxUsesUnderRace(t *testing.T) {
	p := newPlace(t)
	a := open(t, p.options())
	tok, value := issue(t, a, registry.IssueRequest{MaxUses: 7, Scopes: []string{"read:a"}})
	b := open(t, p.options())
	if v, err := a.Verify(context.Background(), value, registry.Use{Scope: "read:b"}); err != nil || v.Reason != registry.ReasonOutOfScope {
		t.Fatalf("a refusal: %v, %v", v.Reason, err)
	}
	var passed, used atomic.Int64
	var wg sync.WaitGroup
	for i := range 24 {
		r := []*registry.Registry{a, b}[i%2]
		wg.Go(func() {
			switch v, err := r.Verify(context.Background(), value, registry.Use{}); {
			case err != nil:
				t.Error(err)
			case v.Valid:
				passed.Add(1)
			case v.Reason == registry.ReasonUsedUp:
				used.Add(1)
			}
		})
	}
	wg.Wait()
	if passed.Load() != 7 || used.Load() != 17 {
		t.Errorf("%d passed and %d were used up, want 7 and 17", passed.Load(), used.Load())
	}
	n := 0
	for _, k := range kinds(t, a, tok.ID) {
		if k == "token.first_use" || k == "token.use" {
			n++
		}
	}
	if n != 7 {
		t.Errorf("%d uses are audited, want 7", n)
	}
}

func TestOverdueUseIsToldOnceADay(t *testing.T) {
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{RotateWithin: 7 * 24 * time.Hour})
	for _, step := range []struct {
		move time.Duration
		told int
	}{
		{7*24*time.Hour - time.Microsecond, 0}, {time.Microsecond, 1}, {24*time.Hour - time.Microsecond, 1}, {time.Microsecond, 2},
		{-time.Hour, 3}, // a clock set back
	} {
		c.move(step.move)
		if v, err := r.Verify(context.Background(), value, registry.Use{}); err != nil || !v.Valid {
			t.Fatalf("%v: %+v, %v", c.now(), v, err)
		}
		n := len(slices.DeleteFunc(kinds(t, r, tok.ID), func(k string) bool { return k != "token.overdue_use" }))
		if n != step.told {
			t.Errorf("%v: told %d times, want %d", c.now(), n, step.told)
		}
		alerts, err := alert.List(context.Background(), r.Store().Reader(), alert.Filter{TokenID: tok.ID, Kind: "token.overdue_use"})
		if err != nil || len(alerts) != step.told {
			t.Errorf("%v: %d alerts, %v; want %d", c.now(), len(alerts), err, step.told)
		}
	}
}

// A successor has the limits of the old token, and no more uses than were left.
func TestLimitsAreInherited(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	old, value := issue(t, r, registry.IssueRequest{Networks: []string{"192.0.2.0/24"}, MaxUses: 3, RotateWithin: 24 * time.Hour})
	if _, err := r.Verify(ctx, value, registry.Use{Address: netip.MustParseAddr("192.0.2.1")}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Overlap: time.Hour}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("an overlap: %v, want ErrInvalid", err)
	}
	next, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if next, err = r.Token(ctx, next.ID); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(next.Networks, old.Networks) || next.MaxUses != 2 || next.RotateBy.Sub(next.CreatedAt) != 24*time.Hour {
		t.Errorf("the successor has %+v", next.Limits)
	}
	short, _, err := r.Rotate(ctx, next.ID, registry.RotateRequest{TTL: time.Hour})
	if err != nil || !short.RotateBy.IsZero() {
		t.Errorf("a successor that expires before its rotation: %+v, %v", short.Limits, err)
	}
}

// where answers from a map, as a country database does.
type where map[netip.Addr]string

func (w where) Lookup(a netip.Addr) (string, bool) { iso, ok := w[a]; return iso, ok }

// A token bound to countries is refused from others, and from where nobody knows.
func TestCountries(t *testing.T) {
	o := newPlace(t).options()
	o.Countries = where{netip.MustParseAddr("192.0.2.1"): "DE", netip.MustParseAddr("192.0.2.2"): "US"}
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{Countries: []string{"de", "AT", "DE"}})
	if !slices.Equal(tok.Countries, []string{"AT", "DE"}) {
		t.Errorf("countries are %v", tok.Countries)
	}
	for _, tc := range []struct{ from, country, want string }{
		{"192.0.2.1", "", registry.ReasonValid}, {"192.0.2.2", "", registry.ReasonWrongCountry}, {"192.0.2.3", "", registry.ReasonWrongCountry},
		{"", "", registry.ReasonWrongCountry}, {"", "at", registry.ReasonValid}, {"192.0.2.2", "DE", registry.ReasonValid},
		{"192.0.2.1", "US", registry.ReasonWrongCountry}, {"::ffff:192.0.2.1", "", registry.ReasonValid},
	} {
		use := registry.Use{Country: tc.country}
		if tc.from != "" {
			use.Address = netip.MustParseAddr(tc.from)
		}
		if v, err := r.Verify(context.Background(), value, use); err != nil || v.Reason != tc.want {
			t.Errorf("from %q in %q: %v, %v; want %s", tc.from, tc.country, v.Reason, err, tc.want)
		}
	}
	if _, err := r.Verify(context.Background(), value, registry.Use{Country: "Germany"}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("no country: %v", err)
	}
	if _, _, err := r.Issue(context.Background(), registry.IssueRequest{Owner: "ann", Purpose: "tests", Countries: []string{"UK"}}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("issued for UK: %v", err)
	}
	next, _, err := r.Rotate(context.Background(), tok.ID, registry.RotateRequest{})
	if err != nil || !slices.Equal(next.Countries, tok.Countries) {
		t.Errorf("the successor is good from %v, %v", next.Countries, err)
	}
}

// seen is an Observer that suspends a token of another owner's use.
type seen struct {
	r    *registry.Registry
	all  []registry.Decided
	fail error
}

func (s *seen) Observe(ctx context.Context, tx *sql.Tx, uses []registry.Decided) (func(), error) {
	for _, u := range uses {
		if u.Use.Agent == "thief" {
			if _, _, err := s.r.DoTx(ctx, tx, registry.Suspend, u.Token.ID, registry.Change{Reason: "a thief"}); err != nil {
				return nil, err
			}
		}
	}
	return func() { s.all = append(s.all, uses...) }, s.fail
}

// What an observer does is part of the use: on disk with it, or not at all.
func TestObserver(t *testing.T) {
	r := open(t, newPlace(t).options())
	o := &seen{r: r}
	r.Observe(o)
	ctx := context.Background()
	tok, value := issue(t, r, registry.IssueRequest{Scopes: []string{"read:a"}})
	o.fail = errors.New("no space")
	if _, err := r.Verify(ctx, value, registry.Use{}); !errors.Is(err, o.fail) {
		t.Errorf("a use that cannot be observed: %v", err)
	}
	if again, err := r.Token(ctx, tok.ID); err != nil || again.Uses != 0 || len(o.all) != 0 {
		t.Errorf("it counts: %d uses, %d told, %v", again.Uses, len(o.all), err)
	}
	o.fail = nil
	use := registry.Use{Scope: "read:b", Method: "GET", Endpoint: "/v1/items?key=hidden", Agent: "curl/8"}
	for _, want := range []string{registry.ReasonOutOfScope, registry.ReasonValid, registry.ReasonSuspended} {
		if v, err := r.Verify(ctx, value, use); err != nil || v.Reason != want {
			t.Errorf("%+v: %v, %v; want %s", use, v.Reason, err, want)
		}
		use.Scope, use.Agent = "read:a", "thief"
	}
	if len(o.all) != 3 || o.all[0].Token.ID != tok.ID || o.all[0].Use.Endpoint != "/v1/items" || o.all[2].Reason != registry.ReasonSuspended {
		t.Errorf("told: %+v", o.all)
	}
}

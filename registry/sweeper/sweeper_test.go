package sweeper_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/sweeper"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/scanner/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Both{M: m}, goleak.IgnoreCurrent()) }

const day = 24 * time.Hour

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// clock stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time   { c.mu.Lock(); defer c.mu.Unlock(); return c.at }
func (c *clock) set(at time.Time) { c.mu.Lock(); defer c.mu.Unlock(); c.at = at }

type fixture struct {
	*registry.Registry
	clock *clock
	o     registry.Options
}

func newRegistry(t *testing.T) fixture {
	t.Helper()
	dir := t.TempDir()
	f := fixture{clock: &clock{at: start}}
	f.o = registry.Options{Path: storetest.Address(t, filepath.Join(dir, "state", "registry.db")), Create: true, Actor: "tester", Now: f.clock.now,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "config", "pepper")}}
	f.Registry = f.open(t)
	return f
}

func (f fixture) open(t *testing.T) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), f.o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func (f fixture) issue(t *testing.T, q registry.IssueRequest) (registry.Token, secret.Secret) {
	t.Helper()
	q.Owner, q.Purpose = "ann", "tests"
	tok, value, err := f.Issue(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return tok, value
}

// events are the warnings of a token in the audit log, alerts those in the outbox.
func (f fixture) events(t *testing.T, id string) (events, alerts []string) {
	t.Helper()
	err := f.Audit().Each(t.Context(), 0, id, func(e audit.Entry) error {
		if strings.HasSuffix(e.Kind, "_due") || strings.HasSuffix(e.Kind, "_passed") {
			events = append(events, strings.TrimSuffix(e.Kind+" "+e.Details["before"], " "))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, err := alert.List(t.Context(), f.Store().Reader(), alert.Filter{TokenID: id})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		if a.Owner != "ann" {
			t.Errorf("alert %s is for %q", a.Kind, a.Owner)
		}
		alerts = append(alerts, a.Title[strings.Index(a.Title, ")")+2:])
	}
	return events, alerts
}

func TestSweepWarnsOnceOfEach(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t)
	tok, _ := r.issue(t, registry.IssueRequest{TTL: 30 * day, RotateWithin: 20 * day})
	short, _ := r.issue(t, registry.IssueRequest{TTL: time.Hour})
	gone, _ := r.issue(t, registry.IssueRequest{TTL: 30 * day})
	if _, _, err := r.Do(ctx, registry.Revoke, gone.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at   time.Duration
		want int // warnings
	}{
		{0, 0}, {time.Hour - time.Second, 0}, {time.Hour, 1}, {13*day - time.Second, 0}, {13 * day, 1}, {13 * day, 0}, {19 * day, 1},
		{20*day - time.Hour, 1}, {20 * day, 1}, {23 * day, 1},
		{22 * day, 0},               // the clock is set back, and nothing is told again
		{30*day - 2*time.Minute, 1}, // two were missed, the latest is told
		{31 * day, 1}, {40 * day, 0},
	} {
		r.clock.set(start.Add(step.at))
		if got, err := sweeper.Sweep(ctx, r.Registry); err != nil || len(got) != step.want {
			t.Errorf("after %v: %d warnings, %v; want %d", step.at, len(got), err, step.want)
		}
	}
	events, alerts := r.events(t, tok.ID)
	if want := []string{"token.rotation_due 168h0m0s", "token.rotation_due 24h0m0s", "token.rotation_due 1h0m0s", "token.rotation_passed",
		"token.expiry_due 168h0m0s", "token.expiry_due 1h0m0s", "token.expiry_passed"}; !slices.Equal(events, want) {
		t.Errorf("events %q, want %q", events, want)
	}
	if want := []string{"is to be rotated within a week", "is to be rotated within a day", "is to be rotated within an hour", "was to be rotated and has not been",
		"expires within a week", "expires within an hour", "has expired"}; !slices.Equal(alerts, want) {
		t.Errorf("alerts %q, want %q", alerts, want)
	}
	if got, _ := r.events(t, short.ID); !slices.Equal(got, []string{"token.expiry_passed"}) {
		t.Errorf("of a short token: %q", got)
	}
	if got, _ := r.events(t, gone.ID); got != nil {
		t.Errorf("of a revoked token: %q", got)
	}
}

// A rotated token needs no rotation, and its end is an alert only while it is used.
func TestSweepOfRotated(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t)
	for _, used := range []bool{false, true} {
		r.clock.set(start)
		tok, value := r.issue(t, registry.IssueRequest{TTL: 30 * day, RotateWithin: 20 * day})
		r.clock.set(start.Add(12 * day))
		if _, _, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{Overlap: day}); err != nil {
			t.Fatal(err)
		}
		r.clock.set(start.Add(12*day + time.Minute))
		if _, err := sweeper.Sweep(ctx, r.Registry); err != nil {
			t.Fatal(err)
		}
		if used {
			if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
				t.Fatal(v, err)
			}
		}
		r.clock.set(start.Add(13*day - time.Minute))
		if _, err := sweeper.Sweep(ctx, r.Registry); err != nil {
			t.Fatal(err)
		}
		events, alerts := r.events(t, tok.ID)
		if want := []string{"token.expiry_due 24h0m0s", "token.expiry_due 1h0m0s"}; !slices.Equal(events, want) {
			t.Errorf("events %q, want %q", events, want)
		}
		var want []string
		if used {
			want = []string{"expires within an hour"}
		}
		if !slices.Equal(alerts, want) {
			t.Errorf("used %v: alerts %q, want %q", used, alerts, want)
		}
	}
}

// What was imported is looked at when its first warning is due and no sooner, however
// many there are, and what has no deadline never.
func TestSweepOfImported(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t)
	lives := []time.Duration{0, 30 * day, 7 * day, time.Hour, time.Microsecond} // 0: Vault alone knows
	const n = 240                                                               // of each
	var qs []registry.ImportRequest
	for _, life := range lives {
		for range n {
			qs = append(qs, registry.ImportRequest{Value: secret.NewString(values.Random(24)), Owner: "ann", Purpose: "tests", Provider: "vault", TTL: life})
		}
	}
	f, err := findable.NewFinder()
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.PrepareImport(qs, f)
	if err == nil {
		err = r.StoreAll(ctx, all, nil, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		at      time.Duration
		visited int
		next    time.Duration // after start, 0 is never
	}{
		{0, 0, time.Microsecond},
		{time.Microsecond, n, time.Hour},
		{time.Hour - time.Microsecond, 0, time.Hour},
		{time.Hour, n, 6 * day},
		{6 * day, n, 7*day - time.Hour},
		{7*day - time.Hour, n, 7 * day},
		{7 * day, n, 23 * day},
		{23 * day, n, 29 * day},
		{29 * day, n, 30*day - time.Hour},
		{30*day - time.Hour, n, 30 * day},
		{30 * day, n, 0},
		{400 * day, 0, 0},
	} {
		r.clock.set(start.Add(step.at))
		var list []registry.Token
		err := r.Store().InTx(ctx, func(tx *sql.Tx) (err error) { list, err = r.Unswept(ctx, tx, len(qs)); return err })
		if err != nil || len(list) != step.visited {
			t.Errorf("after %v: %d tokens to look at, %v; want %d", step.at, len(list), err, step.visited)
		}
		got, err := sweeper.Sweep(ctx, r.Registry)
		if err != nil || len(got) != step.visited {
			t.Errorf("after %v: %d warnings, %v; want %d", step.at, len(got), err, step.visited)
		}
		next, err := r.NextSweep(ctx)
		if err != nil || next.IsZero() != (step.next == 0) || step.next != 0 && next != start.Add(step.next) {
			t.Errorf("after %v: next at %v, %v; want %v", step.at, next, err, start.Add(step.next))
		}
	}
}

// What is suspended is not warned of, and is made up for when it is resumed.
func TestSweepOfSuspended(t *testing.T) {
	ctx := t.Context()
	r := newRegistry(t)
	tok, _ := r.issue(t, registry.IssueRequest{TTL: 30 * day})
	if _, _, err := r.Do(ctx, registry.Suspend, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	r.clock.set(start.Add(29*day + time.Hour))
	if got, err := sweeper.Sweep(ctx, r.Registry); err != nil || got != nil {
		t.Fatalf("suspended: %v, %v", got, err)
	}
	if _, _, err := r.Do(ctx, registry.Resume, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	if got, err := sweeper.Sweep(ctx, r.Registry); err != nil || len(got) != 1 {
		t.Errorf("resumed: %v, %v", got, err)
	}
}

// runUntil runs with a clock that sleeping moves, until the clock is at end, and tells
// when each warning was given.
func (f fixture) runUntil(t *testing.T, end time.Time, each func()) (at []time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	sweeper.Run(ctx, f.Registry, sweeper.Options{
		Warned: func(all []registry.Due) {
			for range all {
				at = append(at, f.clock.now().Sub(start))
			}
		},
		Trouble: func(err error) { t.Error(err); cancel() },
		Sleep: func(_ context.Context, d time.Duration) {
			if f.clock.set(f.clock.now().Add(d)); !f.clock.now().Before(end) {
				cancel()
			}
			each()
		},
	})
	return at
}

// Warnings come at their moment, those that were missed at the start, and those of
// tokens that another process issued meanwhile, too.
func TestRunIsExact(t *testing.T) {
	r := newRegistry(t)
	r.issue(t, registry.IssueRequest{TTL: 90*time.Minute + 250*time.Millisecond})
	r.clock.set(start.Add(40 * time.Minute)) // nothing ran for so long
	late := false
	got := r.runUntil(t, start.Add(2*time.Hour), func() {
		if !late && r.clock.now().After(start.Add(45*time.Minute)) {
			late = true
			o := fixture{Registry: r.open(t)}
			o.issue(t, registry.IssueRequest{TTL: 3 * time.Second})
		}
	})
	want := []time.Duration{40 * time.Minute, 45*time.Minute + 3*time.Second + 250*time.Millisecond, 90*time.Minute + 250*time.Millisecond}
	if len(got) != 3 || got[0] != want[0] || (got[1]-want[1]).Abs() > time.Second || got[2] != want[2] {
		t.Errorf("warned after %v, want %v", got, want)
	}
}

// Processes that sweep one database together tell each warning once.
func TestRunTogether(t *testing.T) {
	r := newRegistry(t)
	for range 40 {
		r.issue(t, registry.IssueRequest{TTL: 8 * day})
	}
	r.clock.set(start.Add(day))
	var mu sync.Mutex
	told := map[string]int{}
	var wg sync.WaitGroup
	for range 3 {
		other := r.open(t)
		wg.Go(func() {
			ctx, cancel := context.WithCancel(t.Context())
			sweeper.Run(ctx, other, sweeper.Options{
				Warned: func(all []registry.Due) {
					mu.Lock()
					defer mu.Unlock()
					for _, d := range all {
						told[d.Token.ID]++
					}
				},
				Trouble: func(err error) { t.Error(err); cancel() },
				Sleep: func(context.Context, time.Duration) {
					if next, err := other.NextSweep(ctx); err != nil || next.After(other.Now()) {
						cancel()
					}
				},
			})
		})
	}
	wg.Wait()
	for id, n := range told {
		if n != 1 {
			t.Errorf("token %s was told of %d times", id, n)
		}
	}
	all, err := alert.List(t.Context(), r.Store().Reader(), alert.Filter{})
	if err != nil || len(told) != 40 || len(all) != 40 {
		t.Errorf("%d tokens, %d alerts, %v; want 40", len(told), len(all), err)
	}
}

// An error is told and waited out, longer each time.
func TestRunGoesOn(t *testing.T) {
	r := newRegistry(t)
	r.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var waits []time.Duration
	troubles := 0
	err := sweeper.Beside(ctx, r.Registry, sweeper.Options{
		Trouble: func(error) { troubles++ },
		Sleep: func(_ context.Context, d time.Duration) {
			if waits = append(waits, d); len(waits) == 8 {
				cancel()
			}
		},
	}, func() error { <-ctx.Done(); return errors.New("work's own") })
	if err == nil || err.Error() != "work's own" || troubles != 8 || waits[0] != time.Second || waits[7] != time.Minute {
		t.Errorf("%v; %d troubles, waits %v", err, troubles, waits)
	}
}

package budget

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func open(t *testing.T) *store.Store {
	t.Helper()
	dir := t.TempDir()
	reg, err := registry.Open(t.Context(), registry.Options{Path: storetest.Address(t, filepath.Join(dir, "db", "r.db")), Create: true, Actor: "test",
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper"), Checkpoints: filepath.Join(dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return reg.Store()
}

// take asks for one call, and gives the wait.
func take(t *testing.T, s *store.Store, r Rate, now time.Time) (wait time.Duration, why string) {
	t.Helper()
	do(t, s, func(ctx context.Context, tx *sql.Tx) (err error) {
		wait, why, err = Take(ctx, tx, "p", r, 1, now)
		return err
	})
	return wait, why
}

func do(t *testing.T, s *store.Store, f func(context.Context, *sql.Tx) error) {
	t.Helper()
	if err := s.InTx(t.Context(), func(tx *sql.Tx) error { return f(t.Context(), tx) }); err != nil {
		t.Fatal(err)
	}
}

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

// Of 60 calls an hour with ten at once no hour has more, however they are asked for.
func TestRate(t *testing.T) {
	s := open(t)
	r := PerHour(60)
	if r != (Rate{Every: 72 * time.Second, Burst: 10}) || PerHour(1) != (Rate{Every: time.Hour, Burst: 1}) {
		t.Errorf("%+v, %+v", r, PerHour(1))
	}
	var at []time.Time
	for now := noon; now.Before(noon.Add(2 * time.Hour)); {
		wait, why := take(t, s, r, now)
		if wait == 0 {
			at = append(at, now)
			continue
		}
		if why == "" {
			t.Fatal("nothing is said of why")
		}
		now = now.Add(wait)
	}
	for i := range at {
		n := 0
		for _, b := range at[i:] {
			if b.Before(at[i].Add(time.Hour)) {
				n++
			}
		}
		if n > 60 {
			t.Fatalf("%d calls in the hour from %s", n, at[i])
		}
	}
	if len(at) < 105 || !at[9].Equal(noon) || !at[10].Equal(noon.Add(r.Every)) {
		t.Errorf("%d calls in two hours, the eleventh at %s", len(at), at[10])
	}
	// A clock that is set back holds nobody for longer than what is to be paid.
	if wait, _ := take(t, s, r, noon.Add(-24*time.Hour)); wait > r.Every {
		t.Errorf("a day earlier it is to wait for %s", wait)
	}
}

// Processes together take no more than there is.
func TestRateIsShared(t *testing.T) {
	s := open(t)
	var mu sync.Mutex
	n := 0
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 5 {
				var wait time.Duration
				err := s.InTx(t.Context(), func(tx *sql.Tx) (err error) {
					wait, _, err = Take(t.Context(), tx, "p", Rate{Every: time.Minute, Burst: 7}, 1, noon)
					return err
				})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				if wait == 0 {
					n++
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	if n != 7 {
		t.Errorf("%d calls were allowed, want 7", n)
	}
}

// Who asked not to be called is not called; who does not answer is asked by one at a
// time, ever more seldom, and called as before once it answers.
func TestCircuit(t *testing.T) {
	s := open(t)
	now := noon
	do(t, s, func(ctx context.Context, tx *sql.Tx) error { return Answered(ctx, tx, "p", 30*time.Second, now) })
	if wait, why := take(t, s, Rate{}, now); wait != 30*time.Second || why == "" {
		t.Errorf("wait %s, %q", wait, why)
	}
	now = now.Add(30 * time.Second)
	failed := func(ctx context.Context, tx *sql.Tx) error { return Failed(ctx, tx, "p", now) }
	for range MostFailures - 1 {
		if wait, _ := take(t, s, Rate{}, now); wait != 0 {
			t.Fatalf("wait %s before the circuit opens", wait)
		}
		do(t, s, failed)
	}
	do(t, s, failed)
	if wait, _ := take(t, s, Rate{}, now); wait != leastPause {
		t.Errorf("wait %s, want %s", wait, leastPause)
	}
	now = now.Add(leastPause)
	if wait, _ := take(t, s, Rate{}, now); wait != 0 {
		t.Errorf("the one that asks waits %s", wait)
	}
	if wait, _ := take(t, s, Rate{}, now); wait != probeTime {
		t.Errorf("another waits %s", wait)
	}
	do(t, s, failed)
	if wait, _ := take(t, s, Rate{}, now); wait != 2*leastPause {
		t.Errorf("then %s", wait)
	}
	for range 10 {
		do(t, s, failed)
	}
	if wait, _ := take(t, s, Rate{}, now); wait != mostPause {
		t.Errorf("at most %s", wait)
	}
	do(t, s, func(ctx context.Context, tx *sql.Tx) error { return Answered(ctx, tx, "p", 0, now) })
	if wait, _ := take(t, s, Rate{}, now); wait != 0 {
		t.Errorf("back, and to wait %s", wait)
	}
}

// A transaction that fails takes nothing.
func TestUndone(t *testing.T) {
	s, undone := open(t), errors.New("undone")
	r := Rate{Every: time.Minute, Burst: 1}
	if err := s.InTx(t.Context(), func(tx *sql.Tx) error {
		if wait, _, err := Take(t.Context(), tx, "p", r, 1, noon); wait != 0 || err != nil {
			t.Error(wait, err)
		}
		return undone
	}); !errors.Is(err, undone) {
		t.Fatal(err)
	}
	if wait, _ := take(t, s, r, noon); wait != 0 {
		t.Errorf("to wait %s", wait)
	}
}

// What is said to be left can be taken, and no more.
func TestLeft(t *testing.T) {
	s, r, now := open(t), PerHour(60), time.Unix(1_800_000_000, 0)
	left := func(at time.Time) int {
		all, err := Standings(t.Context(), s.Reader(), at)
		if err != nil {
			t.Fatal(err)
		}
		return all["p"].Left(r, at)
	}
	if n := left(now); n != r.Burst {
		t.Errorf("%d left of a provider that nobody called", n)
	}
	for _, pass := range []time.Duration{0, time.Minute, 3 * time.Minute, time.Hour, -time.Hour} {
		now = now.Add(pass)
		for n := left(now); n > 0; n-- {
			if wait, why := take(t, s, r, now); wait != 0 {
				t.Fatalf("after %v %d are left, and it waits %v: %s", pass, n, wait, why)
			}
		}
		if wait, _ := take(t, s, r, now); wait == 0 || left(now) != 0 {
			t.Errorf("after %v one more than what is left is given, and %d are left", pass, left(now))
		}
	}
	for range MostFailures {
		do(t, s, func(ctx context.Context, tx *sql.Tx) error { return Failed(ctx, tx, "q", now) })
	}
	all, err := Standings(t.Context(), s.Reader(), now)
	if q := all["q"]; err != nil || q.Failures != MostFailures || !q.Until.Equal(now.Add(leastPause)) || q.Why == "" {
		t.Errorf("%+v, %v", q, err)
	}
	if all, err = Standings(t.Context(), s.Reader(), now.Add(time.Hour)); err != nil || !all["q"].Until.IsZero() {
		t.Errorf("an hour after: %+v, %v", all["q"], err)
	}
}

// Package figures counts incidents: how many are in which state, and how long it took
// from one of their times to the next.
//
// It reads the database, where incidents of all processes are: what two processes on
// one database tell is the same. It knows rows, and nothing of how figures are shown.
// Start reading at Figures.
package figures

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/quench-dev/quench/registry/store"
)

const (
	// overlap is how far back rows are read again: a time is written before its
	// transaction commits, and clocks of two machines differ. No transaction takes half
	// as long.
	overlap = time.Minute
	// fresh is for how long figures are given again without a look at the database.
	fresh = time.Second
)

// The steps whose time is told, in their order.
const (
	LeakedFound   = "leaked_found"   // from the commit or the line to the scan that met it
	FoundMatched  = "found_matched"  // to whose it is
	FoundDead     = "found_dead"     // to its end: refused here, or taken by its provider
	DeadConfirmed = "dead_confirmed" // to the proof of that
)

// Time is how long a step took, as a histogram.
type Time struct {
	Step string
	// Provider is whose secrets these are: a name of the policy, empty for tokens that
	// the registry alone ends.
	Provider string
	Count    uint64
	Sum      float64 // seconds
	// Under are the numbers of those that took at most as long as each bound.
	Under []uint64
}

// Figures keeps what was counted. It is safe for concurrent use.
type Figures struct {
	db     *store.Store
	now    func() time.Time
	bounds []float64

	mu    sync.Mutex
	read  time.Time
	since int64            // Unix microseconds: what ended before is counted
	seen  map[string]uint8 // which steps are counted of incidents of the overlap
	times map[[2]string]*Time
	state map[string]uint64
}

// New makes figures of one registry; bounds are those of the histograms, in seconds.
func New(db *store.Store, now func() time.Time, bounds []float64) *Figures {
	return &Figures{db: db, now: now, bounds: bounds, seen: map[string]uint8{}, times: map[[2]string]*Time{}}
}

// Read gives the times, in order of step and provider, and the number of incidents in
// each state. Times of an incident count once, and never go back.
func (f *Figures) Read(ctx context.Context) (times []Time, states map[string]uint64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now := f.now(); f.read.IsZero() || now.Sub(f.read) >= fresh || now.Before(f.read) {
		if err := f.more(ctx, now); err != nil {
			return nil, nil, fmt.Errorf("counting incidents: %w", store.Explain(err))
		}
		f.read = now
	}
	for _, t := range f.times {
		c := *t
		c.Under = slices.Clone(t.Under)
		times = append(times, c)
	}
	slices.SortFunc(times, func(a, b Time) int {
		return slices.Compare([]string{a.Step, a.Provider}, []string{b.Step, b.Provider})
	})
	return times, f.state, nil
}

// more counts what came since.
func (f *Figures) more(ctx context.Context, now time.Time) error {
	rows, err := f.db.Reader().QueryContext(ctx, `SELECT id, provider, leaked_at, found_at, matched_at, dead_at, confirmed_at FROM incidents
		WHERE found_at > ? OR matched_at > ? OR dead_at > ? OR confirmed_at > ?`, f.since, f.since, f.since, f.since)
	if err != nil {
		return err
	}
	defer rows.Close()
	next, keep := now.Add(-overlap).UnixMicro(), map[string]uint8{}
	for rows.Next() {
		var id, provider string
		var leaked, dead, confirmed sql.NullInt64
		var found, matched int64
		if err := rows.Scan(&id, &provider, &leaked, &found, &matched, &dead, &confirmed); err != nil {
			return err
		}
		done, late := f.seen[id], false
		for i, s := range []struct {
			name     string
			from, to sql.NullInt64
		}{
			{LeakedFound, leaked, sql.NullInt64{Int64: found, Valid: true}}, {FoundMatched, sql.NullInt64{Int64: found, Valid: true}, sql.NullInt64{Int64: matched, Valid: true}},
			{FoundDead, sql.NullInt64{Int64: found, Valid: true}, dead}, {DeadConfirmed, dead, confirmed},
		} {
			if !s.from.Valid || !s.to.Valid {
				continue
			}
			late = late || s.to.Int64 > next
			if s.to.Int64 <= f.since || done&(1<<i) != 0 {
				continue
			}
			done |= 1 << i
			f.count(s.name, provider, time.Duration(s.to.Int64-s.from.Int64)*time.Microsecond)
		}
		if late {
			keep[id] = done
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	f.seen, f.since = keep, max(f.since, next)
	return f.states(ctx)
}

func (f *Figures) count(step, provider string, took time.Duration) {
	key := [2]string{step, provider}
	t := f.times[key]
	if t == nil {
		t = &Time{Step: step, Provider: provider, Under: make([]uint64, len(f.bounds))}
		f.times[key] = t
	}
	s := max(took, 0).Seconds() // of two machines' clocks one may be ahead
	t.Count++
	t.Sum += s
	for i, b := range f.bounds {
		if s <= b {
			t.Under[i]++
		}
	}
}

func (f *Figures) states(ctx context.Context) error {
	rows, err := f.db.Reader().QueryContext(ctx, "SELECT state, count(*) FROM incidents GROUP BY state")
	if err != nil {
		return err
	}
	defer rows.Close()
	state := map[string]uint64{}
	for rows.Next() {
		var s string
		var n uint64
		if err := rows.Scan(&s, &n); err != nil {
			return err
		}
		state[s] = n
	}
	f.state = state
	return rows.Err()
}

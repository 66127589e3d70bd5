// Package budget says when a provider may be called: as often as it allows, not before
// it asked to be called again, and seldom while it does not answer.
//
// It keeps a row for each provider in the registry's database, so that all processes
// share what there is. It does not know what is called, or why. Start reading at Take.
package budget

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Rate is how often a provider may be called: Burst calls at once, and one more each
// Every. The zero value is without a limit.
type Rate struct {
	Every time.Duration
	Burst int
}

// PerHour is a rate of which no hour has more than n calls: a sixth of them at once, the
// others evenly after.
func PerHour(n int) Rate {
	burst := max(1, n/6)
	return Rate{Every: time.Hour / time.Duration(max(1, n-burst)), Burst: burst}
}

const (
	// MostFailures calls in a row without an answer open the circuit: from there on one
	// call at a time asks whether the provider is back.
	MostFailures = 5
	// leastPause and mostPause are those between such calls; each is twice the one
	// before. A provider that was down for an hour hears of what leaked meanwhile within
	// mostPause.
	leastPause = 15 * time.Second
	mostPause  = 5 * time.Minute
	// probeTime is how long others wait for the answer to such a call: the longest
	// attempt takes 45 s, after which its own failure has said how long to wait.
	probeTime = time.Minute
	// farthest is how far ahead a row may lie: what is farther was written by a clock
	// that has been set back since, and holds nobody. Providers ask for an hour at most.
	farthest = time.Hour + mostPause
)

// state is a row.
type state struct {
	next, until time.Time
	failures    int
	why         string
}

// full is how far ahead of now a row lies when every call was made.
func (r Rate) full() time.Duration { return time.Duration(r.Burst) * r.Every }

// Standing is how the budget of a provider stands.
type Standing struct {
	next time.Time
	// Until is when the provider may be called again, and Why it may not before; the zero
	// time where it may.
	Until    time.Time
	Why      string
	Failures int // calls in a row that had no answer
}

// Left is how many calls may be made at once now, of a rate that has a limit.
func (s Standing) Left(r Rate, now time.Time) int {
	ahead := min(max(s.next.Sub(now), 0), r.full())
	return int((r.full() - ahead) / r.Every)
}

// Standings are those of all providers that were called.
func Standings(ctx context.Context, db *sql.DB, now time.Time) (all map[string]Standing, err error) {
	rows, err := db.QueryContext(ctx, "SELECT provider, next_at, failures, until, why FROM provider_budgets")
	if err != nil {
		return nil, fmt.Errorf("reading the budgets of providers: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	all = map[string]Standing{}
	for rows.Next() {
		var name string
		var next, until int64
		var s Standing
		if err := rows.Scan(&name, &next, &s.Failures, &until, &s.Why); err != nil {
			return nil, fmt.Errorf("reading the budgets of providers: %w", err)
		}
		s.next, s.Until = time.UnixMicro(next), time.UnixMicro(until)
		if !s.Until.After(now) || s.Until.After(now.Add(farthest)) {
			s.Until, s.Why = time.Time{}, ""
		}
		all[name] = s
	}
	return all, rows.Err()
}

// locked reads the provider's row, and keeps others from it until tx ends.
func locked(ctx context.Context, tx *sql.Tx, provider string, now time.Time) (s state, err error) {
	if _, err := tx.ExecContext(ctx, "INSERT INTO provider_budgets (provider) VALUES (?) ON CONFLICT (provider) DO UPDATE SET provider = excluded.provider", provider); err != nil {
		return s, fmt.Errorf("reading the budget of %s: %w", provider, err)
	}
	var next, until int64
	if err := tx.QueryRowContext(ctx, "SELECT next_at, failures, until, why FROM provider_budgets WHERE provider = ?", provider).Scan(&next, &s.failures, &until, &s.why); err != nil {
		return s, fmt.Errorf("reading the budget of %s: %w", provider, err)
	}
	s.next, s.until = time.UnixMicro(next), time.UnixMicro(until)
	if s.until.After(now.Add(farthest)) {
		s.until = time.Time{}
	}
	return s, nil
}

func (s state) store(ctx context.Context, tx *sql.Tx, provider string) error {
	until := int64(0)
	if !s.until.IsZero() {
		until = s.until.UnixMicro()
	}
	if _, err := tx.ExecContext(ctx, "UPDATE provider_budgets SET next_at = ?, failures = ?, until = ?, why = ? WHERE provider = ?", s.next.UnixMicro(), s.failures, until, s.why, provider); err != nil {
		return fmt.Errorf("writing the budget of %s: %w", provider, err)
	}
	return nil
}

// Take asks for calls calls at now, of which calls that spend no budget are 0. Where
// the provider may not be called yet, it gives how long to wait and why, and takes
// nothing. What was taken is so when tx is committed.
func Take(ctx context.Context, tx *sql.Tx, provider string, r Rate, calls int, now time.Time) (wait time.Duration, why string, err error) {
	s, err := locked(ctx, tx, provider, now)
	if err != nil {
		return 0, "", err
	}
	if wait := s.until.Sub(now); wait > 0 {
		return wait, s.why, nil
	}
	if r.Every > 0 && calls > 0 {
		full := r.full()
		if s.next.Before(now) {
			s.next = now
		}
		if s.next.After(now.Add(full)) { // more than was ever given: the clock was set back
			s.next = now.Add(full)
		}
		s.next = s.next.Add(time.Duration(calls) * r.Every)
		if wait := s.next.Sub(now.Add(full)); wait > 0 {
			return wait, fmt.Sprintf("its limit is a call each %s after %d at once", r.Every, r.Burst), nil
		}
	}
	if s.failures >= MostFailures {
		s.until, s.why = now.Add(probeTime), "it has not answered lately, and is being asked whether it is back"
	} else if r.Every == 0 || calls == 0 {
		return 0, "", nil // nothing is counted
	}
	return 0, "", s.store(ctx, tx, provider)
}

// Answered writes that the provider answered; after is how long it asked not to be
// called by anybody, 0 for not at all.
func Answered(ctx context.Context, tx *sql.Tx, provider string, after time.Duration, now time.Time) error {
	s, err := locked(ctx, tx, provider, now)
	if err != nil {
		return err
	}
	if s.failures == 0 && s.why == "" && after <= 0 {
		return nil // as it was
	}
	s.failures, s.until, s.why = 0, time.Time{}, ""
	if after > 0 {
		s.until, s.why = now.Add(after), "it asked not to be called before"
	}
	return s.store(ctx, tx, provider)
}

// Failed writes that the provider did not answer, or said that it cannot.
func Failed(ctx context.Context, tx *sql.Tx, provider string, now time.Time) error {
	s, err := locked(ctx, tx, provider, now)
	if err != nil {
		return err
	}
	if s.failures++; s.failures >= MostFailures {
		pause := min(leastPause<<min(s.failures-MostFailures, 10), mostPause)
		s.until, s.why = now.Add(pause), fmt.Sprintf("it has not answered %d times in a row", s.failures)
	}
	return s.store(ctx, tx, provider)
}

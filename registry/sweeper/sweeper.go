// Package sweeper watches the deadlines of tokens: it warns of each a week, a day
// and an hour before, and tells when one has passed, to the second, each once,
// however many processes do so.
//
// A warning is an audit event and an alert in one transaction. The package knows when to look and what to say. An
// expired token is refused to the microsecond without it, by Verify; who is told
// of an alert, and how, others know. Start reading at Run, then Sweep.
package sweeper

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/deadline"
	"github.com/quench-dev/quench/registry/store"
)

const (
	// batch tokens are looked at in one transaction, so that after a long time
	// without a sweep others need not wait for all of it.
	batch = 500
	// look is how often the nearest deadline is asked for, since other processes
	// issue, shorten and resume tokens, and clocks are set. Where the database was not
	// written to since, it is asked for in each lookAnyway only.
	look       = time.Second
	lookAnyway = 10 * time.Second
	// lookFailing is the same after an error that stays: the trouble is told, and
	// a full disk is not filled by telling it.
	lookFailing = time.Minute
)

// Options of Run.
type Options struct {
	// Warned is told what was warned of; nil is nobody.
	Warned func([]registry.Due)
	// Trouble is told of errors, after which Run goes on; nil is nobody.
	Trouble func(error)
	// Sleep waits, or less when ctx ends; nil is by the system's clock.
	Sleep func(ctx context.Context, d time.Duration)
}

// Run sweeps until ctx ends: at once, for what was missed while nothing ran, and
// then at each warning and deadline.
func Run(ctx context.Context, r *registry.Registry, o Options) {
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	failing := look
	n := nearest{glance: r.Store().TokenGlance()}
	for ctx.Err() == nil {
		wait, err := step(ctx, r, o, &n)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if o.Trouble != nil {
				o.Trouble(fmt.Errorf("watching deadlines: %w; trying again in %v", err, failing))
			}
			wait = failing
			failing = min(2*failing, lookFailing)
		default:
			failing = look
		}
		o.Sleep(ctx, wait)
	}
}

// nearest is the nearest deadline, as it was asked for last.
type nearest struct {
	glance *store.Glance
	at     time.Time
	asked  time.Time // zero before, and after an error
}

// ask gives it; zero when there is none.
func (n *nearest) ask(ctx context.Context, r *registry.Registry) (_ time.Time, err error) {
	if now := time.Now(); n.glance.Changed() || n.asked.IsZero() || now.Sub(n.asked) >= lookAnyway {
		if n.at, err = r.NextSweep(ctx); err != nil {
			n.asked = time.Time{}
			return n.at, err
		}
		n.asked = now
	}
	return n.at, nil
}

// step sweeps what is due and tells how long nothing will be.
func step(ctx context.Context, r *registry.Registry, o Options, n *nearest) (time.Duration, error) {
	next, err := n.ask(ctx, r)
	if err != nil {
		return 0, err
	}
	if left := next.Sub(r.Now()); next.IsZero() || left > 0 {
		// At a full second, when others look, too: so the process is woken once for all.
		now := time.Now().Truncate(time.Microsecond) // as deadlines are
		wait := now.Truncate(look).Add(look).Sub(now)
		if !next.IsZero() {
			wait = min(left, wait)
		}
		return wait, nil
	}
	all, err := Sweep(ctx, r)
	n.asked = time.Time{} // what comes next is another
	if len(all) > 0 && o.Warned != nil {
		o.Warned(all)
	}
	return 0, err // and look what comes next
}

func sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// Beside runs work, and Run beside it until work has ended.
func Beside(ctx context.Context, r *registry.Registry, o Options, work func() error) error {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); Run(ctx, r, o) }()
	defer func() { cancel(); <-done }()
	return work()
}

// Sweep warns of each deadline that came within a week, a day or an hour, or has
// passed, since it was last looked at, and returns those it warned of. Of several
// warnings that were missed it gives the latest.
func Sweep(ctx context.Context, r *registry.Registry) (warned []registry.Due, err error) {
	for {
		var told []registry.Due
		more := false
		err := r.Store().InTx(ctx, func(tx *sql.Tx) error {
			told = nil
			all, err := r.Unswept(ctx, tx, batch)
			if err != nil {
				return err
			}
			more = len(all) == batch
			for _, t := range all {
				due, err := sweep(ctx, tx, r, t)
				if err != nil {
					return fmt.Errorf("token %s: %w", t.ID, err)
				}
				told = append(told, due...)
			}
			return nil
		})
		if err != nil {
			return warned, fmt.Errorf("warning of deadlines: %w", err)
		}
		warned = append(warned, told...)
		if !more {
			return warned, nil
		}
	}
}

// sweep warns of t's deadlines and says when it is next to be looked at.
func sweep(ctx context.Context, tx *sql.Tx, r *registry.Registry, t registry.Token) (told []registry.Due, err error) {
	now := r.Now()
	next, err := r.Successor(ctx, tx, t)
	if err != nil && !errors.Is(err, registry.ErrNoToken) {
		return nil, err
	}
	due := []registry.Due{{Kind: "rotation", At: t.RotateBy, Token: t}, {Kind: "expiry", At: t.ExpiresAt, Token: t}}
	if t.State == registry.Expired || next.ID != "" { // it needs no rotation, or has had it
		due = due[1:]
	}
	var again time.Time
	for _, d := range due {
		if d.At.IsZero() {
			continue
		}
		if ahead, ok := deadline.Reached(t.CreatedAt, d.At, now); ok {
			fresh, err := warn(ctx, tx, r, d, ahead, next)
			if err != nil {
				return nil, err
			}
			if fresh {
				told = append(told, d)
			}
		}
		again = deadline.Earlier(again, deadline.Next(t.CreatedAt, d.At, now))
	}
	return told, r.Swept(ctx, tx, t.ID, again)
}

// warn writes a warning, unless that or a later one of the same deadline was written.
func warn(ctx context.Context, tx *sql.Tx, r *registry.Registry, d registry.Due, ahead time.Duration, next registry.Token) (fresh bool, err error) {
	t, at, before := d.Token, d.At.UnixMicro(), int64(ahead/time.Second)
	var n int
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM token_warnings WHERE token_id = ? AND kind = ? AND deadline = ? AND before_s <= ?", t.ID, d.Kind, at, before).Scan(&n)
	if err != nil || n > 0 {
		return false, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO token_warnings (token_id, kind, deadline, before_s) VALUES (?, ?, ?, ?)", t.ID, d.Kind, at, before); err != nil {
		return false, err
	}
	details := map[string]string{"deadline": d.At.Format(time.RFC3339Nano), "owner": t.Owner}
	kind := "token." + d.Kind + "_due"
	if ahead == 0 {
		kind = "token." + d.Kind + "_passed"
	} else {
		details["before"] = ahead.String()
	}
	if _, err := audit.Append(ctx, tx, r.Now(), audit.Event{Kind: kind, Actor: r.Actor(), TokenID: t.ID, Details: details}); err != nil {
		return false, err
	}
	// Nobody needs to hear that a rotated token runs out, unless somebody uses it still.
	if next.ID == "" || t.LastUsedAt.After(next.CreatedAt) {
		_, err = alert.Append(ctx, tx, words(d, ahead, next.ID, kind, r.Now()))
	}
	return true, err
}

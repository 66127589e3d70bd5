package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/lease"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner/secret"
)

// gather leases the incidents that may go with one: of the same provider, to be
// revoked, never tried before and nobody's now.
func (r *Revoker) gather(ctx context.Context, tx *sql.Tx, first *attempt, now time.Time) (batch []*attempt, err error) {
	rows, err := tx.QueryContext(ctx, selectIncident+` WHERE provider = ? AND state = ? AND id <> ? AND attempting_at IS NULL AND accepted_at IS NULL
		AND (next_at IS NULL OR next_at <= ?) AND id IN (SELECT incident_id FROM sealed_secrets WHERE expires_at > ?)
		AND id NOT IN (SELECT incident_id FROM leases WHERE until > ? AND owner <> ?) ORDER BY id LIMIT ?`,
		first.inc.Provider, StateRevoking, first.inc.ID, micros(now), micros(now), micros(now), r.owner, provider.MaxBatch-1)
	if err != nil {
		return nil, fmt.Errorf("gathering incidents of %s: %w", first.inc.Provider, err)
	}
	defer rows.Close()
	for rows.Next() {
		a := *first
		if a.inc, err = scanIncident(rows); err != nil {
			return nil, err
		}
		batch = append(batch, &a)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	some := batch[:0]
	for _, a := range batch {
		if a.closed(now) > 0 {
			continue
		}
		c, err := r.box.Take(ctx, tx, a.inc.ID, a.inc.Provider, now)
		if errors.Is(err, sealed.ErrGone) {
			continue // its own attempt says so
		} else if err != nil {
			return nil, err
		}
		a.in = provider.Input{Secret: c.Secret, Parts: c.Parts}
		if err := lease.Take(ctx, tx, a.inc.ID, a.owner, r.owner, now, leaseTime); errors.Is(err, lease.ErrTaken) {
			continue
		} else if err != nil {
			return nil, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE incidents SET attempting_at = ? WHERE id = ?", micros(now), a.inc.ID); err != nil {
			return nil, err
		}
		some = append(some, a)
	}
	return some, nil
}

// endBatch ends the secrets of all incidents with as few requests as the provider takes,
// and stores what came of each. Its results are those of end, for the first.
func (r *Revoker) endBatch(ctx, call context.Context, first *attempt) (Outcome, error) {
	all := append([]*attempt{first}, first.batch...)
	secrets := make([]secret.Secret, len(all))
	for i, a := range all {
		secrets[i] = a.in.Secret
	}
	var failed error
	more := func() (wait time.Duration) {
		err := r.reg.Store().InTx(call, func(tx *sql.Tx) (err error) {
			wait, _, err = budget.Take(call, tx, first.inc.Provider, first.rate, 1, r.reg.Now())
			return err
		})
		if err != nil { // what is not tried now is, later
			failed = errors.Join(failed, err)
			wait = time.Second
		}
		return wait
	}
	answers := first.p.(provider.Batcher).RevokeMany(call, first.net, first.set, secrets, more)
	outcome, err := r.settled(ctx, first, answers[:1])
	for i, a := range all[1:] {
		var again *retryError
		if _, err := r.settled(ctx, a, answers[i+1:i+2]); err != nil && !errors.As(err, &again) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		r.log.Warn("of a batch not all answers were stored, and their jobs go on", "provider", first.inc.Provider, "err", failed)
	}
	return outcome, err
}

package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
)

// warnBefore is how long before a deadline it is warned of: a week to plan a
// rotation, a day to make it, an hour to drop all else; and the deadline itself.
var warnBefore = []time.Duration{0, time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}

// sweepBatch tokens are warned of in one transaction, so that after a long time
// without a sweep others need not wait for all of it.
const sweepBatch = 500

// Due is a deadline of a token.
type Due struct {
	Kind  string    `json:"kind"` // expiry or rotation
	At    time.Time `json:"at"`
	Token Token     `json:"token"`
}

// Due lists the deadlines of live tokens within a time from now, those that have
// passed included, the earliest first. Tokens that expired are no longer due.
func (r *Registry) Due(ctx context.Context, within time.Duration) ([]Due, error) {
	return r.due(ctx, r.Now().Add(within), Live)
}

func (r *Registry) due(ctx context.Context, until time.Time, states ...string) (all []Due, err error) {
	rows, err := r.store.Reader().QueryContext(ctx, "SELECT "+tokenColumns+` FROM tokens
		WHERE state = 'live' AND (expires_at <= ?1 OR rotate_by <= ?1)`, until.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("reading deadlines: %w", store.Explain(err))
	}
	defer rows.Close()
	now := r.Now()
	for rows.Next() {
		t, err := scanToken(rows, now)
		if err != nil {
			return nil, fmt.Errorf("reading deadlines: %w", store.Explain(err))
		}
		if !slices.Contains(states, t.State) {
			continue
		}
		for kind, at := range map[string]time.Time{"expiry": t.ExpiresAt, "rotation": t.RotateBy} {
			if !at.IsZero() && !at.After(until) && (kind == "expiry" || t.State == Live) {
				all = append(all, Due{kind, at, t})
			}
		}
	}
	slices.SortFunc(all, func(a, b Due) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return slices.Compare([]string{a.Token.ID, a.Kind}, []string{b.Token.ID, b.Kind})
	})
	return all, store.Explain(rows.Err())
}

// Sweep writes an audit event for each deadline that came within a week, a day or
// an hour, or has passed, since the last sweep, and returns them. Of several that
// were missed it writes the latest. Verify needs no sweep to refuse what expired.
func (r *Registry) Sweep(ctx context.Context) (warned []Due, err error) {
	all, err := r.due(ctx, r.Now().Add(slices.Max(warnBefore)), Live, Expired)
	if err != nil {
		return nil, err
	}
	for batch := range slices.Chunk(all, sweepBatch) {
		var told []Due
		err := r.store.InTx(ctx, func(tx *sql.Tx) error {
			for _, d := range batch {
				new, err := r.warn(ctx, tx, d)
				if err != nil {
					return err
				}
				if new {
					told = append(told, d)
				}
			}
			return nil
		})
		if err != nil {
			return warned, fmt.Errorf("warning of deadlines: %w", err)
		}
		warned = append(warned, told...)
	}
	return warned, nil
}

// warn writes the warning that d has come to, unless that or a later one was.
func (r *Registry) warn(ctx context.Context, tx *sql.Tx, d Due) (bool, error) {
	left := d.At.Sub(r.Now())
	i := slices.IndexFunc(warnBefore, func(b time.Duration) bool { return left <= b })
	if i < 0 || i > 0 && !d.At.Add(-warnBefore[i]).After(d.Token.CreatedAt) {
		return false, nil // what is made for an hour needs no warning of an hour
	}
	before := int64(warnBefore[i] / time.Second)
	res, err := tx.ExecContext(ctx, `INSERT INTO token_warnings (token_id, kind, deadline, before_s)
		SELECT id, ?2, ?3, ?4 FROM tokens WHERE id = ?1 AND state = 'live' AND ?3 = CASE ?2 WHEN 'expiry' THEN expires_at ELSE rotate_by END
		AND NOT EXISTS (SELECT 1 FROM token_warnings WHERE token_id = ?1 AND kind = ?2 AND deadline = ?3 AND before_s <= ?4)`,
		d.Token.ID, d.Kind, d.At.UnixMicro(), before)
	if err != nil {
		return false, err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return false, err
	}
	details := map[string]string{"deadline": d.At.Format(time.RFC3339Nano), "owner": d.Token.Owner}
	kind := "token." + d.Kind + "_due"
	if i == 0 {
		kind = "token." + d.Kind + "_passed"
	} else {
		details["before"] = warnBefore[i].String()
	}
	return true, r.append(ctx, tx, audit.Event{Kind: kind, TokenID: d.Token.ID, Details: details})
}

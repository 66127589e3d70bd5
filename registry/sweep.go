package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"github.com/quench-dev/quench/registry/counts"
	"github.com/quench-dev/quench/registry/store"
)

// Due is a deadline of a token.
type Due struct {
	Kind  string    `json:"kind"` // expiry or rotation
	At    time.Time `json:"at"`
	Token Token     `json:"token"`
}

// Due lists the deadlines of live tokens within a time from now, those that have
// passed included, the earliest first. Tokens that expired are no longer due.
func (r *Registry) Due(ctx context.Context, within time.Duration) (all []Due, err error) {
	now := r.Now()
	until := now.Add(within)
	// Each half has an index of its own, in which the many that expired are not read.
	rows, err := r.store.Reader().QueryContext(ctx, "SELECT "+tokenColumns+" FROM "+counts.Tokens+`
		WHERE state = 'live' AND expires_at > ? AND expires_at <= ? UNION SELECT `+tokenColumns+" FROM "+counts.Tokens+`
		WHERE state = 'live' AND rotate_by <= ? AND (expires_at IS NULL OR expires_at > ?)`, now.UnixMicro(), until.UnixMicro(), until.UnixMicro(), now.UnixMicro())
	if err != nil {
		return nil, fmt.Errorf("reading deadlines: %w", store.Explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scanToken(rows, now)
		if err != nil {
			return nil, fmt.Errorf("reading deadlines: %w", store.Explain(err))
		}
		for kind, at := range map[string]time.Time{"expiry": t.ExpiresAt, "rotation": t.RotateBy} {
			if !at.IsZero() && !at.After(until) {
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

// NextSweep is when the first token is to be looked at for its deadlines, which may
// have passed; zero when none is. It is one step in an index.
func (r *Registry) NextSweep(ctx context.Context) (time.Time, error) {
	var at sql.NullInt64
	err := r.store.Reader().QueryRowContext(ctx, "SELECT min(sweep_at) FROM tokens WHERE state = 'live' AND sweep_at IS NOT NULL").Scan(&at)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading deadlines: %w", store.Explain(err))
	}
	return fromMicro(at), nil
}

// Unswept lists up to most tokens, live or expired, that are to be looked at for
// their deadlines now; Swept takes a token from the list until next, a zero next
// until its deadlines change.
func (r *Registry) Unswept(ctx context.Context, tx *sql.Tx, most int) (all []Token, err error) {
	now := r.Now()
	rows, err := tx.QueryContext(ctx, "SELECT "+tokenColumns+" FROM "+counts.Tokens+" WHERE state = 'live' AND sweep_at <= ? ORDER BY sweep_at, id LIMIT ?", now.UnixMicro(), most)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		t, err := scanToken(rows, now)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// Swept is told of in Unswept.
func (r *Registry) Swept(ctx context.Context, tx *sql.Tx, id string, next time.Time) error {
	_, err := tx.ExecContext(ctx, "UPDATE tokens SET sweep_at = ? WHERE id = ?", toMicro(next), id)
	return err
}

// Package erasure takes a person out of a registry: what the audit log, dead tokens,
// alerts and usage say of an owner.
//
// It knows where owners are named. That the log's proofs still hold is package
// audit's doing. Start reading at Owner.
package erasure

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/store"
)

// Word stands where something was erased.
const Word = "erased"

// ErrAlive: the owner has tokens that can be used, for which somebody must answer.
var ErrAlive = errors.New("the owner has tokens that are not dead")

// Result is how much there was.
type Result struct {
	Events int `json:"events"` // fields of audit events: who did it, and details
	Tokens int `json:"tokens"`
	Alerts int `json:"alerts"`
	// Sealed is how many events are in segments and not in the database: what they
	// say of the owner is to be erased where they are kept.
	Sealed int64 `json:"sealed"`
}

// Owner erases what is kept of an owner, in one transaction with the event that tells
// how much, or, dry, only says how much that is. Backups, exports and segments keep
// what they hold.
func Owner(ctx context.Context, r *registry.Registry, owner string, dry bool) (res Result, err error) {
	if owner == "" || owner == Word {
		return res, fmt.Errorf("%w: name the owner to be erased", registry.ErrInvalid)
	}
	if res.Sealed, err = r.Audit().First(ctx); err != nil {
		return res, err
	}
	undo := errors.New("dry run")
	err = r.Store().InTx(ctx, func(tx *sql.Tx) error {
		ids, err := tokens(ctx, tx, r, owner)
		if err != nil {
			return err
		}
		res.Tokens = len(ids)
		res.Events, err = audit.Erase(ctx, tx, r.Now(), audit.Event{Actor: r.Actor()}, func(e audit.Entry) (actor, details bool) {
			return e.Actor == owner, ids[e.TokenID] || e.Details["owner"] == owner
		})
		if err != nil {
			return err
		}
		if res.Alerts, err = rows(ctx, tx, owner); err == nil && dry {
			err = undo
		}
		return err
	})
	if errors.Is(err, undo) {
		return res, nil
	}
	if err != nil {
		return Result{}, fmt.Errorf("erasing owner %q: %w", bound.Clip(owner), err)
	}
	if err := r.Store().Scrub(ctx); err != nil {
		return res, fmt.Errorf("owner %q is erased, and what was erased can still be read in the file of the database until other programs have closed it: %w", bound.Clip(owner), err)
	}
	return res, nil
}

// tokens are the owner's, all of them dead.
func tokens(ctx context.Context, tx *sql.Tx, r *registry.Registry, owner string) (map[string]bool, error) {
	ids := map[string]bool{}
	q, err := tx.QueryContext(ctx, "SELECT id, state, expires_at FROM tokens WHERE owner = ? ORDER BY id", owner)
	if err != nil {
		return nil, err
	}
	defer q.Close()
	var alive []string
	now := r.Now().UnixMicro()
	for q.Next() {
		var id, state string
		var end sql.NullInt64
		if err := q.Scan(&id, &state, &end); err != nil {
			return nil, err
		}
		if ids[id] = true; state != registry.Revoked && !(end.Valid && end.Int64 <= now) {
			alive = append(alive, id)
		}
	}
	if n := len(alive); n > 0 {
		return nil, fmt.Errorf("%w: %s; revoke them (quench token revoke --owner) or issue successors to another", ErrAlive, strings.Join(alive[:min(n, 5)], ", "))
	}
	return ids, q.Err()
}

// rows erases the owner in tables other than the log.
func rows(ctx context.Context, tx *sql.Tx, owner string) (alerts int, err error) {
	var res sql.Result
	for _, s := range []struct {
		query string
		args  []any
	}{
		{"DELETE FROM usage_states WHERE token_id IN (SELECT id FROM tokens WHERE owner = ?)", []any{owner}},
		{"UPDATE usage_mutes SET actor = ?, reason = '' WHERE actor = ?", []any{Word, owner}},
		{"UPDATE tokens SET revoked_by = ? WHERE revoked_by = ?", []any{Word, owner}},
		{"UPDATE alerts SET owner = ?, title = ?, advice = ?, details = '{}' WHERE owner = ? OR token_id IN (SELECT id FROM tokens WHERE owner = ?)", []any{Word, Word, Word, owner, owner}},
	} {
		if res, err = tx.ExecContext(ctx, s.query, s.args...); err != nil {
			return 0, store.Explain(err)
		}
	}
	n, err := res.RowsAffected()
	if err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE tokens SET owner = ?, purpose = ?, tags = '[]', networks = '[]', countries = '[]', revoked_reason = '' WHERE owner = ?", Word, Word, owner)
	return int(n), store.Explain(err)
}

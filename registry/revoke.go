package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/quench-dev/quench/registry/audit"
)

// Change says who changes a token and why.
type Change struct {
	Actor      string // empty is the registry's Actor
	Reason     string
	IncidentID string // the incident it is part of, if any
}

// Revoke ends a token for good: when it returns nil, no Verify accepts the
// token any more. Revoking twice changes nothing and is no error.
func (r *Registry) Revoke(ctx context.Context, id string, c Change) (Token, error) {
	var t Token
	err := r.store.InTx(ctx, func(tx *sql.Tx) (err error) {
		t, _, err = r.RevokeTx(ctx, tx, id, c)
		return err
	})
	return t, err
}

// RevokeTx is Revoke inside a transaction of the caller, with the audit event.
// changed is false when the token was revoked before. Nothing has happened
// until tx commits.
func (r *Registry) RevokeTx(ctx context.Context, tx *sql.Tx, id string, c Change) (tok Token, changed bool, err error) {
	if !isID(id) {
		return Token{}, false, noToken(id)
	}
	if err := checkText(c.Reason); err != nil {
		return Token{}, false, fmt.Errorf("revoking token %s: reason: %w", id, err)
	}
	if c.Actor == "" {
		c.Actor = r.actor
	}
	t, err := r.tokenBy(ctx, tx, "id = ?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, false, noToken(id)
	}
	if err != nil {
		return Token{}, false, fmt.Errorf("revoking token %s: %w", id, err)
	}
	if t.State == Revoked {
		return t, false, nil
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return Token{}, false, fmt.Errorf("revoking token %s: %w", id, err)
	}
	was := t.State
	t.State, t.RevokedAt, t.RevokedBy, t.RevokedReason = Revoked, r.Now(), c.Actor, c.Reason
	_, err = tx.ExecContext(ctx, "UPDATE tokens SET state = 'revoked', revoked_at = ?, revoked_by = ?, revoked_reason = ?, seq = ? WHERE id = ?",
		t.RevokedAt.UnixMicro(), t.RevokedBy, t.RevokedReason, seq, id)
	if err != nil {
		return Token{}, false, fmt.Errorf("revoking token %s: %w", id, err)
	}
	err = r.append(ctx, tx, audit.Event{Kind: "token.revoke", Actor: c.Actor, TokenID: id, IncidentID: c.IncidentID,
		Details: map[string]string{"reason": c.Reason, "was": was}})
	if err != nil {
		return Token{}, false, err
	}
	return t, true, nil
}

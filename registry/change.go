package registry

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/rows"
)

// Change says who changes a token and why.
type Change struct {
	Actor      string // empty is the registry's Actor
	Reason     string
	IncidentID string // the incident it is part of, if any
}

// Action is a change of state.
type Action string

// The actions. A revoked token stays revoked: what was given away once is not made
// safe by taking it back.
const (
	Revoke  Action = "revoke"
	Suspend Action = "suspend" // refused until it is resumed
	Resume  Action = "resume"
)

// becomes is the state after a on a token in a state, and false where a changes
// nothing or does not apply.
func (a Action) becomes(state string) (string, bool) {
	switch {
	case a == Revoke && state != Revoked:
		return Revoked, true
	case a == Suspend && (state == Live || state == Expired):
		return Suspended, true
	case a == Resume && state == Suspended:
		return Live, true
	}
	return state, false
}

// Do changes one token: when it returns nil, every Verify sees it. Doing it again
// changes nothing and is no error; resuming or suspending a revoked token is
// ErrInvalid.
func (r *Registry) Do(ctx context.Context, a Action, id string, c Change) (t Token, changed bool, err error) {
	err = r.store.InTx(ctx, func(tx *sql.Tx) (err error) {
		t, changed, err = r.DoTx(ctx, tx, a, id, c)
		return err
	})
	return t, changed, err
}

// DoTx is Do inside a transaction of the caller, with the audit event. Nothing has
// happened until tx commits.
func (r *Registry) DoTx(ctx context.Context, tx *sql.Tx, a Action, id string, c Change) (Token, bool, error) {
	t, err := r.TokenTx(ctx, tx, id)
	if err != nil {
		return Token{}, false, err
	}
	if t.State == Revoked && a != Revoke {
		return Token{}, false, fmt.Errorf("%w: token %s is revoked, which is for good; issue a new one", ErrInvalid, id)
	}
	changed, err := r.change(ctx, tx, a, &t, c)
	if err != nil {
		return Token{}, false, fmt.Errorf("%s of token %s: %w", a, id, err)
	}
	return t, changed, nil
}

// DoAll changes all tokens of f together with their audit events, in one
// transaction, and returns those that changed, oldest first. A dry run returns the
// same and changes nothing. The zero Filter, which is every token, is ErrInvalid.
func (r *Registry) DoAll(ctx context.Context, a Action, f Filter, c Change, dryRun bool) (changed []Token, err error) {
	if f == (Filter{}) || f == (Filter{State: f.State}) {
		return nil, fmt.Errorf("%w: %s of which tokens? name an owner, a tag, a scope, a family, or a time", ErrInvalid, a)
	}
	if dryRun {
		all, err := r.list(ctx, r.store.Reader(), f)
		for _, t := range all {
			if state, does := a.becomes(t.State); does {
				t.State = state
				changed = append(changed, t)
			}
		}
		return changed, err
	}
	err = r.store.InTx(ctx, func(tx *sql.Tx) error {
		all, err := r.list(ctx, tx, f)
		if err != nil {
			return err
		}
		for i := range all {
			does, err := r.change(ctx, tx, a, &all[i], c)
			if err != nil {
				return fmt.Errorf("%s of token %s: %w", a, all[i].ID, err)
			}
			if does {
				changed = append(changed, all[i])
			}
		}
		return nil
	})
	if err != nil {
		return nil, err // and nothing was changed
	}
	return changed, nil
}

// change makes the change of a, where there is one, and its audit event.
func (r *Registry) change(ctx context.Context, tx *sql.Tx, a Action, t *Token, c Change) (bool, error) {
	if err := checkText(c.Reason); err != nil {
		return false, fmt.Errorf("reason: %w", err)
	}
	was := t.State
	state, does := a.becomes(was)
	if !does {
		return false, nil
	}
	if c.Actor == "" {
		c.Actor = r.actor
	}
	seq, err := rows.NextSeq(ctx, tx)
	if err != nil {
		return false, err
	}
	t.State = state
	if a == Revoke {
		t.RevokedAt, t.RevokedBy, t.RevokedReason = r.Now(), c.Actor, c.Reason
	}
	_, err = tx.ExecContext(ctx, "UPDATE tokens SET state = ?, revoked_at = ?, revoked_by = ?, revoked_reason = ?, seq = ? WHERE id = ?",
		state, toMicro(t.RevokedAt), t.RevokedBy, t.RevokedReason, seq, t.ID)
	if err != nil {
		return false, err
	}
	if state == Live && !t.ExpiresAt.IsZero() && !r.Now().Before(t.ExpiresAt) {
		t.State = Expired // it ran out while it was suspended
	}
	return true, r.append(ctx, tx, audit.Event{Kind: "token." + string(a), Actor: c.Actor, TokenID: t.ID, IncidentID: c.IncidentID,
		Details: map[string]string{"reason": c.Reason, "was": was}})
}

// Filter narrows List and DoAll; its zero value is every token.
type Filter struct {
	Owner string // exactly
	State string // one of the states, Expired included
	Tag   string // among the token's tags
	// Family is the id of the first of tokens that followed each other by rotation.
	Family string
	// Scope without wildcards is what a token may do; with wildcards it is a
	// scope that it has exactly so.
	Scope string
	// Before is when the token was issued or imported at the latest, exclusive.
	Before time.Time
}

// List returns the tokens of f, oldest first.
func (r *Registry) List(ctx context.Context, f Filter) ([]Token, error) {
	return r.list(ctx, r.store.Reader(), f)
}

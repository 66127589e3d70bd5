package registry

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// DefaultOverlap is a day: a deployment that runs at night is done by then.
	DefaultOverlap = 24 * time.Hour
	// MaxOverlap is a week, over which the longest holiday of a pipeline reaches.
	// What needs longer is no rotation but a second token.
	MaxOverlap = 7 * 24 * time.Hour
)

// RotateRequest says what a successor is to be.
type RotateRequest struct {
	// Overlap is how long the old token is good beside the new one, at most
	// MaxOverlap; 0 ends it at once. A token never lives longer for being rotated.
	Overlap time.Duration
	// Hold leaves the old token as it is, until Retire: for those who must deliver
	// the new one first.
	Hold bool
	// TTL of the successor; 0 is as long as the old one was issued for, or its last
	// successor, if it has one.
	TTL time.Duration
	// Scopes are what of the old token's rights the successor has; nil is all.
	Scopes []string
	// Prefix is the brand; "" is the old token's.
	Prefix string
	Actor  string // empty is the registry's Actor
}

// Rotate issues a successor to a live token of this registry: same owner, purpose,
// environment and tags, the same scopes or fewer, in the same family. Its value is
// returned this once. All of it is one transaction.
func (r *Registry) Rotate(ctx context.Context, id string, q RotateRequest) (t Token, value secret.Secret, err error) {
	if q.Overlap < 0 || q.Overlap > MaxOverlap {
		return Token{}, secret.Secret{}, fmt.Errorf("rotating token %s: %w: an overlap of %v; it is 0 to %v", id, ErrInvalid, q.Overlap, MaxOverlap)
	}
	var old Token
	var brand string
	err = r.store.InTx(ctx, func(tx *sql.Tx) error {
		if old, err = r.TokenTx(ctx, tx, id); err != nil {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT brand FROM tokens WHERE id = ?", id).Scan(&brand); err != nil {
			return err
		}
		// An old token that was rotated before runs out with its overlap: another
		// successor lives as long as the last one, and not as long as that.
		like := old
		for {
			next, err := r.Successor(ctx, tx, like)
			if errors.Is(err, ErrNoToken) {
				break
			}
			if err != nil {
				return err
			}
			like = next
		}
		if q.TTL == 0 && !like.ExpiresAt.IsZero() {
			q.TTL = like.ExpiresAt.Sub(like.CreatedAt)
		}
		if t, value, err = r.successor(&old, brand, q); err != nil {
			return err
		}
		if err := r.insert(ctx, tx, &t, value, nil); err != nil {
			return err
		}
		err := r.append(ctx, tx, audit.Event{Kind: "token.rotate", Actor: q.Actor, TokenID: old.ID, Details: map[string]string{"successor": t.ID}})
		if err != nil || q.Hold {
			return err
		}
		_, err = r.retire(ctx, tx, &old, q.Overlap, q.Actor)
		return err
	})
	if err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("rotating token: %w", err)
	}
	return t, value, nil
}

// successor makes the token that follows old.
func (r *Registry) successor(old *Token, brand string, q RotateRequest) (Token, secret.Secret, error) {
	switch {
	case old.Origin != "issued":
		return Token{}, secret.Secret{}, fmt.Errorf("%w: token %s was imported; who issued it makes its successor", ErrInvalid, old.ID)
	case old.State != Live:
		return Token{}, secret.Secret{}, fmt.Errorf("%w: token %s is %s; issue a new one", ErrInvalid, old.ID, old.State)
	}
	if q.Prefix == "" {
		q.Prefix = brand
	}
	if q.Prefix == "" {
		q.Prefix = rules.DefaultBrand // issued before brands were kept
	}
	scopes := old.Scopes
	if q.Scopes != nil {
		for _, s := range q.Scopes {
			if err := checkScope(s, false); err != nil {
				return Token{}, secret.Secret{}, err
			}
			if !old.grants(s) {
				return Token{}, secret.Secret{}, fmt.Errorf("%w: scope %q is more than token %s may do; a successor has the same rights or fewer", ErrInvalid, s, old.ID)
			}
		}
		scopes = q.Scopes
	}
	next := IssueRequest{Owner: old.Owner, Purpose: old.Purpose, Env: old.Env, Tags: old.Tags, Scopes: scopes, TTL: q.TTL, Prefix: q.Prefix}
	next.Never = next.TTL == 0 // and so was the old one, or its last successor
	if err := old.inherit(&next, q.Overlap); err != nil {
		return Token{}, secret.Secret{}, err
	}
	t, value, err := r.newToken(next, cmp.Or(q.Actor, r.actor))
	t.Family, t.Predecessor = old.Family, old.ID
	return t, value, err
}

// grants reports whether scope, which may have wildcards, is wholly within t's.
func (t *Token) grants(scope string) bool {
	for _, s := range t.Scopes {
		if covers(s, scope) {
			return true
		}
	}
	return false
}

// Retire ends a token whose successor has been delivered: at once, or after an
// overlap. It never makes a token live longer.
func (r *Registry) Retire(ctx context.Context, id string, overlap time.Duration) (t Token, err error) {
	if overlap < 0 || overlap > MaxOverlap {
		return Token{}, fmt.Errorf("retiring token %s: %w: an overlap of %v; it is 0 to %v", id, ErrInvalid, overlap, MaxOverlap)
	}
	err = r.store.InTx(ctx, func(tx *sql.Tx) error {
		if t, err = r.TokenTx(ctx, tx, id); err != nil {
			return err
		}
		t, err = r.retire(ctx, tx, &t, overlap, "")
		return err
	})
	return t, err
}

func (r *Registry) retire(ctx context.Context, tx *sql.Tx, t *Token, overlap time.Duration, actor string) (Token, error) {
	if overlap == 0 {
		_, err := r.change(ctx, tx, Revoke, t, Change{Actor: actor, Reason: "rotated"})
		return *t, err
	}
	end := r.Now().Add(overlap)
	if !t.ExpiresAt.IsZero() && !end.Before(t.ExpiresAt) {
		return *t, nil
	}
	t.ExpiresAt = end
	seq, err := rows.NextSeq(ctx, tx)
	if err != nil {
		return Token{}, err
	}
	if _, err := tx.ExecContext(ctx, "UPDATE tokens SET expires_at = ?, seq = ?, sweep_at = 0 WHERE id = ?", toMicro(t.ExpiresAt), seq, t.ID); err != nil {
		return Token{}, err
	}
	return *t, r.append(ctx, tx, audit.Event{Kind: "token.retire", Actor: actor, TokenID: t.ID, Details: map[string]string{"expires_at": t.ExpiresAt.Format(time.RFC3339Nano)}})
}

// Successor is the last token that was issued to follow t and is not revoked; ErrNoToken
// when there is none.
func (r *Registry) Successor(ctx context.Context, tx *sql.Tx, t Token) (Token, error) {
	next, err := r.tokenBy(ctx, tx, "family = ? AND predecessor <> '' AND predecessor = ? AND state <> 'revoked' ORDER BY seq DESC LIMIT 1", t.Family, t.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, ErrNoToken
	}
	return next, err
}

package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/counts"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/use"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// Reasons of a Verdict.
const (
	ReasonValid        = "valid"
	ReasonUnknown      = "unknown"   // not a token of this registry
	ReasonMalformed    = "malformed" // cannot be one: a wrong checksum, or no token at all
	ReasonExpired      = "expired"
	ReasonRevoked      = "revoked"
	ReasonSuspended    = "suspended"
	ReasonOutOfScope   = "out_of_scope"
	ReasonWrongNetwork = "wrong_network" // not from there, or from an unknown address
	ReasonWrongCountry = "wrong_country" // not from there, or from an unknown country
	ReasonUsedUp       = "used_up"
)

// Use tells Verify what the token is shown for.
type Use = use.Use

// Verdict is the answer of Verify.
type Verdict struct {
	Valid  bool   `json:"valid"`
	Reason string `json:"reason"`
	// Token is nil when unknown or malformed. Its lists are not to be changed.
	Token *Token `json:"token,omitempty"`
}

// Verify says whether value is a live token that may do use.Scope, and if not,
// why. An error means no answer, and must be treated as a refusal.
//
// Refusals of tokens, the first use, and each use of a token with limited uses are decided
// under the write lock and on disk, as audit events, before the answer is given.
// Other valid uses are written down together within a second, and at Close: one
// audit event for each token and second, and the count in the token's row. A process
// that is killed loses those of its last second, and no others; with
// Options.EachUse, none. What is no token of the registry is refused by reading alone,
// and told together, too: an event a minute, since strangers can ask without end. A
// process that is killed loses those of its last minute.
//
// A revocation that returned before Verify was called is always seen, whichever
// process made it.
func (r *Registry) Verify(ctx context.Context, value secret.Secret, use Use) (Verdict, error) {
	use, err := use.Settled(r.where)
	if err != nil {
		return Verdict{}, fmt.Errorf("verifying a token: %w", err)
	}
	value = values.Bare(value)
	if v, ok := r.verifyFast(ctx, value, use); ok {
		return v, nil
	}
	v, err := r.decide(ctx, value, use)
	if err != nil {
		return Verdict{}, fmt.Errorf("verifying a token: %w", err)
	}
	if v.Token != nil && !v.Token.RotateBy.IsZero() { // which may have been told of now
		r.fast.rows.Drop(value.MAC(r.ring.Load().Primary().MAC))
	}
	return v, nil
}

// judge decides in the order of cost: form, MAC, state, expiry, and the
// limits of the token. It tells the pepper that a known token is under.
func (r *Registry) judge(ctx context.Context, tx *sql.Tx, value secret.Secret, use Use) (Verdict, *pepper.Key, error) {
	if !r.wellFormed(value) {
		return Verdict{Reason: ReasonMalformed}, nil, nil
	}
	// The index is searched by a keyed MAC that the caller cannot choose, so
	// the time it takes tells nothing of the tokens in it.
	find := tx.StmtContext(ctx, r.fast.judge)
	defer find.Close()
	t, under, err := r.find(ctx, tx, value, func(mac, keyID []byte) (Token, error) {
		return scanToken(find.QueryRowContext(ctx, mac, keyID), r.Now())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Verdict{Reason: ReasonUnknown}, nil, nil
	}
	if err != nil {
		return Verdict{}, nil, err
	}
	v := Verdict{Token: &t}
	switch t.State {
	case Live:
		if v.Reason, err = t.pass(use); err != nil {
			return Verdict{}, nil, err
		}
	case Expired, Revoked, Suspended:
		v.Reason = t.State
	default:
		return Verdict{}, nil, fmt.Errorf("token %s has the unknown state %q", t.ID, t.State)
	}
	v.Valid = v.Reason == ReasonValid
	return v, under, nil
}

// wellFormed is the offline check: lengths, and the checksum of what claims to
// be one of our own.
func (r *Registry) wellFormed(value secret.Secret) bool {
	if value.Len() < values.Min || value.Len() > values.Max {
		return false
	}
	p, ok := rules.ParseToken(value.Reveal())
	return ok || !r.ownBrand(p.Brand)
}

// Allows reports whether one of the token's scopes grants want, a valid scope
// without wildcards.
func (t *Token) Allows(want string) bool {
	for _, s := range t.Scopes {
		if covers(s, want) {
			return true
		}
	}
	return false
}

// record writes the use down; its events are to be written together with others.
func (r *Registry) record(ctx context.Context, tx *sql.Tx, v *Verdict, use Use, events *[]audit.Event) error {
	details := use.Details()
	details["reason"] = v.Reason
	e := audit.Event{Kind: "token.refuse", Actor: r.actor, Details: details}
	if v.Token != nil {
		e.TokenID = v.Token.ID
	}
	if !v.Valid {
		*events = append(*events, e)
		return nil
	}
	first := v.Token.Uses == 0
	v.Token.Uses++
	v.Token.LastUsedAt = r.Now()
	if err := counts.Add(ctx, tx, v.Token.ID, v.Token.LastUsedAt); err != nil {
		return err
	}
	delete(details, "reason")
	e.Kind = "token.use"
	switch {
	case v.Token.MaxUses > 0: // few, and each one counts
		details["use"] = fmt.Sprintf("%d of %d", v.Token.Uses, v.Token.MaxUses)
	case !first: // as writeUses tells those of a second
		details["uses"], details["second"] = "1", v.Token.LastUsedAt.Format(time.RFC3339)
	}
	if first {
		e.Kind = "token.first_use"
	}
	*events = append(*events, e)
	return r.tellOverdue(ctx, tx, v.Token, maps.Clone(details), events)
}

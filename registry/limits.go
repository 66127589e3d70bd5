package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/rows"
)

// maxNetworks bounds the networks of one token: each Verify looks at each of them.
// A cloud region publishes dozens of ranges for a service, not hundreds.
const maxNetworks = 256

// overdueEvery is how often a use after the rotation deadline is told of: a busy
// token would fill the audit log, and who was not moved by the first line reads
// one of the next day.
const overdueEvery = 24 * time.Hour

// The short names of what package bound decides.
var (
	checkScope = bound.CheckScope
	covers     = bound.Covers
	clip       = bound.Clip
)

// Limits are what bounds a token's use beside its scopes and expiry.
type Limits struct {
	// Networks it is good from, in CIDR notation; none is everywhere.
	Networks []string `json:"networks,omitempty"`
	// Countries it is good from, by their codes of ISO 3166-1; none is everywhere.
	Countries []string `json:"countries,omitempty"`
	// MaxUses it is good for; 0 is any number. Refusals do not count.
	MaxUses int64 `json:"max_uses,omitempty"`
	// RotateBy is when it should have a successor; zero is no deadline. Uses
	// after it are good, and audited as token.overdue_use.
	RotateBy time.Time `json:"rotate_by,omitzero"`

	overdueAt time.Time // such an event was last written
}

// limit checks q's limits and gives them to t, whose expiry is set.
func (t *Token) limit(q IssueRequest) (err error) {
	if len(q.Networks) > maxNetworks {
		return fmt.Errorf("%w: %d networks; at most %d", ErrInvalid, len(q.Networks), maxNetworks)
	}
	var nets []string
	for _, s := range q.Networks {
		p, err := bound.Network(s)
		if err != nil {
			return err
		}
		nets = append(nets, p.String())
	}
	t.Networks = slices.Compact(slices.Sorted(slices.Values(nets)))
	if t.Countries, err = bound.Countries(q.Countries); err != nil {
		return err
	}
	if q.MaxUses < 0 {
		return fmt.Errorf("%w: at most %d uses; name a number from 1, or 0 for any", ErrInvalid, q.MaxUses)
	}
	t.MaxUses = q.MaxUses
	if q.RotateWithin == 0 {
		return nil
	}
	by := t.CreatedAt.Add(q.RotateWithin).Truncate(time.Microsecond)
	switch {
	case q.RotateWithin < 0:
		return fmt.Errorf("%w: a rotation within %v is in the past", ErrInvalid, q.RotateWithin)
	case !t.ExpiresAt.IsZero() && !by.Before(t.ExpiresAt):
		return fmt.Errorf("%w: rotation within %v is due when the token has expired; name a shorter time, or a longer ttl", ErrInvalid, q.RotateWithin)
	}
	t.RotateBy = by
	return nil
}

// pass decides on what a live token is shown for. A country that is not known is
// in no list.
func (t *Token) pass(use Use) (reason string, err error) {
	within := len(t.Networks) == 0
	if !within {
		if within, err = bound.Within(t.Networks, use.Address); err != nil {
			return "", fmt.Errorf("token %s: %w", t.ID, err)
		}
	}
	switch {
	case !within:
		return ReasonWrongNetwork, nil
	case len(t.Countries) > 0 && !slices.Contains(t.Countries, use.Country):
		return ReasonWrongCountry, nil
	case use.Scope != "" && !t.Allows(use.Scope):
		return ReasonOutOfScope, nil
	case t.MaxUses > 0 && t.Uses >= t.MaxUses:
		return ReasonUsedUp, nil
	}
	return ReasonValid, nil
}

// untold reports whether a use now is after the rotation deadline, and to be told of.
func (t *Token) untold(now time.Time) bool {
	if t.RotateBy.IsZero() || now.Before(t.RotateBy) {
		return false
	}
	// One told of in the future was written by a clock that has been set back
	// since, and must not silence the next.
	since := now.Sub(t.overdueAt)
	return since < 0 || since >= overdueEvery
}

// tellOverdue writes the event and the alert of a use after the rotation deadline,
// unless they were written within overdueEvery.
func (r *Registry) tellOverdue(ctx context.Context, tx *sql.Tx, t *Token, details map[string]string, events *[]audit.Event) error {
	now := r.Now()
	if !t.untold(now) {
		return nil
	}
	t.overdueAt = now
	if _, err := tx.ExecContext(ctx, "UPDATE tokens SET overdue_at = ? WHERE id = ?", toMicro(now), t.ID); err != nil {
		return err
	}
	details["rotate_by"] = t.RotateBy.Format(time.RFC3339Nano)
	_, err := alert.Append(ctx, tx, alert.Alert{Kind: "token.overdue_use", Severity: alert.Warning, TokenID: t.ID, Owner: t.Owner, At: now, Details: details,
		Title:  fmt.Sprintf("token %s of %s (%s) is used %s after its rotation deadline", t.ID, t.Owner, t.Purpose, now.Sub(t.RotateBy).Round(time.Second)),
		Advice: fmt.Sprintf("Rotate it: quench token rotate %s. If it has a successor, who uses this one still has the old value.", t.ID)})
	if err != nil {
		return err
	}
	*events = append(*events, audit.Event{Kind: "token.overdue_use", Actor: r.actor, TokenID: t.ID, Details: details})
	return nil
}

// details adds the limits to those of an event.
func (l *Limits) details(to map[string]string) {
	if len(l.Networks) > 0 {
		to["networks"] = rows.JSON(l.Networks)
	}
	if len(l.Countries) > 0 {
		to["countries"] = rows.JSON(l.Countries)
	}
	if l.MaxUses > 0 {
		to["max_uses"] = strconv.FormatInt(l.MaxUses, 10)
	}
	if !l.RotateBy.IsZero() {
		to["rotate_by"] = l.RotateBy.Format(time.RFC3339Nano)
	}
}

// inherit gives a successor's request the limits of old: no more uses than are
// left, and as long until its own rotation.
func (old *Token) inherit(q *IssueRequest, overlap time.Duration) error {
	q.Networks, q.Countries = old.Networks, old.Countries
	if old.MaxUses > 0 {
		if overlap > 0 {
			return fmt.Errorf("%w: token %s has a limited number of uses, which an overlap would double; rotate it with none (--now)", ErrInvalid, old.ID)
		}
		if q.MaxUses = old.MaxUses - old.Uses; q.MaxUses <= 0 {
			return fmt.Errorf("%w: token %s is used up; issue a new one", ErrInvalid, old.ID)
		}
	}
	if within := old.RotateBy.Sub(old.CreatedAt); !old.RotateBy.IsZero() && (q.TTL == 0 || within < q.TTL) {
		q.RotateWithin = within // else it expires before
	}
	return nil
}

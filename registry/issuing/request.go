package issuing

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
)

// DefaultTTL is a month: short enough that a forgotten token dies by itself, long
// enough that nobody asks for one that never does.
const DefaultTTL = 30 * 24 * time.Hour

// Request is what a new token is to be.
type Request struct {
	Owner   string        // who answers for it; required
	Purpose string        // what it is for; required
	Scopes  []string      // action:resource; none grants nothing
	TTL     time.Duration // until it expires; 0 is DefaultTTL, or the most that the policy allows
	Never   bool          // it never expires, where the policy allows that
	Env     string        // "live" (default) or "test"
	Prefix  string        // brand; "" is rules.DefaultBrand
	Tags    []string

	Networks     []string      // it is good from: CIDR or addresses; none is everywhere
	Countries    []string      // it is good from: codes of ISO 3166-1; none is everywhere
	MaxUses      int64         // 0 is any number
	RotateWithin time.Duration // until it should have a successor; 0 is no deadline
}

// Apply fills what a request of actor leaves open, its prefix and environment being
// known, and refuses what p does not allow.
func (p *Policy) Apply(q *Request, actor string) error {
	u, err := p.For(q.Owner)
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		by := fmt.Sprintf("rule for owner %q", u.Owner)
		if len(p.Rules) == 0 {
			by = "no rule of the policy's [issue] says otherwise"
		}
		return fmt.Errorf("%w: %s (%s)", Err, fmt.Sprintf(format, args...), by)
	}
	most := time.Duration(u.MaxTTL)
	switch {
	case !u.By(actor):
		return refuse("%q may not issue these tokens; %s may", bound.Clip(actor), strings.Join(u.Issuers, ", "))
	case q.Never && q.TTL != 0:
		return fmt.Errorf("%w: a ttl and never", bound.ErrInvalid)
	case q.Never && !u.Never:
		return refuse("a token that never expires is not allowed; the longest life is %s", InDays(most))
	case !q.Never && q.TTL == 0:
		q.TTL = min(DefaultTTL, most)
	case q.TTL > most && q.TTL <= MaxTTL: // beyond that no policy could allow it
		return refuse("a ttl of %s is longer than the longest, %s", InDays(q.TTL), InDays(most))
	}
	if len(u.Prefixes) > 0 && !slices.Contains(u.Prefixes, q.Prefix) {
		return refuse("prefix %q is not one of %s", bound.Clip(q.Prefix), strings.Join(u.Prefixes, ", "))
	}
	if len(u.Environments) > 0 && !slices.Contains(u.Environments, q.Env) {
		return refuse("environment %q is not one of %s", bound.Clip(q.Env), strings.Join(u.Environments, ", "))
	}
	for _, s := range q.Scopes {
		if err := bound.CheckScope(s, false); err != nil {
			return err
		}
		if len(u.Scopes) > 0 && !slices.ContainsFunc(u.Scopes, func(in string) bool { return bound.Covers(in, s) }) {
			return refuse("scope %q is not within %s", bound.Clip(s), strings.Join(u.Scopes, ", "))
		}
		if i := slices.IndexFunc(u.Forbid, func(no string) bool { return bound.Covers(s, no) }); i >= 0 {
			return refuse("scope %q is or contains %s, which is forbidden", bound.Clip(s), u.Forbid[i])
		}
	}
	if len(u.Countries) > 0 {
		if len(q.Countries) == 0 {
			q.Countries = u.Countries
		}
		allowed, err := bound.Countries(u.Countries)
		if err != nil {
			return err
		}
		asked, err := bound.Countries(q.Countries)
		if err != nil {
			return err
		}
		for _, c := range asked {
			if !slices.Contains(allowed, c) {
				return refuse("country %s is not one of %s", c, strings.Join(allowed, ", "))
			}
		}
	}
	within := time.Duration(u.RotateWithin)
	switch {
	case within == 0:
	case q.RotateWithin > within:
		return refuse("rotation within %s is later than the latest, %s", InDays(q.RotateWithin), InDays(within))
	case q.RotateWithin == 0 && (q.Never || within < q.TTL): // else it expires before
		q.RotateWithin = within
	}
	return nil
}

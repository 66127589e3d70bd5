package registry

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/issuing"
)

// IssuePolicy says what tokens may be issued, and rotated into. Its zero value
// allows all but a life of more than a year.
type IssuePolicy = issuing.Policy

// applyPolicy fills what q leaves open, its prefix and environment being known, and
// refuses what p does not allow.
func applyPolicy(p *IssuePolicy, q *IssueRequest, actor string) error {
	u, err := p.For(q.Owner)
	if err != nil {
		return err
	}
	refuse := func(format string, args ...any) error {
		by := fmt.Sprintf("rule for owner %q", u.Owner)
		if len(p.Rules) == 0 {
			by = "no rule of the policy's [issue] says otherwise"
		}
		return fmt.Errorf("%w: %s (%s)", ErrPolicy, fmt.Sprintf(format, args...), by)
	}
	most := time.Duration(u.MaxTTL)
	switch {
	case !u.By(actor):
		return refuse("%q may not issue these tokens; %s may", clip(actor), strings.Join(u.Issuers, ", "))
	case q.Never && q.TTL != 0:
		return fmt.Errorf("%w: a ttl and never", ErrInvalid)
	case q.Never && !u.Never:
		return refuse("a token that never expires is not allowed; the longest life is %s", issuing.InDays(most))
	case !q.Never && q.TTL == 0:
		q.TTL = min(DefaultTTL, most)
	case q.TTL > most && q.TTL <= MaxTTL: // beyond that no policy could allow it
		return refuse("a ttl of %s is longer than the longest, %s", issuing.InDays(q.TTL), issuing.InDays(most))
	}
	if len(u.Prefixes) > 0 && !slices.Contains(u.Prefixes, q.Prefix) {
		return refuse("prefix %q is not one of %s", clip(q.Prefix), strings.Join(u.Prefixes, ", "))
	}
	if len(u.Environments) > 0 && !slices.Contains(u.Environments, q.Env) {
		return refuse("environment %q is not one of %s", clip(q.Env), strings.Join(u.Environments, ", "))
	}
	for _, s := range q.Scopes {
		if err := checkScope(s, false); err != nil {
			return err
		}
		if len(u.Scopes) > 0 && !slices.ContainsFunc(u.Scopes, func(in string) bool { return covers(in, s) }) {
			return refuse("scope %q is not within %s", clip(s), strings.Join(u.Scopes, ", "))
		}
		if i := slices.IndexFunc(u.Forbid, func(no string) bool { return covers(s, no) }); i >= 0 {
			return refuse("scope %q is or contains %s, which is forbidden", clip(s), u.Forbid[i])
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
		return refuse("rotation within %s is later than the latest, %s", issuing.InDays(q.RotateWithin), issuing.InDays(within))
	case q.RotateWithin == 0 && (q.Never || within < q.TTL): // else it expires before
		q.RotateWithin = within
	}
	return nil
}

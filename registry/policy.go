package registry

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quench-dev/quench/rules"
)

// DefaultMaxTTL is a year: who was given a token longer ago than that is no longer
// known to need it. A policy can say otherwise, up to MaxTTL.
const DefaultMaxTTL = 365 * 24 * time.Hour

// IssuePolicy says what tokens may be issued, and rotated into. Its zero value
// allows all but a life of more than DefaultMaxTTL.
type IssuePolicy struct {
	// MaxTTL is the longest life under rules that name none; zero is DefaultMaxTTL.
	MaxTTL Lifetime `toml:"max_ttl"`
	// Rules are asked in order, and the first that names the owner decides. Where
	// there are rules, an owner whom none names gets no token.
	Rules []IssueRule `toml:"rule"`
}

// IssueRule is what tokens of some owners may be. An empty list allows all.
type IssueRule struct {
	Owner        string   `toml:"owner"` // a pattern of path.Match, such as "ci-*"
	MaxTTL       Lifetime `toml:"max_ttl"`
	Never        bool     `toml:"never"` // tokens that never expire
	Prefixes     []string `toml:"prefixes"`
	Environments []string `toml:"environments"`
	// Scopes within which each scope of a token must be; Forbid are those, with
	// their wildcards, that none may be or contain.
	Scopes []string `toml:"scopes"`
	Forbid []string `toml:"forbid"`
	// Countries that a token may be good from, and those of tokens that named none.
	Countries []string `toml:"countries"`
	// RotateWithin is the latest rotation deadline, and that of tokens that were
	// given none; zero asks for none.
	RotateWithin Lifetime `toml:"rotate_within"`
}

// Lifetime is a duration that may be written in days or weeks, such as 30d.
type Lifetime time.Duration

// UnmarshalText reads what ParseTTL does.
func (l *Lifetime) UnmarshalText(b []byte) error {
	d, err := ParseTTL(string(b))
	*l = Lifetime(d)
	return err
}

// ParseTTL reads a time to live: days or weeks, such as 30d, or a duration of Go.
func ParseTTL(s string) (time.Duration, error) {
	for unit, d := range map[string]time.Duration{"d": 24 * time.Hour, "w": 7 * 24 * time.Hour} {
		n, ok := strings.CutSuffix(s, unit)
		if !ok {
			continue
		}
		v, err := strconv.ParseInt(n, 10, 32)
		if err != nil || v <= 0 || v > int64(MaxTTL/d) {
			return 0, fmt.Errorf("%q is not a number of days or weeks up to %s", clip(s), inDays(MaxTTL))
		}
		return time.Duration(v) * d, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30d, 720h or 90m", clip(s))
	}
	return d, nil
}

// inDays prints a duration in days where it is whole ones.
func inDays(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// Check says what is wrong with a policy.
func (p *IssuePolicy) Check() error {
	if time.Duration(p.MaxTTL) > MaxTTL {
		return fmt.Errorf("issue: max_ttl is more than %s", inDays(MaxTTL))
	}
	for i, rule := range p.Rules {
		if err := rule.check(); err != nil {
			return fmt.Errorf("issue rule %d (%q): %w", i+1, clip(rule.Owner), err)
		}
	}
	return nil
}

func (u *IssueRule) check() error {
	if u.Owner == "" {
		return errors.New(`it names no owner; "*" is all`)
	}
	if _, err := path.Match(u.Owner, ""); err != nil {
		return fmt.Errorf("owner is no pattern: %w", err)
	}
	if time.Duration(u.MaxTTL) > MaxTTL {
		return fmt.Errorf("max_ttl is more than %s", inDays(MaxTTL))
	}
	for _, s := range append(slices.Clone(u.Scopes), u.Forbid...) {
		if err := checkScope(s, false); err != nil {
			return err
		}
	}
	if _, err := sortedCountries(u.Countries); err != nil {
		return err
	}
	for _, s := range u.Prefixes {
		if err := rules.CheckBrand(s); err != nil {
			return err
		}
	}
	for _, s := range u.Environments {
		if s != "live" && s != "test" {
			return fmt.Errorf("environment %q; it is live or test", clip(s))
		}
	}
	return nil
}

// rule is the one that decides on owner's tokens.
func (p *IssuePolicy) rule(owner string) (IssueRule, error) {
	out := IssueRule{Owner: "*"}
	if len(p.Rules) > 0 {
		i := slices.IndexFunc(p.Rules, func(u IssueRule) bool { ok, err := path.Match(u.Owner, owner); return ok && err == nil })
		if i < 0 {
			return IssueRule{}, fmt.Errorf("%w: no rule of the policy's [issue] names owner %q, so no token may be issued", ErrPolicy, clip(owner))
		}
		out = p.Rules[i]
	}
	if out.MaxTTL == 0 {
		out.MaxTTL = p.MaxTTL
	}
	if out.MaxTTL == 0 {
		out.MaxTTL = Lifetime(DefaultMaxTTL)
	}
	return out, nil
}

// apply fills what q leaves open, its prefix and environment being known, and
// refuses what p does not allow.
func (p *IssuePolicy) apply(q *IssueRequest) error {
	u, err := p.rule(q.Owner)
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
	case q.Never && q.TTL != 0:
		return fmt.Errorf("%w: a ttl and never", ErrInvalid)
	case q.Never && !u.Never:
		return refuse("a token that never expires is not allowed; the longest life is %s", inDays(most))
	case !q.Never && q.TTL == 0:
		q.TTL = min(DefaultTTL, most)
	case q.TTL > most && q.TTL <= MaxTTL: // beyond that no policy could allow it
		return refuse("a ttl of %s is longer than the longest, %s", inDays(q.TTL), inDays(most))
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
		allowed, err := sortedCountries(u.Countries)
		if err != nil {
			return err
		}
		asked, err := sortedCountries(q.Countries)
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
		return refuse("rotation within %s is later than the latest, %s", inDays(q.RotateWithin), inDays(within))
	case q.RotateWithin == 0 && (q.Never || within < q.TTL): // else it expires before
		q.RotateWithin = within
	}
	return nil
}

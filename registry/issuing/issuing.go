// Package issuing is the policy that says what tokens may be issued, and rotated
// into: by whose owner, for how long, and with which rights.
//
// It knows how a policy is written, which of its rules decides, and what a request
// may ask for under it. It does not know tokens, which package registry makes of
// requests. Start reading at Policy, then Apply.
package issuing

import (
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/rules"
)

// Err: a request that the policy does not allow. It is registry.ErrPolicy.
var Err = errors.New("the issuing policy does not allow it")

// MaxTTL is ten years: what is longer means never, and must be said so.
const MaxTTL = 10 * 365 * 24 * time.Hour

// DefaultMaxTTL is a year: who was given a token longer ago than that is no longer
// known to need it. A policy can say otherwise, up to MaxTTL.
const DefaultMaxTTL = 365 * 24 * time.Hour

// Policy says what tokens may be issued, and rotated into. Its zero value
// allows all but a life of more than DefaultMaxTTL.
type Policy struct {
	// MaxTTL is the longest life under rules that name none; zero is DefaultMaxTTL.
	MaxTTL Lifetime `toml:"max_ttl"`
	// Rules are asked in order, and the first that names the owner decides. Where
	// there are rules, an owner whom none names gets no token.
	Rules []Rule `toml:"rule"`
}

// Rule is what tokens of some owners may be. An empty list allows all.
type Rule struct {
	Owner string `toml:"owner"` // a pattern of path.Match, such as "ci-*"
	// Issuers may issue these tokens, and rotate into them: patterns of the users that
	// the audit log names.
	Issuers      []string `toml:"issuers"`
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
			return 0, fmt.Errorf("%q is not a number of days or weeks up to %s", bound.Clip(s), InDays(MaxTTL))
		}
		return time.Duration(v) * d, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is not a duration such as 30d, 720h or 90m", bound.Clip(s))
	}
	return d, nil
}

// InDays prints a duration in days where it is whole ones.
func InDays(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// Check says what is wrong with a policy.
func (p *Policy) Check() error {
	if time.Duration(p.MaxTTL) > MaxTTL {
		return fmt.Errorf("issue: max_ttl is more than %s", InDays(MaxTTL))
	}
	for i, rule := range p.Rules {
		if err := rule.check(); err != nil {
			return fmt.Errorf("issue rule %d (%q): %w", i+1, bound.Clip(rule.Owner), err)
		}
	}
	return nil
}

func (u *Rule) check() error {
	if u.Owner == "" {
		return errors.New(`it names no owner; "*" is all`)
	}
	if _, err := path.Match(u.Owner, ""); err != nil {
		return fmt.Errorf("owner is no pattern: %w", err)
	}
	for _, s := range u.Issuers {
		if _, err := path.Match(s, ""); err != nil || s == "" {
			return fmt.Errorf("issuer %q is no pattern", bound.Clip(s))
		}
	}
	if time.Duration(u.MaxTTL) > MaxTTL {
		return fmt.Errorf("max_ttl is more than %s", InDays(MaxTTL))
	}
	for _, s := range append(slices.Clone(u.Scopes), u.Forbid...) {
		if err := bound.CheckScope(s, false); err != nil {
			return err
		}
	}
	if _, err := bound.Countries(u.Countries); err != nil {
		return err
	}
	for _, s := range u.Prefixes {
		if err := rules.CheckBrand(s); err != nil {
			return err
		}
	}
	for _, s := range u.Environments {
		if s != "live" && s != "test" {
			return fmt.Errorf("environment %q; it is live or test", bound.Clip(s))
		}
	}
	return nil
}

// By reports whether actor may issue what the rule allows.
func (u *Rule) By(actor string) bool {
	return len(u.Issuers) == 0 || slices.ContainsFunc(u.Issuers, func(s string) bool { ok, err := path.Match(s, actor); return ok && err == nil })
}

// For is the rule that decides on owner's tokens.
func (p *Policy) For(owner string) (Rule, error) {
	out := Rule{Owner: "*"}
	if len(p.Rules) > 0 {
		i := slices.IndexFunc(p.Rules, func(u Rule) bool { ok, err := path.Match(u.Owner, owner); return ok && err == nil })
		if i < 0 {
			return Rule{}, fmt.Errorf("%w: no rule of the policy's [issue] names owner %q, so no token may be issued", Err, bound.Clip(owner))
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

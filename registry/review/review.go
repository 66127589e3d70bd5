// Package review proposes less where evidence shows that a token has too much: it
// was never used, some of its scopes never were, or a wildcard stands where few
// things were asked for.
//
// It reads what Verify and access logs showed (package usage) and changes nothing.
// What it proposes is a command for a person to run; it never proposes more rights.
// Start reading at Token, then Registry.
package review

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/registry/usage/watch"
)

const (
	// DefaultUnused is a quarter: what is done monthly, and at a quarter's end, has
	// been done in it.
	DefaultUnused = 90 * 24 * time.Hour
	// DefaultFew resources are written out by name without becoming a burden; with
	// more, the wildcard is likely meant.
	DefaultFew = 5
)

// Kinds of findings.
const (
	NeverUsed    = "never_used"
	Unused       = "unused"        // not for a long time
	UnusedScopes = "unused_scopes" // some scopes, or all
	TooBroad     = "too_broad"     // wildcards where few things were asked for
)

// Options say what is little.
type Options struct {
	Unused time.Duration // 0 is DefaultUnused
	Few    int           // 0 is DefaultFew
	Owner  string        // only tokens of this owner; "" is all
}

// Advice is what could be less of one token.
type Advice struct {
	Token registry.Token `json:"token"`
	Kinds []string       `json:"kinds"`
	// Why is the evidence, in words.
	Why string `json:"why"`
	// Unused are scopes that nothing was asked of; Broad maps one with wildcards to
	// what was.
	Unused []string            `json:"unused_scopes,omitempty"`
	Broad  map[string][]string `json:"too_broad,omitempty"`
	// Scopes are what the successor needs; nil where the token should end.
	Scopes []string `json:"scopes,omitempty"`
	// Command does it; empty where the registry cannot, because another issued it.
	Command string `json:"command,omitempty"`
}

// Token reviews a live token; s is what is known of its use, with no events where
// nothing is. It is nil where nothing can be said against it.
func Token(t registry.Token, s usage.Summary, now time.Time, o Options) *Advice {
	o.Unused, o.Few = cmp.Or(o.Unused, DefaultUnused), cmp.Or(o.Few, DefaultFew)
	since := now.Add(-o.Unused)
	if t.CreatedAt.After(since) {
		return nil // it had no time to be used
	}
	last := t.LastUsedAt
	if s.Events > s.Refusals && s.Last.After(last) { // by an access log
		last = s.Last
	}
	a := &Advice{Token: t}
	switch {
	case last.IsZero():
		a.Kinds, a.Why = []string{NeverUsed}, fmt.Sprintf("never used since %s", t.CreatedAt.Format(time.DateOnly))
		a.Command = fmt.Sprintf("quench token revoke %s --reason 'never used'", t.ID)
		return a
	case last.Before(since):
		a.Kinds, a.Why = []string{Unused}, fmt.Sprintf("not used since %s", last.Format(time.DateOnly))
		a.Command = fmt.Sprintf("quench token revoke %s --reason unused", t.ID)
		return a
	}
	return a.scopes(s, since, o.Few)
}

// scopes looks for those that are too much; nil where there are none.
func (a *Advice) scopes(s usage.Summary, since time.Time, few int) *Advice {
	// Names are forgotten where there are very many: then it is not known what was
	// not asked for. And evidence must reach back as far as what is called unused.
	if len(a.Token.Scopes) == 0 || s.Scopes.Different > len(s.Scopes.Known) || s.Events == 0 || s.First.After(since) {
		return nil
	}
	// A long name is kept cut, so that it is not known which scope it was of.
	if slices.ContainsFunc(s.Scopes.Known, func(k usage.Thing) bool { return bound.CheckScope(k.Name, true) != nil }) {
		return nil
	}
	asked := uint64(0)
	keep := []string{}
	hour := since.Truncate(time.Hour) // as exact as the times of things are
	for _, scope := range a.Token.Scopes {
		var used []string
		for _, k := range s.Scopes.Known {
			if !k.Last.Before(hour) && bound.Covers(scope, k.Name) {
				used = append(used, k.Name)
				asked += k.Uses
			}
		}
		slices.Sort(used)
		switch {
		case len(used) == 0:
			a.Unused = append(a.Unused, scope)
		case strings.Contains(scope, "*") && len(used) <= few:
			if a.Broad == nil {
				a.Broad = map[string][]string{}
			}
			a.Broad[scope] = used
			keep = append(keep, used...)
		default:
			keep = append(keep, scope)
		}
	}
	if len(a.Unused) == 0 && len(a.Broad) == 0 {
		return nil
	}
	a.Scopes = narrowest(keep)
	a.explain(s, since, asked)
	a.propose()
	return a
}

// narrowest leaves out what another scope of the list covers.
func narrowest(all []string) []string {
	slices.Sort(all)
	all = slices.Compact(all)
	return slices.DeleteFunc(slices.Clone(all), func(s string) bool {
		return slices.ContainsFunc(all, func(other string) bool { return other != s && bound.Covers(other, s) })
	})
}

func (a *Advice) explain(s usage.Summary, since time.Time, asked uint64) {
	var why []string
	if len(a.Unused) > 0 {
		a.Kinds = append(a.Kinds, UnusedScopes)
		why = append(why, fmt.Sprintf("nothing of %s was asked for since %s", strings.Join(a.Unused, " "), since.Format(time.DateOnly)))
	}
	if len(a.Broad) > 0 {
		a.Kinds = append(a.Kinds, TooBroad)
		for _, scope := range a.Token.Scopes {
			if used := a.Broad[scope]; used != nil {
				why = append(why, fmt.Sprintf("of %s only %s", scope, strings.Join(used, " ")))
			}
		}
	}
	if n := s.Events - s.Refusals; asked < n {
		why = append(why, fmt.Sprintf("%d of %d uses did not say for what", n-asked, n))
	}
	a.Why = strings.Join(why, "; ")
}

// propose makes the command.
func (a *Advice) propose() {
	switch {
	case a.Token.Origin != "issued":
		who := a.Token.Provider
		if who == "" {
			who = "who issued it"
		}
		a.Why += "; " + who + " must issue one with less"
	case len(a.Scopes) == 0:
		a.Scopes = nil
		a.Command = fmt.Sprintf("quench token suspend %s --reason 'none of its scopes is used'", a.Token.ID)
	default:
		a.Command = "quench token rotate " + a.Token.ID
		for _, s := range a.Scopes {
			if strings.Contains(s, "*") {
				s = "'" + s + "'" // all else that a scope may hold means nothing to a shell
			}
			a.Command += " --scope " + s
		}
	}
}

// Registry reviews all live tokens, and says how many there are and of how many
// nothing is known but a count of uses.
func Registry(ctx context.Context, r *registry.Registry, o Options) (all []Advice, live, blind int, err error) {
	w, err := watch.New(r, watch.Options{})
	if err != nil {
		return nil, 0, 0, err
	}
	tokens, err := r.List(ctx, registry.Filter{Owner: o.Owner, State: registry.Live})
	if err != nil {
		return nil, 0, 0, err
	}
	now := r.Now()
	for _, t := range tokens {
		s, err := w.State(ctx, t.ID)
		if err != nil {
			return nil, 0, 0, err
		}
		live++
		sum := s.Summary(now, &usage.Policy{})
		if sum.Events == 0 && t.Uses > 0 {
			blind++
		}
		if a := Token(t, sum, now, o); a != nil {
			all = append(all, *a)
		}
	}
	return all, live, blind, nil
}

// Package decide says what a policy wants done about a leaked secret: report, check,
// revoke, or ask a person.
//
// It knows the entries of a policy and what is known of a leak, and nothing else: it
// reads no file, calls nobody and keeps nothing. Start reading at Rules.Decide.
package decide

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Action is what is done about a leak.
type Action string

// The actions.
const (
	Report Action = "report" // it is in the report, and nobody is called
	Check  Action = "check"  // its provider is asked whether it is alive
	Ask    Action = "ask"    // an incident waits for a person to confirm
	Revoke Action = "revoke" // its provider is told to end it
	// Wait is no word of a policy: it is a revocation that is held back for a while.
	Wait Action = "wait"
)

// Rule is one entry of a policy. Each list that is not empty must hold the leak's
// value; the patterns know * and **.
type Rule struct {
	// Provider are exact names: who is called is never told by a pattern.
	Provider []string `toml:"provider"`
	Rule     []string `toml:"rule"`   // ids, or patterns
	Source   []string `toml:"source"` // git, worktree, file, stdin, tail
	Path     []string `toml:"path"`   // patterns of slash-separated paths
	// Branch are patterns of branches and tags that hold the leak's commit. What is
	// on none, or was not found in git, is on no branch.
	Branch []string `toml:"branch"`
	// Environment and Owner are those of the token, for tokens of the registry.
	Environment []string `toml:"environment"`
	Owner       []string `toml:"owner"`
	// Confidence is the least of a finding: low, medium or high. Empty is high for
	// revoke and any for all else: what may be no secret is not ended by itself.
	Confidence string `toml:"confidence"`
	Do         Action `toml:"do"`
	// Final holds back what cannot be undone.
	Final
}

// Rules are the entries in the order of the policy.
type Rules []Rule

// Leak is what is known of one.
type Leak struct {
	Provider, Rule, Source, Path string
	Refs                         []string // full names, such as refs/heads/main
	Environment, Owner           string
	Confidence                   string
}

// Decision is what is done, and why in words.
type Decision struct {
	Do    Action
	Why   string
	Final Final
}

var confidences = []string{"low", "medium", "high"}

// Check refuses entries that cannot be meant, by their number.
func (rs Rules) Check() error {
	for i, r := range rs {
		if err := r.check(); err != nil {
			return fmt.Errorf("leak %d: %w", i+1, err)
		}
	}
	return nil
}

func (r Rule) check() error {
	switch r.Do {
	case Report:
	case Check, Ask, Revoke:
		if len(r.Provider) == 0 {
			return fmt.Errorf("do = %q needs provider: nobody is called who is not named", r.Do)
		}
	case "":
		return errors.New("do is missing: want report, check, ask or revoke")
	default:
		return fmt.Errorf("do = %q is not known: want report, check, ask or revoke", r.Do)
	}
	for _, p := range slices.Concat(r.Rule, r.Path, r.Branch) {
		if !doublestar.ValidatePattern(p) {
			return fmt.Errorf("%q is no pattern", p)
		}
	}
	for _, p := range r.Provider {
		if strings.ContainsAny(p, "*?[{") || p == "" {
			return fmt.Errorf("provider %q: want exact names", p)
		}
	}
	if r.Do != Revoke && (r.Hours != "" || r.Grace != 0) || r.Do != Revoke && r.Do != Ask && len(r.Approvers) > 0 {
		return fmt.Errorf("hours and grace are for do = %q, approvers for that and for %q", Revoke, Ask)
	}
	if err := r.Final.Check(); err != nil {
		return err
	}
	if r.Confidence != "" && !slices.Contains(confidences, r.Confidence) {
		return fmt.Errorf("confidence %q is not known: want low, medium or high", r.Confidence)
	}
	return nil
}

// Decide gives what the first entry that holds for the leak says; report where none
// does.
func (rs Rules) Decide(l Leak) Decision {
	for i, r := range rs {
		if r.holds(l) {
			return Decision{r.Do, fmt.Sprintf("leak %d of the policy", i+1), r.Final}
		}
	}
	return Decision{Do: Report, Why: "no entry of the policy holds for it"}
}

func (r Rule) holds(l Leak) bool {
	least := r.Confidence
	if least == "" && r.Do == Revoke {
		least = "high"
	}
	return in(r.Provider, l.Provider) && in(r.Source, l.Source) && in(r.Environment, l.Environment) && in(r.Owner, l.Owner) &&
		Any(r.Rule, l.Rule) && Any(r.Path, l.Path) && r.onBranch(l.Refs) &&
		slices.Index(confidences, l.Confidence) >= slices.Index(confidences, least)
}

func (r Rule) onBranch(refs []string) bool {
	return len(r.Branch) == 0 || slices.ContainsFunc(refs, func(ref string) bool {
		for _, before := range []string{"refs/heads/", "refs/tags/", "refs/remotes/"} {
			if name, ok := strings.CutPrefix(ref, before); ok {
				return Any(r.Branch, name)
			}
		}
		return Any(r.Branch, ref)
	})
}

func in(list []string, value string) bool { return len(list) == 0 || slices.Contains(list, value) }

// Any reports whether one of the patterns matches; none at all match everything.
func Any(patterns []string, value string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool { return doublestar.MatchUnvalidated(p, value) })
}

package policy

import (
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/provider"
)

// Mode is what a command may do about leaked tokens of the registry.
type Mode string

const (
	// Off stores the finding and opens an incident; nothing is revoked.
	Off Mode = "off"
	// DryRun stores nothing and says exactly what Auto would do.
	DryRun Mode = "dry-run"
	// Auto revokes tokens of the registry that the policy does not protect.
	Auto Mode = "auto"
)

// ParseMode reads a mode as flags have it.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case Off, DryRun, Auto:
		return m, nil
	case "":
		return Off, nil
	}
	return "", fmt.Errorf("mode %q: want off, dry-run or auto", s)
}

// Off reports whether the kill switch is on, in the policy or the environment.
func (p Policy) Off() bool { return p.Revoke == "off" || os.Getenv("QUENCH_REVOKE") == "off" }

func (p Policy) checkLeaks() error {
	if p.Revoke != "" && p.Revoke != "on" && p.Revoke != "off" {
		return fmt.Errorf("revoke = %q is not known: want on or off", p.Revoke)
	}
	if err := p.Tokens.Check(); err != nil {
		return fmt.Errorf("tokens: %w", err)
	}
	return p.Leaks.Check()
}

// Decider is the part of the policy that decides about leaked secrets. t may be nil
// of a policy without apis.
func (p Policy) Decider(t *provider.Table, auto bool) *decide.Policy {
	d := &decide.Policy{Rules: p.Leaks, Brake: p.Brake, Tokens: p.Tokens, Off: p.Off(), Auto: auto, Place: p.place, Issuers: func(rule string) []string { return p.Issuers(t, rule) }}
	if t != nil {
		d.Undoes = func(name string) bool {
			v, err := t.Get(name)
			_, ok := v.(provider.Suspender)
			return err == nil && ok
		}
	}
	d.Protect.Providers, d.Protect.Rules, d.Protect.Paths = p.Protect.Providers, p.Protect.Rules, p.Protect.Paths
	return d
}

// Allowed says in words what the policy allows to be done about leaked secrets of
// providers, a line each.
func (p Policy) Allowed() []string { return p.Decider(nil, true).Allowed() }

// Lately is what was done without a person within the brakes' hour.
type Lately = decide.Lately

// Simulate reads findings, one JSON object a line as a scan writes them, and tells of
// each what --revoke=auto would do after what was done lately. It calls nobody.
func (p Policy) Simulate(in io.Reader, lately Lately, tell func(where, what string) error) error {
	t, err := p.Table()
	if err != nil {
		return err
	}
	return p.Decider(t, true).Simulate(in, lately, tell)
}

// place is a provider and the host that the policy pins for it.
func (p Policy) place(name string) string {
	for _, v := range p.Providers {
		if v.Name == name && v.Host != "" {
			return name + " (" + v.Host + ")"
		}
	}
	return name
}

// Issuers are the providers of the policy that issue what a rule finds, in its order.
func (p Policy) Issuers(t *provider.Table, rule string) (names []string) {
	for _, v := range p.Providers {
		if v.Kind != "api" {
			continue
		}
		if known, err := t.Get(v.Name); err == nil && slices.Contains(known.Info().Rules, rule) {
			names = append(names, v.Name)
		}
	}
	return names
}

// Rate is how often a provider may be called: as it says itself, or the policy.
func (p Policy) Rate(i provider.Info) budget.Rate {
	for _, v := range p.Providers {
		if v.Name == i.Name && v.Kind == "api" && v.CallsPerHour > 0 {
			return budget.PerHour(v.CallsPerHour)
		}
	}
	return i.Rate
}

// Protects reports whether the policy keeps a token from being revoked or suspended
// automatically.
func (p Policy) Protects(t registry.Token) bool {
	return slices.Contains(p.Protect.Tokens, t.ID) || slices.Contains(p.Protect.Owners, t.Owner)
}

package revoker

import (
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/provider"
)

// Off reports whether the kill switch is on, in the policy or the environment.
func (p Policy) Off() bool { return p.Revoke == "off" || os.Getenv("QUENCH_REVOKE") == "off" }

func (p Policy) checkLeaks() error {
	if p.Revoke != "" && p.Revoke != "on" && p.Revoke != "off" {
		return fmt.Errorf("revoke = %q is not known: want on or off", p.Revoke)
	}
	return p.Leaks.Check()
}

// decider is the part of the policy that decides about leaked secrets. t may be nil
// of a policy without apis.
func (p Policy) decider(t *provider.Table, auto bool) *decide.Policy {
	d := &decide.Policy{Rules: p.Leaks, Off: p.Off(), Auto: auto, Place: p.place, Issuers: func(rule string) []string { return p.issuers(t, rule) }}
	d.Protect.Providers, d.Protect.Rules, d.Protect.Paths = p.Protect.Providers, p.Protect.Rules, p.Protect.Paths
	return d
}

// Allowed says in words what the policy allows to be done about leaked secrets of
// providers, a line each.
func (p Policy) Allowed() []string { return p.decider(nil, true).Allowed() }

// Simulate reads findings, one JSON object a line as a scan writes them, and tells of
// each what --revoke=auto would do. It calls nobody and opens no registry.
func (p Policy) Simulate(in io.Reader, tell func(where, what string) error) error {
	t, err := p.Table()
	if err != nil {
		return err
	}
	return p.decider(t, true).Simulate(in, tell)
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

// issuers are the providers of the policy that issue what a rule finds, in its order.
func (p Policy) issuers(t *provider.Table, rule string) (names []string) {
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

// before says what became of an incident that a further place joins.
func (i Incident) before() (Action, string) {
	switch i.State {
	case StateDead:
		return AlreadyDead, "ended before, by the same incident"
	case StateAsking:
		return Asking, "not revoked: quench incident confirm " + i.ID + " ends it"
	case StateChecking, StateRevoking:
		return Queued, "its provider is being called already"
	case StateFailed:
		return Refused, "not ended: " + i.Note + "; see quench incident show " + i.ID
	case StateDismissed:
		return Reported, "dismissed: " + i.Note
	}
	return Reported, "its provider said before: " + string(i.Outcome)
}

// told puts the answer of the first attempt into words.
func (r *Revoker) told(c *Containment, o Outcome, err error) {
	see := "; see quench incident show " + c.IncidentID
	switch o {
	case Outcome(provider.Revoked):
		c.Action, c.DeadAt = Revoked, r.reg.Now()
		c.Text += ": it is dead there " + max(c.DeadAt.Sub(c.FoundAt).Round(time.Millisecond), time.Millisecond).String() + " after it was found"
	case Gone:
		c.Action, c.Text = AlreadyDead, c.Text+": it was dead already"
	case Outcome(provider.Dead), Outcome(provider.Live):
		c.Action, c.Text = Checked, c.Text+": it is "+string(o)
	case Accepted:
		c.Action, c.Text = Queued, c.Text+": taken, quench worker confirms it"
	case Denied, Outcome(provider.NeedsAdmin), Outcome(provider.Unsupported):
		c.Text += ": " + string(o) + see
		if c.TokenID == "" {
			c.Action = Refused
		}
	default:
		if err != nil {
			r.log.Warn("the queue will call the provider again", "incident", c.IncidentID, "err", err)
		}
		c.Action, c.Text = Queued, c.Text+": not done yet, quench worker goes on"
	}
}

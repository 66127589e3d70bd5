package revoker

import (
	"time"

	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/provider"
)

// before says what became of an incident that a further place joins.
func (i Incident) before() (Action, string) {
	switch i.State {
	case StateDead:
		return AlreadyDead, "ended before, by the same incident"
	case StateAsking:
		return Asking, "not revoked: quench incident confirm " + i.ID + " ends it"
	case StateWaiting:
		return i.held(), "not ended for good before " + i.DueAt.Format(decide.Stamp) + ", by the same incident"
	case StateResuming:
		return Reported, "dismissed, and being resumed: " + i.Note
	case StateChecking, StateRevoking:
		return Queued, "its provider is being called already"
	case StateFailed:
		return Refused, "not ended: " + i.Note + "; see quench incident show " + i.ID
	case StateDismissed:
		return Reported, "dismissed: " + i.Note
	}
	return Reported, "its provider said before: " + string(i.Outcome)
}

// held is what Containment says of an incident that waits.
func (i Incident) held() Action {
	if i.DeadAt.IsZero() {
		return Waiting
	}
	return Suspended
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
	case suspended:
		c.Action, c.DeadAt = Suspended, r.reg.Now()
		c.Text += ": it is refused there, and ended for good later; see quench incident show " + c.IncidentID
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

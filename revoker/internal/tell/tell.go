// Package tell words the alerts of incidents: what leaked, what was done, and what a
// person can do.
//
// It writes them in the transaction of what they tell of, and decides nothing. Start
// reading at Token.
package tell

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner"
)

// Incident is what is told of one.
type Incident struct {
	ID, TokenID, Provider, Rule, Outcome, Note string
	Resuming                                   bool
}

func (i Incident) subject() string {
	if i.TokenID != "" {
		return "token " + i.TokenID
	}
	return "the secret of " + i.Provider + " (" + i.Rule + ")"
}

// Done is what was done about a leak, as Containment says it.
type Done struct{ IncidentID, Action, Text, Offer string }

// Token writes the alert of a new incident of a token of the registry.
func Token(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, c Done, now time.Time) error {
	a := alert.Alert{Key: "incident/" + c.IncidentID, Kind: "token.leaked", Severity: alert.Critical, TokenID: tok.ID, IncidentID: c.IncidentID, Owner: tok.Owner, At: now,
		Title:   fmt.Sprintf("token %s of %s (%s) leaked: %s, line %d", tok.ID, tok.Owner, tok.Purpose, h.Origin.Path, h.Line),
		Details: map[string]string{"done": c.Action, "source": h.Origin.Source}}
	if h.Origin.Commit != "" {
		a.Details["commit"] = h.Origin.Commit
	}
	switch c.Action {
	case "revoked":
		a.Advice = "It is revoked (" + c.Text + "). Issue a new one to those who need it (quench token issue), and look where it was used: quench token show " + tok.ID + "."
	case "suspended":
		a.Advice = "Nobody can use it (" + c.Text + "). If this is no leak: quench incident dismiss " + c.IncidentID + " --reason TEXT resumes it."
	case "already-dead":
		a.Severity, a.Advice = alert.Info, "Nothing is to be done: "+c.Text+"."
	case "protected":
		a.Advice = "The policy protects it, so it is alive. Rotate it: quench token rotate " + tok.ID + " --now."
	default:
		a.Advice = "It is alive. Revoke it: quench token revoke " + tok.ID + "."
	}
	if o := c.Offer; o != "" {
		a.Advice += " And " + o + "."
	}
	_, err := alert.Append(ctx, tx, a)
	return err
}

// Secret writes the alert of a new incident of a secret; done is what Containment says.
func Secret(ctx context.Context, tx *sql.Tx, h scanner.Hit, inc Incident, p decide.Plan, done string, now time.Time) error {
	a := alert.Alert{Key: "incident/" + inc.ID + "/" + string(p.Do), Kind: "secret.leaked", Severity: alert.Critical, IncidentID: inc.ID, At: now,
		Title:   fmt.Sprintf("a secret of %s (%s) leaked: %s, line %d", inc.Provider, inc.Rule, h.Origin.Path, h.Line),
		Details: map[string]string{"done": done, "source": h.Origin.Source}}
	if h.Origin.Commit != "" {
		a.Details["commit"] = h.Origin.Commit
	}
	switch {
	case p.Do == decide.Ask:
		a.Advice = "It may be alive. " + sentence(p.Kept) + "End it: quench incident confirm " + inc.ID + "; or quench incident dismiss " + inc.ID + " --reason TEXT."
	case p.Do == decide.Wait:
		a.Advice = "It is alive, and ended not before " + p.Until.UTC().Format(decide.Stamp) + ": " + p.Kept + ". End it now: quench incident confirm " + inc.ID + "; or quench incident dismiss " + inc.ID + " --reason TEXT."
	case p.Calls():
		a.Advice = "Its provider is being called; see quench incident show " + inc.ID + "."
	default:
		a.Advice = "It may be alive. " + sentence(p.Kept) + "End it at its provider: quench revoke --provider " + inc.Provider + "."
	}
	_, err := alert.Append(ctx, tx, a)
	return err
}

func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:] + ". "
}

// Failed writes the alert of an incident that a person must act on.
func Failed(ctx context.Context, tx *sql.Tx, inc Incident, now time.Time) error {
	a := alert.Alert{Key: fmt.Sprintf("incident/%s/failed/%s/%d", inc.ID, inc.Outcome, now.Unix()/3600), Kind: "incident.failed", Severity: alert.Critical, TokenID: inc.TokenID,
		IncidentID: inc.ID, At: now, Title: inc.subject() + " is not ended at " + inc.Provider,
		Advice:  sentence(inc.Note) + "Then: quench incident retry " + inc.ID + ".",
		Details: map[string]string{"outcome": inc.Outcome, "provider": inc.Provider}}
	if inc.Outcome == string(provider.Live) {
		a.Kind, a.Title, a.Advice = "secret.alive", inc.subject()+" leaked and is alive", "End it: quench incident confirm "+inc.ID+"."
	}
	if inc.Resuming {
		a.Title = inc.subject() + " was dismissed, and is not resumed at " + inc.Provider
	}
	_, err := alert.Append(ctx, tx, a)
	return err
}

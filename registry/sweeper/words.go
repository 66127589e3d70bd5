package sweeper

import (
	"fmt"
	"strconv"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
)

// words is the alert of a deadline. successor is the id of the token that follows
// by rotation, empty when there is none.
func words(d registry.Due, ahead time.Duration, successor, kind string, now time.Time) alert.Alert {
	t := d.Token
	a := alert.Alert{
		Key: fmt.Sprintf("%s/%s/%d/%d", kind, t.ID, d.At.UnixMicro(), ahead/time.Second), Kind: kind,
		Severity: alert.Warning, TokenID: t.ID, Owner: t.Owner, At: now,
		Title:   fmt.Sprintf("token %s of %s (%s) %s", t.ID, t.Owner, t.Purpose, happens(d.Kind, ahead)),
		Advice:  advice(d, ahead, successor),
		Details: map[string]string{"deadline": d.At.Format(time.RFC3339), "uses": strconv.FormatInt(t.Uses, 10)},
	}
	if ahead > 24*time.Hour {
		a.Severity = alert.Info
	}
	if !t.LastUsedAt.IsZero() {
		a.Details["last_used_at"] = t.LastUsedAt.Format(time.RFC3339)
	}
	if successor != "" {
		a.Details["successor"] = successor
	}
	return a
}

func happens(kind string, ahead time.Duration) string {
	within := map[time.Duration]string{time.Hour: "an hour", 24 * time.Hour: "a day", 7 * 24 * time.Hour: "a week"}[ahead]
	switch {
	case kind == "expiry" && ahead == 0:
		return "has expired"
	case kind == "expiry":
		return "expires within " + within
	case ahead == 0:
		return "was to be rotated and has not been"
	}
	return "is to be rotated within " + within
}

func advice(d registry.Due, ahead time.Duration, successor string) string {
	t := d.Token
	switch {
	case d.Kind == "expiry" && ahead == 0 && successor != "":
		return fmt.Sprintf("It is refused from now on. Its successor is %s: what is refused now still has the old value.", successor)
	case d.Kind == "expiry" && ahead == 0:
		return "It is refused from now on. What still needs it is issued a new one: quench token issue."
	case successor != "":
		return fmt.Sprintf("Its successor is %s: make sure that all who use it have that one.", successor)
	case t.Provider != "":
		return fmt.Sprintf("%s issued it: have it renewed there and import the new one (quench token import). If nobody needs it, have it revoked.", t.Provider)
	case t.Origin == "imported":
		return "It was imported: issue its replacement (quench token issue), and revoke it: quench token revoke " + t.ID + "."
	}
	return fmt.Sprintf("Rotate it: quench token rotate %s. If nobody needs it, revoke it: quench token revoke %s.", t.ID, t.ID)
}

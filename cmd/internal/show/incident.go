package show

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/quench-dev/quench/revoker"
)

// Incidents writes a list as format (human or json) has it.
func Incidents(w io.Writer, format string, list []revoker.Incident) error {
	switch format {
	case "json":
		if list == nil {
			list = []revoker.Incident{}
		}
		return json.NewEncoder(w).Encode(list)
	case "human":
	default:
		return fmt.Errorf("unknown format %q: want human or json", format)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "no incidents")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "INCIDENT\tTOKEN\tSTATE\tFOUND\tFOUND→DEAD")
	n := ShortID(list)
	for _, i := range list {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", i.ID[:n], what(i), i.State, i.FoundAt.Local().Format(time.DateTime), between(i.FoundAt, i.DeadAt))
	}
	return tw.Flush()
}

// what names what leaked in a line: the token, or who issued the secret.
func what(i revoker.Incident) string {
	if i.TokenID != "" {
		return i.TokenID
	}
	return i.Provider + " secret"
}

// ShortID is how much of the ids tells those of a list apart: at least 18
// characters, which hold the millisecond and a counter, so that a line fits a
// terminal of 80. The other commands take the beginning of an id.
func ShortID(list []revoker.Incident) int {
	for n := 18; ; n++ {
		seen := map[string]bool{}
		for _, i := range list {
			if n >= len(i.ID) {
				return len(i.ID)
			}
			seen[i.ID[:n]] = true
		}
		if len(seen) == len(list) {
			return n
		}
	}
}

// between is the time from a to b, or "-" before b was reached: milliseconds as
// far as they matter, hours and days for what was found long before.
func between(a, b time.Time) string {
	switch d := b.Sub(a); {
	case a.IsZero() || b.IsZero():
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	default:
		return d.Round(time.Second).String()
	}
}

// Shown is foreign text made harmless to a terminal: a path with control
// characters is quoted.
func Shown(s string) string {
	if q := strconv.Quote(s); q != `"`+s+`"` {
		return q
	}
	return s
}

// Incident writes one with its times, places and receipts.
func Incident(w io.Writer, i revoker.Incident) error {
	var b strings.Builder
	fmt.Fprintf(&b, "incident %s: %s\n", i.ID, i.State)
	if i.TokenID != "" {
		fmt.Fprintf(&b, "token    %s\n", i.TokenID)
	} else {
		fmt.Fprintf(&b, "secret   %s (%s)\n", i.Hint, i.Rule)
	}
	if i.Provider != "" {
		fmt.Fprintf(&b, "provider %s\n", i.Provider)
	}
	if i.Outcome != "" {
		fmt.Fprintf(&b, "outcome  %s\n", i.Outcome)
	}
	if i.Note != "" {
		fmt.Fprintf(&b, "note     %s\n", Shown(i.Note))
	}
	if !i.DueAt.IsZero() {
		fmt.Fprintf(&b, "due      %s; quench incident confirm ends it now, dismiss stops that\n", i.DueAt.Local().Format(time.DateTime))
	}
	if i.Hours != "" {
		fmt.Fprintf(&b, "hours    %s\n", Shown(i.Hours))
	}
	if len(i.Approvers) > 0 {
		fmt.Fprintf(&b, "confirm  by %s\n", Shown(strings.Join(i.Approvers, ", ")))
	}
	b.WriteString("\n")
	tw := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, s := range []struct {
		name string
		at   time.Time
	}{{"leaked", i.LeakedAt}, {"found", i.FoundAt}, {"matched", i.MatchedAt}, {"revoking", i.RevokingAt}, {"suspended", i.SuspendedAt}, {"dead", i.DeadAt}, {"confirmed", i.ConfirmedAt}} {
		if s.at.IsZero() {
			continue
		}
		after := ""
		if s.at.After(i.FoundAt) {
			after = "+" + between(i.FoundAt, s.at)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\n", s.name, s.at.Local().Format("2006-01-02 15:04:05.000"), after)
	}
	tw.Flush()
	if i.Family != nil {
		fmt.Fprintf(&b, "\nnote: %s\n", i.Family.Offer())
	}
	b.WriteString("\nplaces\n")
	for _, p := range i.Places {
		where := p.Path
		if where == "" {
			where = p.Source
		}
		where = Shown(where)
		if p.Commit != "" {
			where += " in commit " + p.Commit[:min(10, len(p.Commit))]
		}
		fmt.Fprintf(&b, "  %s, line %d (%s)\n", where, p.Line, p.Rule)
	}
	if len(i.Receipts) > 0 {
		b.WriteString("\nreceipts\n")
	}
	for _, c := range i.Receipts {
		fmt.Fprintf(&b, "  %s  %s %s", c.At.Local().Format("2006-01-02 15:04:05.000"), strings.TrimSpace(c.Provider+" "+c.Call), c.Outcome)
		if c.Status != 0 {
			fmt.Fprintf(&b, ", status %d", c.Status)
		}
		fmt.Fprintf(&b, ", after %.1f ms", float64(c.Took.Microseconds())/1000)
		if c.Detail != "" {
			fmt.Fprintf(&b, "; %s", Shown(c.Detail))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Package show prints what commands answer with for people: tokens, incidents,
// audit events, rules and verdicts, as tables and sentences that fit a terminal.
//
// It is given what it prints and decides nothing; reports of a scan are package
// report's. Foreign text passes shown on its way to a terminal. Start reading at
// Tokens.
package show

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode/utf8"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
)

// Tokens writes a table of at most 80 columns.
func Tokens(w io.Writer, all []registry.Token) error {
	b := bufio.NewWriter(w)
	const line = "%-10s  %-9s  %-4s  %s  %s  %s\n"
	fmt.Fprintf(b, line, "ID", "STATE", "ENV", fit("OWNER", 14), fit("PURPOSE", 23), "EXPIRES")
	for _, t := range all {
		expires := "-"
		if !t.ExpiresAt.IsZero() {
			expires = t.ExpiresAt.Format(time.DateOnly)
		}
		fmt.Fprintf(b, line, t.ID, t.State, t.Env, fit(t.Owner, 14), fit(t.Purpose, 23), expires)
	}
	return b.Flush()
}

// fit cuts or pads s to n characters.
func fit(s string, n int) string {
	if have := utf8.RuneCountInString(s); have <= n {
		return s + strings.Repeat(" ", n-have)
	}
	return string([]rune(s)[:n-1]) + "…"
}

// Token writes all that is known of a token.
func Token(w io.Writer, t registry.Token) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(tw, "%s\t%s\n", name, value)
		}
	}
	row("id", t.ID)
	row("state", t.State)
	row("value", t.Hint)
	row("owner", t.Owner)
	row("purpose", t.Purpose)
	row("environment", t.Env)
	row("origin", t.Origin)
	row("provider", t.Provider)
	scopes := strings.Join(t.Scopes, " ")
	if scopes == "" {
		scopes = "none: it can do nothing"
	}
	row("scopes", scopes)
	row("tags", strings.Join(t.Tags, " "))
	if t.Family != t.ID {
		row("family", t.Family)
	}
	row("follows", t.Predecessor)
	row("created", Stamp(t.CreatedAt))
	row("expires", Stamp(t.ExpiresAt))
	if !t.RotateBy.IsZero() {
		row("rotate by", Stamp(t.RotateBy))
	}
	row("networks", strings.Join(t.Networks, " "))
	row("countries", strings.Join(t.Countries, " "))
	if t.State == registry.Revoked {
		row("revoked", Stamp(t.RevokedAt)+" by "+t.RevokedBy)
		row("reason", t.RevokedReason)
	}
	if t.Uses > 0 {
		row("last used", Stamp(t.LastUsedAt))
	}
	uses := strconv.FormatInt(t.Uses, 10)
	if t.MaxUses > 0 {
		uses += fmt.Sprintf(" of %d", t.MaxUses)
	}
	row("uses", uses)
	row("hard to find", strings.Join(t.HardToFind, "  "))
	return tw.Flush()
}

// Verdict says a verdict in a line for people.
func Verdict(v registry.Verdict, use registry.Use) string {
	t := v.Token
	switch v.Reason {
	case registry.ReasonValid:
		return fmt.Sprintf("valid: token %s of %s (%s)", t.ID, t.Owner, t.Purpose)
	case registry.ReasonMalformed:
		return "refused: malformed, it is mistyped or no token at all"
	case registry.ReasonUnknown:
		return "refused: unknown, it is not a token of this registry"
	case registry.ReasonExpired:
		return fmt.Sprintf("refused: expired, token %s of %s ended %s", t.ID, t.Owner, Stamp(t.ExpiresAt))
	case registry.ReasonRevoked:
		s := fmt.Sprintf("refused: revoked, token %s of %s was revoked %s by %s", t.ID, t.Owner, Stamp(t.RevokedAt), t.RevokedBy)
		if t.RevokedReason != "" {
			s += ": " + t.RevokedReason
		}
		return s
	case registry.ReasonOutOfScope:
		return fmt.Sprintf("refused: out_of_scope, token %s of %s may not do %s", t.ID, t.Owner, use.Scope)
	case registry.ReasonUsedUp:
		return fmt.Sprintf("refused: used_up, token %s of %s was good for %d uses", t.ID, t.Owner, t.MaxUses)
	case registry.ReasonWrongCountry:
		if use.Country == "" {
			return fmt.Sprintf("refused: wrong_country, token %s of %s is bound to countries, and the client's is not known (--country)", t.ID, t.Owner)
		}
		return fmt.Sprintf("refused: wrong_country, token %s of %s is not good from %s", t.ID, t.Owner, strings.ToUpper(use.Country))
	case registry.ReasonWrongNetwork:
		if !use.Address.IsValid() {
			return fmt.Sprintf("refused: wrong_network, token %s of %s is bound to networks, and the client's address is not told (--address)", t.ID, t.Owner)
		}
		return fmt.Sprintf("refused: wrong_network, token %s of %s is not good from %s", t.ID, t.Owner, use.Address)
	}
	return fmt.Sprintf("refused: %s, token %s of %s", v.Reason, t.ID, t.Owner)
}

// Stamp prints a time for people, to the second and in UTC.
func Stamp(t time.Time) string {
	if t.IsZero() {
		return "never, or not known"
	}
	return t.UTC().Format(time.RFC3339)
}

// JSON writes v indented.
func JSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// Event is what an event has beyond its kind, in a fixed order.
func Event(e audit.Entry) string {
	var out []string
	add := func(name, value string) {
		if value != "" {
			out = append(out, fmt.Sprintf("%s=%q", name, value))
		}
	}
	add("actor", e.Actor)
	add("token", e.TokenID)
	add("incident", e.IncidentID)
	for _, name := range slices.Sorted(maps.Keys(e.Details)) {
		add(name, e.Details[name])
	}
	for _, name := range slices.Sorted(maps.Keys(e.Public)) {
		add(name, e.Public[name])
	}
	if len(e.Erased) > 0 {
		out = append(out, "("+strings.Join(e.Erased, " and ")+" erased)")
	}
	return strings.Join(out, " ")
}

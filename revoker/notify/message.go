package notify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

	"github.com/quench-dev/quench/registry/alert"
)

// maxShown alerts of a message are told whole; of more only the number.
const maxShown = 10

// subject is a message in one line.
func subject(list []alert.Alert) string {
	s := clean(worst(list).Title)
	if n := len(list) - 1; n > 0 {
		s += fmt.Sprintf(" (and %d more)", n)
	}
	return s
}

// worst is the first of the worst alerts.
func worst(list []alert.Alert) alert.Alert {
	return slices.MaxFunc(list, func(a, b alert.Alert) int {
		return slices.Index(severities, a.Severity) - slices.Index(severities, b.Severity)
	})
}

// text is one alert in lines: what, the numbers behind it, what to do.
func text(a alert.Alert) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[%s] %s\n", a.Severity, clean(a.Title))
	for _, f := range fields(a) {
		fmt.Fprintf(&b, "  %s: %s\n", f[0], f[1])
	}
	fmt.Fprintf(&b, "  what to do: %s\n", clean(a.Advice))
	return b.String()
}

// fields are what is known of an alert, by name.
func fields(a alert.Alert) [][2]string {
	all := [][2]string{{"kind", clean(a.Kind)}, {"at", a.At.UTC().Format("2006-01-02 15:04:05 UTC")}}
	for k, v := range map[string]string{"token": a.TokenID, "incident": a.IncidentID, "owner": a.Owner} {
		if v != "" {
			all = append(all, [2]string{k, clean(v)})
		}
	}
	slices.SortStableFunc(all[2:], func(a, b [2]string) int { return strings.Compare(b[0], a[0]) }) // token, owner, incident
	for _, k := range slices.Sorted(maps.Keys(a.Details)) {
		all = append(all, [2]string{clean(k), clean(a.Details[k])})
	}
	return all
}

// body is all of a message.
func body(list []alert.Alert) string { return bodyOf(list, maxShown) }

// bodyOf tells so many of a message whole.
func bodyOf(list []alert.Alert, shown int) string {
	var b strings.Builder
	for i, a := range list {
		if i == shown {
			b.WriteString(more(list, shown))
			b.WriteByte('\n')
			break
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(text(a))
	}
	return b.String()
}

// more says how many of a message are not told whole, and where they are.
func more(list []alert.Alert, shown int) string {
	return fmt.Sprintf("and %d more: quench alert list --after %d", len(list)-shown, list[shown-1].ID)
}

// maxField bounds a text from elsewhere, in characters: names of files and clients
// may be long, and services refuse long fields.
const maxField = 500

// clean makes a text from elsewhere one line without characters that steer: names
// of files, owners and user agents are anybody's to choose.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if r := []rune(s); len(r) > maxField {
		s = string(r[:maxField]) + "…"
	}
	return s
}

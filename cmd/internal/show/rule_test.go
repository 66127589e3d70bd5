package show

import (
	"bytes"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
)

// The table of the built-in rules fits a terminal, with every word of it.
func TestRulesFitTerminal(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var rows []RuleRow
	for _, r := range set.Rules() {
		rows = append(rows, NewRuleRow(r))
	}
	var b bytes.Buffer
	if err := Rules(&b, rows, 80); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := len(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	var one bytes.Buffer
	for _, id := range []string{"service-uri", "github-pat", "algolia-api-key", "generic-assignment"} {
		r, _ := set.Rule(id)
		if err := Rule(&one, set, r, 80); err != nil {
			t.Fatal(err)
		}
	}
	for line := range strings.Lines(one.String()) {
		if n := len(strings.TrimRight(line, "\n")); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	joined := strings.Join(strings.Fields(b.String()), " ")
	for _, r := range rows {
		for word := range strings.FieldsSeq(r.ID + " " + r.Description) {
			if !strings.Contains(joined, word) {
				t.Errorf("%s: %q is missing", r.ID, word)
			}
		}
	}
}

package scanner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

func engineOf(t testing.TB) (*scanner.Engine, *rules.Set) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		t.Fatal(err)
	}
	return e, set
}

// counted gives how many secrets each rule found in text.
func counted(e *scanner.Engine, text string) map[string]int {
	n := map[string]int{}
	for _, m := range e.ScanBytes([]byte(text)) {
		n[m.Rule.ID]++
	}
	return n
}

// TestRulesThroughEngine runs every example and negative of every built-in
// rule through the engine, whose verdict must be what the rule's author says.
func TestRulesThroughEngine(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, negatives, err := r.ExpandExamples()
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		for i, ex := range examples {
			if n := counted(e, ex)[r.ID]; n != 1 {
				t.Errorf("%s: example %d: %d secrets, want 1: %q", r.ID, i+1, n, r.Examples[i])
			}
		}
		for i, ex := range negatives {
			if n := counted(e, ex)[r.ID]; n != 0 {
				t.Errorf("%s: negative %d: %d secrets, want 0: %q", r.ID, i+1, n, r.Negatives[i])
			}
		}
	}
	if err := e.Err(); err != nil {
		t.Fatal(err)
	}
}

// TestRulesCrossEngine wants the engine to name, for an example, its own rule,
// rules declared to overlap, and the generic one, no others.
func TestRulesCrossEngine(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, _, err := r.ExpandExamples()
		if err != nil {
			t.Fatal(err)
		}
		for i, ex := range examples {
			for id := range counted(e, ex) {
				other, _ := set.Rule(id)
				if id == r.ID || other.Kind == rules.KindAssignment || slices.Contains(r.Overlaps, id) || slices.Contains(other.Overlaps, r.ID) {
					continue
				}
				t.Errorf("%s also matches example %d of %s: %q", id, i+1, r.ID, r.Examples[i])
			}
		}
	}
}

// TestRulesAnywhere puts the secret of every rule at the edges of a text and
// between text that must not matter.
func TestRulesAnywhere(t *testing.T) {
	e, set := engineOf(t)
	pad := strings.Repeat("lorem ipsum dolor sit amet\n", 40)
	for _, r := range set.Rules() {
		examples, _, err := r.ExpandExamples()
		if err != nil {
			t.Fatal(err)
		}
		ex := examples[0]
		for name, text := range map[string]string{
			"after text":     pad + ex,
			"before text":    ex + "\n" + pad,
			"in text":        pad + ex + "\n" + pad,
			"crlf":           "a\r\n" + ex + "\r\nb",
			"invalid UTF-8":  "\xff\xfe\x80 " + ex + " \xff\xc3\n",
			"among NULs":     "\x00" + ex + "\x00",
			"unicode around": "„" + ex + "“",
		} {
			if n := counted(e, text)[r.ID]; n != 1 && !(r.Kind == rules.KindAssignment && name != "after text" && name != "before text" && name != "in text" && name != "crlf") {
				t.Errorf("%s: %s: %d secrets, want 1: %q", r.ID, name, n, r.Examples[0])
			}
		}
		if n := counted(e, ex+"\n"+pad+ex)[r.ID]; n != 2 {
			t.Errorf("%s: twice in a text: %d secrets, want 2: %q", r.ID, n, r.Examples[0])
		}
	}
}

// TestRulesSpan holds the span of each rule's first example to the secret.
func TestRulesSpan(t *testing.T) {
	e, set := engineOf(t)
	for _, r := range set.Rules() {
		examples, _, _ := r.ExpandExamples()
		for _, m := range e.ScanBytes([]byte(examples[0])) {
			if m.Rule.ID == r.ID && !m.Secret.Equal(secretOf(examples[0][m.Start:m.End])) {
				t.Errorf("%s: the secret is not what its span [%d,%d) holds", r.ID, m.Start, m.End)
			}
		}
	}
}

func secretOf(s string) secret.Secret { return secret.New([]byte(s)) }

func BenchmarkRulesFirstUse(b *testing.B) {
	set, err := rules.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	r, _ := set.Rule("github-pat")
	examples, _, err := r.ExpandExamples()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		e, err := scanner.New(set, scanner.Options{})
		if err != nil {
			b.Fatal(err)
		}
		if len(e.ScanBytes([]byte(examples[0]))) == 0 {
			b.Fatal(fmt.Errorf("nothing found"))
		}
	}
}

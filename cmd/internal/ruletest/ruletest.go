// Package ruletest tries rules on their own examples and near misses, as quench
// rules test reports it.
//
// It knows rules and the engine, and nothing of where rules come from. Start
// reading at Run.
package ruletest

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Run reports on one rule and counts what failed. Expanded examples are
// made up; what it prints of them is the template.
func Run(w io.Writer, eng *scanner.Engine, all *rules.Set, r *rules.Rule) (failed int, err error) {
	examples, negatives, err := r.ExpandExamples()
	if err != nil {
		return 0, err
	}
	others := map[string]bool{}
	fail := func(kind string, i int, template, format string, args ...any) {
		failed++
		fmt.Fprintf(w, "%s:%d: rule %q: %s %d: %s: %q\n", r.File, r.Line, r.ID, kind, i+1, fmt.Sprintf(format, args...), template)
	}
	for i, ex := range examples {
		n := 0
		for _, m := range eng.ScanBytes([]byte(ex)) {
			if m.Rule == r || slices.Contains(m.Also, r.ID) {
				n++
			}
			if m.Rule != r {
				others[m.Rule.ID] = true
			}
			for _, id := range m.Also {
				others[id] = id != r.ID || others[id]
			}
		}
		switch {
		case n == 0:
			fail("example", i, r.Examples[i], "finds no secret, %s", refusal(eng, r, ex))
		case n > 1:
			fail("example", i, r.Examples[i], "finds %d secrets, must find one", n)
		}
	}
	for i, ex := range negatives {
		for _, m := range eng.ScanBytes([]byte(ex)) {
			if m.Rule == r {
				fail("negative", i, r.Negatives[i], "finds a secret, must find none")
				break
			}
		}
	}
	if failed == 0 {
		fmt.Fprintf(w, "ok    %s  (%d examples, %d negatives)\n", r.ID, len(examples), len(negatives))
	}
	for _, id := range r.Overlaps {
		delete(others, id)
	}
	for _, o := range all.Rules() {
		if others[o.ID] {
			fmt.Fprintf(w, "note  %s: its examples are also found by %s; tighten it, or state overlaps\n", r.ID, o.ID)
		}
	}
	return failed, nil
}

// refusal says why r finds nothing in text.
func refusal(eng *scanner.Engine, r *rules.Rule, text string) string {
	for line := range bytes.Count([]byte(text), []byte{'\n'}) + 1 {
		for _, v := range eng.Explain("", []byte(text), line+1) {
			if v.Rule == r && v.Refusal != "" {
				return v.Refusal
			}
		}
	}
	if r.Kind == rules.KindAssignment {
		return "no assigned value"
	}
	if r.Kind == rules.KindContext {
		return "no value of the pattern near a keyword, given to a name with one of the words"
	}
	return "no keyword in it"
}

package show

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Verdicts writes what each rule thinks of the line at place; broken is what kept
// the engine from judging, returned at the end.
func Verdicts(w io.Writer, place string, vs []scanner.Verdict, broken error) error {
	if len(vs) == 0 {
		fmt.Fprintf(w, "%s: no rule has an anchor on this line\n", place)
		return broken
	}
	for _, v := range vs {
		verdict, why := "no ", v.Refusal
		if v.Found {
			verdict, why = "YES", strings.Join(append(v.Why, fmt.Sprintf("entropy %.2f", v.Entropy)), ", ")
			if len(v.Terms) > 0 && v.Confidence == rules.Low {
				verdict = "low" // found, and told only to those who ask for low confidence
			}
		}
		if _, err := fmt.Fprintf(w, "%s  %-28s  column %d  %s\n", verdict, v.Rule.ID, v.Column, why); err != nil {
			return err
		}
		writeTerms(w, v)
	}
	return broken
}

// writeTerms shows what the sum of points is made of, what weighs most first.
func writeTerms(w io.Writer, v scanner.Verdict) {
	terms := slices.DeleteFunc(slices.Clone(v.Terms), func(t scanner.Term) bool { return t.Points == 0 })
	slices.SortStableFunc(terms, func(a, b scanner.Term) int { return cmp.Compare(max(b.Points, -b.Points), max(a.Points, -a.Points)) })
	for _, t := range terms {
		fmt.Fprintf(w, "     %+4d  %s\n", t.Points, t.Name)
	}
	if len(terms) > 0 {
		fmt.Fprintf(w, "     %+4d  is the sum: %s\n", v.Points, v.Confidence)
	}
}

package scanner

import (
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/keywords"
)

// Verdict is what one rule said at one place, for quench explain.
type Verdict struct {
	Rule *rules.Rule
	// Line and Column are those of the anchor, or of the value for
	// assignments, from 1.
	Line, Column int
	// Found says that the rule matches here; Refusal says why it does not. A
	// refusal quotes nothing of the text.
	Found   bool
	Refusal string
	Entropy float64
	Why     []string
}

// Explain lists what every rule with an anchor on the given line of b says
// about it. It decides as a scan does, from the same windows.
func (e *Engine) Explain(b []byte, line int) []Verdict {
	lo, hi := lineSpan(b, line)
	var out []Verdict
	add := func(r *rules.Rule, at int, m raw, refusal string) {
		out = append(out, Verdict{Rule: r, Line: line, Column: at - lo + 1, Found: refusal == "", Refusal: refusal, Entropy: m.entropy, Why: m.why})
	}
	for _, t := range []*keywords.Table[*compiled]{e.lineKw, e.multiKw} {
		t.Find(b, lo, hi, func(c *compiled, start, end int) {
			m, refusal := e.decide(b, anchor{c, start, end})
			add(c.rule, start, m, refusal)
		})
	}
	for _, a := range e.assign {
		for i := lo; i < hi; i++ {
			if !valueStart(b, i) {
				continue
			}
			if m, refusal := a.decide(b, i); refusal == "" || m.key != "" {
				add(a.rule, i, m, refusal)
			}
		}
	}
	return out
}

// lineSpan gives the span of a line, counted from 1, without its line feed.
func lineSpan(b []byte, line int) (lo, hi int) {
	for n := 1; n < line && lo < len(b); lo++ {
		if b[lo] == '\n' {
			n++
		}
	}
	for hi = lo; hi < len(b) && b[hi] != '\n'; hi++ {
	}
	return lo, hi
}

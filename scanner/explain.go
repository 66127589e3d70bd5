package scanner

import (
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/chars"
	"github.com/quench-dev/quench/scanner/internal/keywords"
	"github.com/quench-dev/quench/scanner/internal/score"
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
	// Points are the sum of Terms, what speaks for and against an assigned value;
	// Start and End span it in the text.
	Points     int
	Confidence rules.Confidence
	Terms      []Term
	Start, End int
}

// Term is one thing that holds of a value, its name, its line or its path, and the
// points it adds: ten make the odds e times as good.
type Term = score.Term

// Explain lists what every rule with an anchor on the given line of b says
// about it, where b was found at path, or with no path. It decides as a scan does,
// from the same windows.
func (e *Engine) Explain(path string, b []byte, line int) []Verdict {
	lo, hi := chars.Line(b, line)
	var out []Verdict
	add := func(r *rules.Rule, at int, m raw, refusal string) *Verdict {
		out = append(out, Verdict{Rule: r, Line: line, Column: at - lo + 1, Found: refusal == "", Refusal: refusal, Entropy: m.entropy, Why: m.why})
		return &out[len(out)-1]
	}
	scored := func(v *Verdict, m raw, refusal string) {
		if m.score == nil || len(m.score.Terms) == 0 {
			return
		}
		v.Start, v.End = m.start, m.end
		all := m.score.Plus(score.OfPath(path, *m.score))
		v.Points, v.Confidence = all.Points, score.Confidence(all.Points)
		v.Terms = all.Terms
		if refusal == "" {
			_, v.Why = scoredAs(m.key, all)
		}
	}
	for _, t := range []*keywords.Table[*compiled]{e.lineKw, e.multiKw} {
		t.Find(b, lo, hi, func(c *compiled, start, end int) {
			if c.Rule.Kind == rules.KindContext {
				e.decideContext(b, anchor{c, start, end}, func(m raw) { add(c.Rule, m.start, m, "") }, func(refusal string) { add(c.Rule, start, raw{}, refusal) })
				return
			}
			m, refusal := e.decide(b, anchor{c, start, end})
			scored(add(c.Rule, start, m, refusal), m, refusal)
		})
	}
	e.assignKw.Find(b, lo, hi, func(a *assignment, start, end int) {
		if m, refusal := a.decide(b, start, end, nil); m.key != "" {
			m.entropy = chars.Entropy(b[m.start:m.end])
			scored(add(a.rule, m.start, m, refusal), m, refusal)
		}
	})
	return out
}

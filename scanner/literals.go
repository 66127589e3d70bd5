package scanner

import (
	"sync"

	"github.com/quench-dev/quench/scanner/internal/prefilter"
)

// literals finds the keywords of all rules in one pass. It answers exactly as
// the anchor tables do, which the plain engine uses, and is compiled when the
// first text asks for it.
type literals struct {
	once    sync.Once
	set     *prefilter.Set
	refs    []literalRef
	longest int
}

// literalRef says whose keyword a literal is.
type literalRef struct {
	rule   *compiled   // of a pattern rule, or nil
	assign *assignment // of an assignment rule, or nil
	length int
}

func (l *literals) compile(e *Engine) *literals {
	l.once.Do(func() {
		var lits []prefilter.Literal
		add := func(text string, fold bool, ref literalRef) {
			if len(text) < 2 {
				return // the loader refuses keywords this short
			}
			ref.length = len(text)
			lits = append(lits, prefilter.Literal{Text: text, Fold: fold})
			l.refs = append(l.refs, ref)
			l.longest = max(l.longest, len(text))
		}
		for _, cs := range [][]*compiled{e.line, e.multi} {
			for _, c := range cs {
				for _, k := range c.rule.Keywords {
					add(k, c.rule.Fold, literalRef{rule: c})
				}
			}
		}
		for _, a := range e.assign {
			for _, k := range a.keywords {
				add(string(k), true, literalRef{assign: a})
			}
		}
		l.set = prefilter.New(lits)
	})
	return l
}

// assignAnchor is a keyword of an assignment rule somewhere in a text: values
// assigned to a name that holds it may follow.
type assignAnchor struct {
	rule *assignment
	pos  int
	end  int // of the keyword
}

// reach is how far behind a keyword's first byte the value of its name can
// start: the rest of the name, a closing quote and bracket, white space, an
// operator, white space, and what may stand before a value.
const reach = maxName + 3 + maxGap + 3 + maxGap + 5

// names reports whether the keyword ends a word, as named asks for; another
// occurrence in the same name has an anchor of its own. Text holds "authority"
// and "tokens" far more often than a name that ends in a keyword.
func (a assignAnchor) names(buf []byte) bool {
	return a.end >= len(buf) || wordEnds(buf, a.end)
}

// tryFrom decides the values that start in buf[lo:hi] and belong to the name
// that holds the keyword: nothing but quotes, gaps, an operator and the prefix
// of a string literal stands between the two.
func (a assignAnchor) tryFrom(buf []byte, lo, hi int, f func(raw)) {
	j := a.pos
	for j < len(buf) && j-a.pos < maxName && nameByte[buf[j]] {
		j++
	}
	// What may stand between name and operator.
	q := j
	for q < len(buf) && q-j < maxGap+3 && isGap(buf[q]) {
		q++
	}
	if q == len(buf) || !operatorByte[buf[q]] || !a.names(buf) {
		return
	}
	letters := 0
	for i := j + 1; i < min(hi, a.pos+reach); i++ {
		if c := buf[i-1]; isLetter(c) && letters < 2 {
			letters++
		} else if !betweenByte[c] {
			return
		}
		if i >= lo && valueStart(buf, i) {
			if m, refusal := a.rule.decide(buf, i); refusal == "" {
				f(m)
			}
		}
	}
}

func isGap(c byte) bool {
	return c == ' ' || c == '\t' || c == '"' || c == '\'' || c == '`' || c == '\\' || c == ']'
}

// betweenByte are the bytes of gaps and operators.
var betweenByte = byteSet(" \t\"'`\\]=:|?+<>-!")

// operatorByte are the first bytes of the operators that skipOperator knows.
var operatorByte = byteSet("=:|?+<")

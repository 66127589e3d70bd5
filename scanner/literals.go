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
	mark   bool        // it is a mark, and no rule's
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
				for _, k := range c.Rule.Keywords {
					add(k, c.Rule.Fold, literalRef{rule: c})
				}
			}
		}
		for _, a := range e.assign {
			for _, k := range a.rule.Keywords {
				add(k, true, literalRef{assign: a})
			}
		}
		for _, m := range Marks {
			add(m, false, literalRef{mark: true})
		}
		l.set = prefilter.New(lits)
	})
	return l
}

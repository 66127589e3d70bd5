package scanner

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/wasilibs/go-re2"
	"github.com/wasilibs/go-re2/experimental"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/candidate"
	"github.com/quench-dev/quench/scanner/internal/keywords"
	"github.com/quench-dev/quench/scanner/internal/near"
	"github.com/quench-dev/quench/scanner/internal/simple"
)

// Options choose how an Engine works. The zero value is right for most.
type Options struct {
	// Known is asked about every token-like run; nil means no registry.
	Known Known
	// DecodeDepth is how many encodings deep the engine looks into a value; 0
	// means 3: an encoded Kubernetes secret inside an encoded manifest inside
	// an encoded log line. More only helps those who hide on purpose. A
	// negative depth decodes nothing.
	DecodeDepth int
	// Plain finds keywords and assignments the plainest way, byte by byte. It is
	// the oracle that the fast search is tested against, and stays for those
	// who doubt it.
	Plain bool
	// Dropped tells matches that have the form of a rule and were dropped all the
	// same, by an offline check, entropy or a stop word: see Match.Dropped.
	Dropped bool
}

// RegistryRule stands for matches that no rule made: the registry itself knew
// the run.
var RegistryRule = &rules.Rule{
	ID:          "issued-token",
	Description: "Token issued by this organisation",
	Provider:    "registry",
	Confidence:  rules.High,
}

// Engine decides matches. It is immutable and safe for concurrent use; its
// patterns are compiled when a keyword first asks for them.
type Engine struct {
	set      *rules.Set
	known    Known
	depth    int
	line     []*compiled // rules decided within a line, KindPattern
	multi    []*compiled // rules whose match may hold a line feed
	slow     []*compiled // rules without keywords
	assign   []*assignment
	lineKw   *keywords.Table[*compiled]
	multiKw  *keywords.Table[*compiled]
	assignKw *keywords.Table[*assignment]
	plain    bool
	dropped  bool
	halves   map[string]bool // rules that find one half of a credential
	lits     literals
	// lineWidth and slowWidth are the longest windows in bytes of rules decided
	// within a line and of slow ones: what a Stream must see to decide them.
	lineWidth, slowWidth int
}

// compiled is a pattern rule and its expressions, made when first needed.
type compiled struct {
	rule        *rules.Rule
	ready, once sync.Once
	atOnce      sync.Once
	// simple serves Prefixed rules whose pattern is, without the others; the
	// plain engine does without it.
	simple *simple.Pattern
	plain  bool
	// Every match holds these bytes, and this row of bytes; the plain engine tries
	// without.
	needs []byte
	run   *simple.Run
	// at matches at the first byte of its input, after at the second; they
	// serve Prefixed rules. find searches, for all others. All hold the
	// pattern as their first group, so that of the rule's groups is one more.
	at, after, find *re2.Regexp
	group           int
	near            *near.Search // of KindContext
	err             error
	failed          atomic.Bool // err is set, for those who did not call compile
}

// New makes an Engine of the rules in set. Patterns were checked by the loader
// and compile later, so New is cheap.
func New(set *rules.Set, o Options) (*Engine, error) {
	e := &Engine{set: set, known: o.Known, depth: o.DecodeDepth, plain: o.Plain, dropped: o.Dropped, halves: set.Halves()}
	if e.depth == 0 {
		e.depth = 3
	}
	for _, r := range set.Rules() {
		for _, k := range r.Keywords {
			if strings.ContainsRune(k, '\n') {
				return nil, fmt.Errorf("rule %q: a keyword holds a line feed; anchor the pattern at one of its lines", r.ID)
			}
		}
		if r.Kind == rules.KindAssignment {
			a := newAssignment(r)
			e.assign = append(e.assign, a)
			e.lineWidth = max(e.lineWidth, a.width())
			continue
		}
		if r.Width <= 0 {
			return nil, fmt.Errorf("rule %q: its pattern has no bounded width; set maxlen", r.ID)
		}
		c := &compiled{rule: r, plain: o.Plain}
		switch {
		case r.Slow() && r.Multiline:
			return nil, fmt.Errorf("rule %q: a pattern that can span lines needs keywords", r.ID)
		case r.Slow():
			e.slow = append(e.slow, c)
			e.slowWidth = max(e.slowWidth, r.Width)
			e.lineWidth = max(e.lineWidth, r.Width)
		case r.Multiline:
			e.multi = append(e.multi, c)
		default:
			e.line = append(e.line, c)
			e.lineWidth = max(e.lineWidth, r.Width)
		}
	}
	e.lineWidth = max(e.lineWidth, candidate.MaxLen)
	e.lineKw, e.multiKw, e.assignKw = keywordTable(e.line), keywordTable(e.multi), assignTable(e.assign)
	return e, nil
}

// anchor is one occurrence of a keyword of a rule.
type anchor struct {
	rule       *compiled
	start, end int // in the buffer
}

// keywordTable finds the keywords of some rules the plainest way.
func keywordTable(cs []*compiled) *keywords.Table[*compiled] {
	t := &keywords.Table[*compiled]{}
	for _, c := range cs {
		for _, w := range c.rule.Keywords {
			t.Add(w, c.rule.Fold, c.rule.ID, c)
		}
	}
	return t
}

// prepare reads off the pattern what decides most places without an expression.
func (c *compiled) prepare() {
	c.ready.Do(func() {
		r := c.rule
		if c.plain {
			return
		}
		if r.Prefixed && !r.Score {
			if m, ok := simple.New(r.Pattern); ok {
				c.group, c.simple = r.Group, m
				if c.group == 0 && len(m.Groups) == 2 {
					c.group = 1
				}
				if c.group < len(m.Groups) {
					return
				}
				c.simple = nil // let compile say what is wrong
			}
		}
		c.needs, c.run = r.Needs(), simple.RunOf(r.Pattern)
	})
}

// compile makes the expression that the rule is decided by. The loader has tried the
// pattern with Go's parser, which takes the same syntax; an error here is a defect
// worth a clear word and is reported once by the caller.
func (c *compiled) compile() error {
	c.once.Do(func() {
		r := c.rule
		if r.Kind == rules.KindContext {
			c.compileContext()
			return
		}
		format := `(%s)`
		if r.Prefixed {
			format = `(?s:\A.)(%s)`
		}
		re, err := experimental.CompileLatin1(fmt.Sprintf(format, r.Pattern))
		if err != nil {
			c.err = fmt.Errorf("rule %q: RE2 refuses its pattern: %w", r.ID, err)
		} else {
			groups := re.NumSubexp() - 1
			if c.group = r.Group; c.group == 0 && groups == 1 {
				c.group = 1
			}
			if c.group > groups {
				c.err = fmt.Errorf("rule %q: secret_group %d of %d", r.ID, c.group, groups)
			}
			c.group++
		}
		if r.Prefixed {
			c.after = re
		} else {
			c.find = re
		}
		c.failed.Store(c.err != nil)
	})
	return c.err
}

// first is after for a match at the very start of a text.
func (c *compiled) first() *re2.Regexp {
	c.atOnce.Do(func() {
		// It compiles: after did.
		c.at, _ = experimental.CompileLatin1(fmt.Sprintf(`\A(%s)`, c.rule.Pattern))
	})
	return c.at
}

// Err reports the rules whose patterns RE2 refused while the engine worked.
// Their matches are missing, so a scan with such an error is not complete.
func (e *Engine) Err() error {
	var errs []error
	for _, cs := range [][]*compiled{e.line, e.multi, e.slow} {
		for _, c := range cs {
			if c.failed.Load() {
				errs = append(errs, c.err)
			}
		}
	}
	return errors.Join(errs...)
}

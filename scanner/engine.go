package scanner

import (
	"errors"
	"fmt"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner/internal/candidate"
	"github.com/quench-dev/quench/scanner/internal/keywords"
	"github.com/quench-dev/quench/scanner/internal/pattern"
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
	// Allow are lists of what is no leak. They are asked what they have to say of
	// the text of a match, which Match.Allowed holds; what is told is for others.
	Allow *allow.Set
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
	line     []*compiled   // rules decided within a line, KindPattern
	multi    []*compiled   // rules whose match may hold a line feed
	slow     []*compiled   // rules without keywords
	paths    []*rules.Rule // that look at no text
	assign   []*assignment
	markKw   *keywords.Table[*compiled]
	lineKw   *keywords.Table[*compiled]
	multiKw  *keywords.Table[*compiled]
	assignKw *keywords.Table[*assignment]
	plain    bool
	dropped  bool
	composed bool // some rules look at what others find
	allow    *allow.Set
	halves   map[string]bool // rules that find one half of a credential
	lits     literals
	// lineWidth and slowWidth are the longest windows in bytes of rules decided
	// within a line and of slow ones: what a Stream must see to decide them.
	lineWidth, slowWidth int
	margin               int // what a match's line can depend on beyond the match
}

// New makes an Engine of the rules in set. Patterns were checked by the loader
// and compile later, so New is cheap.
func New(set *rules.Set, o Options) (*Engine, error) {
	e := &Engine{set: set, known: o.Known, depth: o.DecodeDepth, plain: o.Plain, dropped: o.Dropped, halves: set.Halves(), allow: o.Allow, margin: margin}
	if e.depth == 0 {
		e.depth = 3
	}
	if o.Allow.NeedLine() {
		e.margin += allow.Reach
	}
	for _, r := range set.Rules() {
		e.composed = e.composed || r.Requires != nil || r.Hidden || r.Yields
		for _, k := range r.Keywords {
			if strings.ContainsRune(k, '\n') {
				return nil, fmt.Errorf("rule %q: a keyword holds a line feed; anchor the pattern at one of its lines", r.ID)
			}
		}
		if r.Kind == rules.KindPath {
			e.paths = append(e.paths, r)
			continue
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
		c := &compiled{Rule: r, Plain: o.Plain}
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
	e.markKw = keywordTable([]*compiled{{Rule: markRule}})
	return e, nil
}

// compiled is a pattern rule and its expressions, made when first needed.
type compiled = pattern.Pattern

// anchor is one occurrence of a keyword of a rule.
type anchor struct {
	rule       *compiled
	start, end int // in the buffer
}

// keywordTable finds the keywords of some rules the plainest way.
func keywordTable(cs []*compiled) *keywords.Table[*compiled] {
	t := &keywords.Table[*compiled]{}
	for _, c := range cs {
		for _, w := range c.Rule.Keywords {
			t.Add(w, c.Rule.Fold, c.Rule.ID, c)
		}
	}
	return t
}

// Err reports the rules whose patterns RE2 refused while the engine worked.
// Their matches are missing, so a scan with such an error is not complete.
func (e *Engine) Err() error {
	var errs []error
	for _, cs := range [][]*compiled{e.line, e.multi, e.slow} {
		for _, c := range cs {
			errs = append(errs, c.Err())
		}
	}
	return errors.Join(errs...)
}

package gitleaks

import (
	"regexp/syntax"
	"slices"
	"strings"
	"unicode"
)

// Every match of most expressions holds one of a few texts. They are read off the
// expression in lower case: what is written in one piece, and each way to write it
// where parts have a few alternatives.

const (
	maxTexts = 64 // in a set: the prefilter takes some hundred for all rules
	maxChars = 64 // in a text
	// maxSpelt is the largest class spelt out: a digit or a case or two, no more.
	maxSpelt = 4
	// minAnchor is the shortest text to decide a match at: shorter ones are in
	// every line, and a search of the line is cheaper.
	minAnchor = 3
)

// facts are what is known of an expression's matches.
type facts struct {
	exact []string // all of them, where they are few
	best  []string // every match holds one of these
	lead  []string // and begins with one of these
	held  bool     // and one of the keywords
}

// anchors gives texts of which every match holds one, none where there are no good
// ones. held says that every match holds one of the keywords too.
func (e *expr) anchors(keywords []string) (anchors []string, held bool) {
	f := (&finder{keywords}).facts(e.re)
	f = (&finder{keywords}).whole(f)
	best := f.best
	if f.held && quality(keywords) >= min(quality(best), minAnchor) && len(keywords) <= maxTexts {
		best = keywords
	}
	// A line feed is never part of an anchor, and what begins or ends with blanks is
	// as good without.
	for i, s := range best {
		if strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e }) {
			return e.fallback(keywords, f.held)
		}
		best[i] = s
	}
	if quality(best) < minAnchor {
		return e.fallback(keywords, f.held)
	}
	return slices.Clone(best), f.held
}

// fallback anchors at short keywords, where every match holds one and there is
// nothing better: it is better than a search of every line.
func (e *expr) fallback(keywords []string, held bool) ([]string, bool) {
	if held && quality(keywords) >= 2 {
		return slices.Clone(keywords), true
	}
	return nil, held
}

// quality is the length of the shortest of a set.
func quality(set []string) int {
	if len(set) == 0 {
		return 0
	}
	n := len(set[0])
	for _, s := range set {
		n = min(n, len(s))
	}
	return n
}

type finder struct{ keywords []string }

// whole takes the exact texts into account.
func (f *finder) whole(x facts) facts {
	if x.exact != nil {
		x = f.consider(x, x.exact)
	}
	return x
}

// consider learns that every match holds one of set.
func (f *finder) consider(x facts, set []string) facts {
	if len(set) == 0 {
		return x
	}
	if q := quality(set); q > quality(x.best) || q > 0 && q == quality(x.best) && len(set) < len(x.best) {
		x.best = set
	}
	x.held = x.held || len(f.keywords) > 0 && !slices.ContainsFunc(set, func(s string) bool {
		return !slices.ContainsFunc(f.keywords, func(k string) bool { return strings.Contains(s, k) })
	})
	return x
}

func (f *finder) facts(re *syntax.Regexp) facts {
	switch re.Op {
	case syntax.OpLiteral:
		if len(re.Rune) > maxChars {
			return f.consider(facts{}, []string{lower(re.Rune[:maxChars])})
		}
		return facts{exact: []string{lower(re.Rune)}}
	case syntax.OpCharClass:
		return facts{exact: spell(re.Rune)}
	case syntax.OpCapture:
		return f.facts(re.Sub[0])
	case syntax.OpEmptyMatch, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpBeginText, syntax.OpEndText, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		return facts{exact: []string{""}}
	case syntax.OpQuest:
		if x := f.facts(re.Sub[0]); x.exact != nil && len(x.exact) < maxTexts {
			return facts{exact: union(x.exact, []string{""})}
		}
	case syntax.OpPlus:
		x := f.whole(f.facts(re.Sub[0]))
		x.exact = nil
		return x
	case syntax.OpRepeat:
		return f.repeat(re)
	case syntax.OpAlternate:
		return f.alternate(re)
	case syntax.OpConcat:
		return f.concat(re)
	}
	return facts{}
}

func (f *finder) repeat(re *syntax.Regexp) facts {
	x := f.facts(re.Sub[0])
	if re.Min == 0 {
		if x.exact != nil && re.Max == 1 {
			return facts{exact: union(x.exact, []string{""})}
		}
		return facts{}
	}
	run := []string{""}
	for range re.Min {
		next := cross(run, x.exact)
		if next == nil {
			x = f.consider(f.whole(x), run)
			x.exact = nil
			return x
		}
		run = next
	}
	if re.Max == re.Min {
		return facts{exact: run}
	}
	x = f.consider(f.whole(x), run)
	x.exact = nil
	return x
}

func (f *finder) alternate(re *syntax.Regexp) facts {
	var exact, best, lead []string
	open := false
	all, every, held := true, true, true
	for _, s := range re.Sub {
		x := f.facts(s)
		if x.exact == nil {
			all = false
		}
		exact = union(exact, x.exact)
		switch {
		case x.exact != nil:
			lead = union(lead, x.exact)
		case x.lead != nil:
			lead = union(lead, x.lead)
		default:
			open = true
		}
		x = f.whole(x)
		every = every && len(x.best) > 0
		best = union(best, x.best)
		held = held && x.held
	}
	if open || len(lead) > maxTexts {
		lead = nil
	}
	out := facts{held: held, lead: lead}
	if all && len(exact) <= maxTexts {
		out.exact = exact
	}
	if every && len(best) <= maxTexts {
		out.best = best
	}
	return out
}

func (f *finder) concat(re *syntax.Regexp) facts {
	var out facts
	run, all := []string{""}, true
	for _, s := range re.Sub {
		x := f.facts(s)
		if next := cross(run, x.exact); next != nil {
			run = next
			continue
		}
		if begun := cross(run, x.lead); begun != nil {
			run = begun
		}
		if all {
			out.lead = run
		}
		all = false
		out = f.consider(out, run)
		if run = x.exact; run == nil {
			run = []string{""}
			out = f.consider(out, x.best)
			out.held = out.held || x.held
		}
	}
	if all {
		out.exact = run
		return out
	}
	return f.consider(out, run)
}

// cross joins each of a with each of b; nil where those are too many or too long.
func cross(a, b []string) (out []string) {
	if b == nil || len(a)*len(b) > maxTexts {
		return nil
	}
	for _, s := range a {
		for _, t := range b {
			if len(s)+len(t) > maxChars {
				return nil
			}
			out = union(out, []string{s + t})
		}
	}
	return out
}

func union(a, b []string) []string {
	for _, s := range b {
		if !slices.Contains(a, s) {
			a = append(a[:len(a):len(a)], s)
		}
	}
	return a
}

func lower(rs []rune) string {
	var b strings.Builder
	for _, r := range rs {
		if r < 0x80 {
			r = unicode.ToLower(r)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// spell gives the characters of a small class.
func spell(ranges []rune) (out []string) {
	for i := 0; i+1 < len(ranges); i += 2 {
		for r := ranges[i]; r <= ranges[i+1]; r++ {
			if r > 0x7f {
				return nil
			}
			if out = union(out, []string{lower([]rune{r})}); len(out) > maxSpelt {
				return nil
			}
		}
	}
	return out
}

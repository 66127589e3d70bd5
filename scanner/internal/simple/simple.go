// Package simple matches patterns that need no regular expression engine. It knows
// the syntax of patterns and nothing of rules. Start reading at Pattern.
package simple

import "regexp/syntax"

// A Pattern is simple when it is a row of byte classes, each repeated, in which a class
// that may repeat more or less often is never followed by a byte of its own: taking
// as many as there are is then what a regular expression would do, and no other
// way of matching has to be tried. "ghp_[0-9A-Za-z]{36}" is one; most provider
// rules are. It is matched byte by byte, without calling RE2.
type Pattern struct {
	steps []step
	// Groups[i] are the first and one past the last step of capture group i;
	// Groups[0] is the whole match.
	Groups [][2]int
	// Crosses tells that a step takes line feeds.
	Crosses bool
}

type step struct {
	set      [256]bool
	min, max int
}

// maxSteps bounds a simple pattern: literals take one step a byte, and a step
// takes 272 bytes.
const maxSteps = 96

// New compiles a pattern, or says that it is not simple. The pattern was
// parsed by the loader before.
func New(pattern string) (*Pattern, bool) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil, false
	}
	s := &Pattern{Groups: make([][2]int, re.MaxCap()+1)}
	if !s.add(re) || len(s.steps) == 0 || len(s.steps) > maxSteps {
		return nil, false
	}
	s.Groups[0] = [2]int{0, len(s.steps)}
	for i := range s.steps {
		s.Crosses = s.Crosses || s.steps[i].set['\n']
	}
	return s, s.definite()
}

func (s *Pattern) add(re *syntax.Regexp) bool {
	switch re.Op {
	case syntax.OpEmptyMatch:
		return true
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if !s.add(sub) {
				return false
			}
		}
		return true
	case syntax.OpCapture:
		from := len(s.steps)
		if !s.add(re.Sub[0]) {
			return false
		}
		s.Groups[re.Cap] = [2]int{from, len(s.steps)}
		return true
	case syntax.OpLiteral:
		for _, r := range re.Rune {
			st := step{min: 1, max: 1}
			if !st.literal(r, re.Flags&syntax.FoldCase != 0) {
				return false
			}
			s.steps = append(s.steps, st)
		}
		return true
	case syntax.OpCharClass:
		s.steps = append(s.steps, classStep(re, 1, 1))
		return true
	case syntax.OpRepeat, syntax.OpQuest:
		lo, hi := re.Min, re.Max
		if re.Op == syntax.OpQuest {
			lo, hi = 0, 1
		}
		sub := re.Sub[0]
		if re.Flags&syntax.NonGreedy != 0 || hi < 0 {
			return false
		}
		switch {
		case sub.Op == syntax.OpCharClass:
			s.steps = append(s.steps, classStep(sub, lo, hi))
			return true
		case sub.Op == syntax.OpLiteral && len(sub.Rune) == 1:
			st := step{min: lo, max: hi}
			s.steps = append(s.steps, st)
			return s.steps[len(s.steps)-1].literal(sub.Rune[0], sub.Flags&syntax.FoldCase != 0)
		}
	}
	return false
}

func (st *step) literal(r rune, fold bool) bool {
	if r >= 0x80 {
		return false // the loader refuses these
	}
	st.set[r] = true
	if c := byte(r); fold && 'a' <= c|0x20 && c|0x20 <= 'z' {
		st.set[c|0x20], st.set[c&^0x20] = true, true
	}
	return true
}

// classStep reads a class as Latin-1: what it holds beyond U+00FF no byte is.
func classStep(re *syntax.Regexp, lo, hi int) step {
	st := step{min: lo, max: hi}
	for i := 0; i+1 < len(re.Rune); i += 2 {
		for r := re.Rune[i]; r <= min(re.Rune[i+1], 0xff); r++ {
			st.set[r] = true
		}
	}
	return st
}

// definite reports whether no step of varying length can be followed by a byte
// of its own.
func (s *Pattern) definite() bool {
	for i, st := range s.steps {
		if st.min == st.max {
			continue
		}
		for _, next := range s.steps[i+1:] {
			for b := range 256 {
				if st.set[b] && next.set[b] {
					return false
				}
			}
			if next.min > 0 {
				break
			}
		}
	}
	return true
}

// Match matches at the start of b and gives the span of a group.
func (s *Pattern) Match(b []byte, group int) (start, end int, ok bool) {
	g := s.Groups[group]
	p := 0
	for i := range s.steps {
		if i == g[0] {
			start = p
		}
		if i == g[1] {
			end = p
		}
		st := &s.steps[i]
		n := 0
		for n < st.max && p < len(b) && st.set[b[p]] {
			p++
			n++
		}
		if n < st.min {
			return 0, 0, false
		}
	}
	if g[0] == len(s.steps) {
		start = p
	}
	if g[1] == len(s.steps) {
		end = p
	}
	return start, end, true
}

package simple

import "regexp/syntax"

// A Run is a row of at least Len bytes of a set that every match of a pattern holds:
// the value of "acme.{0,20}([0-9a-f]{32})" is one. Where a text holds no such row the
// pattern need not be tried, which most words around a provider's name show at once:
// its rows are looked for in steps of Len bytes.
type Run struct {
	set [256]bool
	Len int
}

// leastRun is the shortest run worth looking for: shorter ones are in all text.
const leastRun = 8

// RunOf gives the longest run that can be read off a pattern; nil where there is none
// of leastRun bytes. The pattern was parsed by the loader before.
func RunOf(pattern string) *Run {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return nil
	}
	if _, best := runs(re); best.Len >= leastRun {
		return &best
	}
	return nil
}

// In reports whether b holds such a row.
func (r *Run) In(b []byte) bool {
	for end := r.Len; end <= len(b); {
		at := end - 1
		for at >= end-r.Len && r.set[b[at]] {
			at--
		}
		if at < end-r.Len {
			return true
		}
		end = at + 1 + r.Len
	}
	return false
}

// runs gives what all of every match is made of, with a Len of -1 where it is not of
// a token's bytes, and the longest run in it.
func runs(re *syntax.Regexp) (whole, best Run) {
	whole.Len = -1
	switch re.Op {
	case syntax.OpLiteral:
		whole.Len = len(re.Rune)
		for _, r := range re.Rune {
			st := step{}
			if r >= 0x80 || !st.literal(r, re.Flags&syntax.FoldCase != 0) {
				return Run{Len: -1}, Run{}
			}
			whole.add(&st.set)
		}
	case syntax.OpCharClass:
		whole.Len = 1
		st := classStep(re, 1, 1)
		whole.add(&st.set)
	case syntax.OpCapture:
		return runs(re.Sub[0])
	case syntax.OpStar, syntax.OpQuest, syntax.OpPlus, syntax.OpRepeat:
		least := map[syntax.Op]int{syntax.OpPlus: 1, syntax.OpRepeat: re.Min}[re.Op]
		if whole, best = runs(re.Sub[0]); least == 0 {
			best = Run{}
		}
		if whole.Len > 0 {
			whole.Len *= least
		}
	case syntax.OpAlternate:
		return either(re.Sub)
	case syntax.OpConcat:
		return row(re.Sub)
	case syntax.OpEmptyMatch, syntax.OpBeginText, syntax.OpEndText, syntax.OpBeginLine, syntax.OpEndLine, syntax.OpWordBoundary, syntax.OpNoWordBoundary:
		whole.Len = 0
	}
	if whole.Len >= 0 && !whole.token() {
		whole.Len = -1
	}
	if whole.Len > best.Len {
		best = whole
	}
	return whole, best
}

// either is runs of what matches as one of subs does.
func either(subs []*syntax.Regexp) (whole, best Run) {
	for i, sub := range subs {
		w, b := runs(sub)
		if i == 0 {
			whole, best = w, b
			continue
		}
		whole, best = whole.or(w), best.or(b)
	}
	return whole, best
}

// row is runs of subs one after the other.
func row(subs []*syntax.Regexp) (whole, best Run) {
	row := Run{}
	for _, sub := range subs {
		w, b := runs(sub)
		if b.Len > best.Len {
			best = b
		}
		if w.Len < 0 {
			whole.Len, row = -1, Run{}
			continue
		}
		row.add(&w.set)
		row.Len += w.Len
		if row.Len > best.Len {
			best = row
		}
	}
	if whole.Len == 0 {
		whole = row
	}
	return whole, best
}

func (r *Run) add(set *[256]bool) {
	for b, in := range set {
		r.set[b] = r.set[b] || in
	}
}

func (r Run) or(o Run) Run {
	r.Len = min(r.Len, o.Len)
	r.add(&o.set)
	return r
}

// token reports whether the bytes are those of tokens: white space and quotes around a
// value are what a run ends at.
func (r *Run) token() bool {
	for _, b := range []byte(" \t\n\"'`") {
		if r.set[b] {
			return false
		}
	}
	return true
}

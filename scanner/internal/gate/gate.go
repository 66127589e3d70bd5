// Package gate holds what was found in a text until all is known that decides
// whether it is told: marks on its lines ("quench:allow"), and for rules that ask
// for it, what else was found there.
//
// Containment does not pass here: a secret of ours is acted on in the moment it is
// found. A gate knows lines and rules, not texts and reports. Start reading at Gate.
package gate

import (
	"cmp"
	"slices"
	"sort"

	"github.com/quench-dev/quench/rules"
)

// Place is what a gate needs to know of a thing found.
type Place struct {
	Rule               *rules.Rule
	Start, End         int64
	Line, EndLine, Col int
	// Allowed says that a list allows it: for the others it is as if it was not found.
	Allowed bool
}

// Gate is that of one text. Its fields are set before anything is added.
type Gate[M any] struct {
	// Of gives the place of a thing found.
	Of func(*M) Place
	// Tell is told each in the order it was added, or later than what comes after
	// it; marked says that one of its lines is.
	Tell func(m M, marked bool)
	// Whole says that some rules look at all that was found: nothing is told
	// before Close.
	Whole bool

	held  []M
	marks []int // lines, sorted, once each
	lines int   // this many lines are known
}

// Reset makes the gate that of another text.
func (g *Gate[M]) Reset() {
	clear(g.held)
	g.held, g.marks, g.lines = g.held[:0], g.marks[:0], 0
}

// Mark says that a line, counted from 1, is marked.
func (g *Gate[M]) Mark(line int) {
	if i, ok := slices.BinarySearch(g.marks, line); !ok {
		g.marks = slices.Insert(g.marks, i, line)
	}
}

// Add takes a thing found.
func (g *Gate[M]) Add(m M) {
	if g.Whole || g.Of(&m).EndLine > g.lines {
		g.held = append(g.held, m)
		return
	}
	g.tell(m)
}

// Waiting reports whether anything is held.
func (g *Gate[M]) Waiting() bool { return len(g.held) > 0 }

// Settle says that the marks on the first n lines are known.
func (g *Gate[M]) Settle(n int) {
	g.lines = max(g.lines, n)
	if g.Whole {
		return
	}
	left := g.held[:0]
	for _, m := range g.held {
		if g.Of(&m).EndLine > g.lines {
			left = append(left, m)
			continue
		}
		g.tell(m)
	}
	clear(g.held[len(left):])
	g.held = left
}

// Close says that the text ended.
func (g *Gate[M]) Close() {
	if g.Whole {
		g.held = g.composed()
	}
	for _, m := range g.held {
		g.tell(m)
	}
	clear(g.held)
	g.held = g.held[:0]
}

func (g *Gate[M]) tell(m M) {
	p := g.Of(&m)
	g.Tell(m, g.Marked(p.Line, p.EndLine))
}

// Marked reports whether any line from one to another is marked, as far as is known.
func (g *Gate[M]) Marked(line, last int) bool {
	i, marked := slices.BinarySearch(g.marks, line)
	return marked || i < len(g.marks) && g.marks[i] <= last
}

// composed leaves what rules that look at others have told: those whose required
// rules were found near by, not those that serve others only, and not those that
// give way to a rule that knows better.
func (g *Gate[M]) composed() (out []M) {
	places := make([]Place, len(g.held))
	by := map[string]*found{}
	for i := range g.held {
		p := g.Of(&g.held[i])
		if places[i] = p; p.Allowed {
			continue
		}
		f := by[p.Rule.ID]
		if f == nil {
			f = &found{}
			by[p.Rule.ID] = f
		}
		f.byLine = append(f.byLine, p)
	}
	for _, f := range by {
		slices.SortFunc(f.byLine, func(a, b Place) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col)) })
		f.byCol = slices.SortedFunc(slices.Values(f.byLine), func(a, b Place) int { return cmp.Compare(a.Col, b.Col) })
	}
	told := make([]Place, 0, len(places)) // what is not told covers nothing
	for _, p := range places {
		if !p.Allowed && met(p, by) {
			told = append(told, p)
		}
	}
	over := newCover(told)
	for i, m := range g.held {
		p := places[i]
		if !p.Rule.Hidden && met(p, by) && !(p.Rule.Yields && over.holds(p)) {
			out = append(out, m)
		}
	}
	return out
}

// found is all that one rule found, in two orders, so that a text full of matches
// is no work that grows with its square.
type found struct{ byLine, byCol []Place }

// met reports whether each required rule was found near p.
func met(p Place, by map[string]*found) bool {
	for _, q := range p.Rule.Requires {
		if !slices.ContainsFunc(q.Rules, func(id string) bool { return by[id] != nil && by[id].near(p, q.Lines, q.Columns) }) {
			return false
		}
	}
	return true
}

// near reports whether anything lies at most so many lines and columns from p;
// nil is any number.
func (f *found) near(p Place, lines, columns *int) bool {
	switch {
	case lines == nil && columns == nil:
		return true
	case lines == nil:
		i := sort.Search(len(f.byCol), func(i int) bool { return f.byCol[i].Col >= p.Col-*columns })
		return i < len(f.byCol) && f.byCol[i].Col <= p.Col+*columns
	}
	from := 0
	if columns != nil {
		from = p.Col - *columns
	}
	for line := p.Line - *lines; ; line++ { // each line that has any, once
		i := sort.Search(len(f.byLine), func(i int) bool {
			o := f.byLine[i]
			return o.Line > line || o.Line == line && o.Col >= from
		})
		switch {
		case i == len(f.byLine) || f.byLine[i].Line > p.Line+*lines:
			return false
		case f.byLine[i].Line == line && (columns == nil || f.byLine[i].Col <= p.Col+*columns):
			return true
		}
		line = max(line, f.byLine[i].Line-1)
	}
}

// cover answers whether a span lies in one that does not yield and begins on the same
// line: what begins on another is another thing, such as a key that spans many.
type cover struct {
	all  []Place // by line and start
	ends []int64 // the farthest end on the line up to each
}

func newCover(all []Place) (c cover) {
	c.all = slices.DeleteFunc(slices.Clone(all), func(p Place) bool { return p.Rule.Yields || p.Rule.Hidden })
	slices.SortFunc(c.all, func(a, b Place) int { return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Start, b.Start)) })
	for i, p := range c.all {
		far := p.End
		if i > 0 && c.all[i-1].Line == p.Line {
			far = max(far, c.ends[i-1])
		}
		c.ends = append(c.ends, far)
	}
	return c
}

func (c cover) holds(p Place) bool {
	i := sort.Search(len(c.all), func(i int) bool {
		return c.all[i].Line > p.Line || c.all[i].Line == p.Line && c.all[i].Start > p.Start
	})
	return i > 0 && c.all[i-1].Line == p.Line && c.ends[i-1] >= p.End
}

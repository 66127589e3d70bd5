// Package delta takes over what is known of a text from the text it was made of.
//
// A text that is stored as its difference from another, which was scanned, shares
// most of its matches with it. It falls into parts at the line feeds that
// decode.Boundary accepts. All that decides a match within a line lies in that
// line, and all that decides a decoded view lies in its part; so a part's matches
// depend on its own bytes and the line feeds around it alone. A part that lies
// wholly in a stretch copied from the base, with what Boundary looks at around it,
// is a part of the base too, and its matches are those of the base. All other
// parts are put one after the other into one shorter text and scanned; that text's
// parts are these.
//
// Rules whose matches span lines look further. Their keywords hold no line feed, so
// these anchors are found and taken over as above; what was decided at one is taken
// over when all that it could look at is copied, and decided again otherwise.
//
// It knows nothing of rules, matches and anchors but where they lie: an Engine
// decides. Start reading at Scanner.Scan.
package delta

import (
	"bytes"
	"cmp"
	"slices"
	"sort"

	"github.com/quench-dev/quench/scanner/internal/decode"
	"github.com/quench-dev/quench/sources"
)

// Engine decides matches M and finds anchors A of what spans lines.
type Engine[M, A any] interface {
	// Part finds all of text, a row of whole parts: the matches decided within
	// lines and in decoded views, and the anchors of what spans lines, undecided.
	Part(text []byte, match func(m M, start, end int), anchor func(a A, start, end int))
	// Decide decides an anchor of the whole text.
	Decide(text []byte, a A, start, end int) (m M, from, to int, ok bool)
	// Reach is how far from its anchor a decision and what it tells depend on
	// the text, in bytes to either side.
	Reach(a A) int
	// Order orders matches of one span, and anchors of one span, by rule.
	Order(a, b M) int
	OrderAnchors(a, b A) int
	// Repeats reports whether m, decoded, repeats spanning, of the same span: it
	// is not told then.
	Repeats(m, spanning M) bool
}

// Carried is what a scanned text hands to those made of it. It is immutable.
type Carried[M, A any] struct {
	matches []match[M] // within lines and parts, by start
	anchors []anchor[M, A]
}

// match lies at start to end of the text at hand.
type match[M any] struct {
	start, end int
	m          M
}

// anchor is where a match that spans lines could be, and what was decided there.
type anchor[M, A any] struct {
	a          A
	start, end int
	decided    bool
	ok         bool // it matches
	match      match[M]
}

// Scanner scans texts by their differences, one after the other.
type Scanner[M, A any] struct {
	Engine Engine[M, A]

	zones  []zone
	buf    []byte
	pieces []piece
}

// zone is a stretch of whole parts that lies in one copy.
type zone struct {
	from, to int // in the text
	src      int // from, in the base
	// copyFrom and copyTo are the ends of the copy it lies in; beyond either end
	// of the text when the copy reaches it and base and text end there alike.
	copyFrom, copyTo int
}

// piece says where a stretch of the shorter text lies in the whole one.
type piece struct {
	at, in int
}

// Scan finds all matches of a content, of which base is known, or nil. emit gets
// them in the order of their places; spans says that one spans lines.
func (d *Scanner[M, A]) Scan(c *sources.Content, base *Carried[M, A], emit func(m M, start, end int, spans bool)) *Carried[M, A] {
	d.zones = d.zones[:0]
	if base != nil {
		d.findZones(c.Data, c.Copies, c.BaseLen)
	}
	out := &Carried[M, A]{}
	d.fresh(c.Data, out)
	if base != nil {
		d.inherit(base, out)
	}
	for i := range out.anchors {
		if a := &out.anchors[i]; !a.decided {
			a.match.m, a.match.start, a.match.end, a.ok = d.Engine.Decide(c.Data, a.a, a.start, a.end)
			a.decided = true
		}
	}
	slices.SortStableFunc(out.matches, d.order)
	slices.SortFunc(out.anchors, func(a, b anchor[M, A]) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), d.Engine.OrderAnchors(a.a, b.a))
	})
	d.emit(out, emit)
	return out
}

func (d *Scanner[M, A]) order(a, b match[M]) int {
	return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), d.Engine.Order(a.m, b.m))
}

// emit gives all matches in order.
func (d *Scanner[M, A]) emit(c *Carried[M, A], emit func(m M, start, end int, spans bool)) {
	var spanning []match[M]
	for _, a := range c.anchors {
		if a.ok {
			spanning = append(spanning, a.match)
		}
	}
	slices.SortStableFunc(spanning, d.order)
	spanning = slices.CompactFunc(spanning, func(a, b match[M]) bool { return d.order(a, b) == 0 })
	k := 0
	for _, m := range c.matches {
		if len(spanning) > 0 {
			for ; k < len(spanning) && d.order(spanning[k], m) <= 0; k++ {
				emit(spanning[k].m, spanning[k].start, spanning[k].end, true)
			}
			if slices.ContainsFunc(spanning, func(s match[M]) bool {
				return s.start == m.start && s.end == m.end && d.Engine.Repeats(m.m, s.m)
			}) {
				continue
			}
		}
		emit(m.m, m.start, m.end, false)
	}
	for _, s := range spanning[k:] {
		emit(s.m, s.start, s.end, true)
	}
}

// leastCopy is the shortest copy looked into, in bytes: two lines. Most copies are
// shorter, the words that a changed line has left, and hold no part.
const leastCopy = 64

// findZones finds the stretches of whole parts in each copy.
func (d *Scanner[M, A]) findZones(text []byte, copies []sources.Copy, baseLen int) {
	for _, c := range copies {
		if c.Len < leastCopy && c.Dst > 0 {
			continue
		}
		z := zone{copyFrom: c.Dst, copyTo: c.Dst + c.Len}
		end := z.copyTo
		if c.Dst == 0 && c.Src == 0 {
			z.from, z.copyFrom = 0, -1<<62
		} else if z.from = nextPart(text, c.Dst, end); z.from < 0 {
			continue
		}
		if end == len(text) && c.Src+c.Len == baseLen {
			z.to, z.copyTo = end, 1<<62
		} else {
			z.to = lastPart(text, z.from, end, c.Dst)
		}
		if z.to > z.from {
			z.src = z.from - c.Dst + c.Src
			d.zones = append(d.zones, z)
		}
	}
}

// nextPart gives where the first part begins whose boundary lies in text[from:to]
// with all that makes it one; -1 when there is none.
func nextPart(text []byte, from, to int) int {
	for i := from; ; i++ {
		k := bytes.IndexByte(text[i:to], '\n')
		if k < 0 {
			return -1
		}
		if i += k; i-decode.BoundaryWidth >= from && i+decode.BoundaryWidth < to && decode.Boundary(text, i) {
			return i + 1
		}
	}
}

// lastPart gives where the last part ends, from from on, whose boundary lies in
// text[lo:to] with all that makes it one.
func lastPart(text []byte, from, to, lo int) int {
	for i := to; ; {
		k := bytes.LastIndexByte(text[from:i], '\n')
		if k < 0 {
			return from
		}
		if i = from + k; i-decode.BoundaryWidth >= lo && i+decode.BoundaryWidth < to && decode.Boundary(text, i) {
			return i + 1
		}
	}
}

// fresh scans what lies in no zone.
func (d *Scanner[M, A]) fresh(text []byte, out *Carried[M, A]) {
	d.buf, d.pieces = d.buf[:0], d.pieces[:0]
	at := 0
	add := func(to int) {
		if at == to {
			return
		}
		if at > 0 && len(d.buf) == 0 {
			d.buf = append(d.buf, '\n') // the boundary before; further pieces follow one
		}
		d.pieces = append(d.pieces, piece{len(d.buf), at})
		d.buf = append(d.buf, text[at:to]...)
	}
	if len(d.zones) == 0 {
		if len(text) > 0 {
			d.pieces = append(d.pieces, piece{0, 0})
			d.part(text, out)
		}
		return
	}
	for _, z := range d.zones {
		add(z.from)
		at = z.to
	}
	add(len(text))
	if len(d.buf) > 0 {
		d.part(d.buf, out)
	}
}

// part scans the text that the pieces were joined to.
func (d *Scanner[M, A]) part(buf []byte, out *Carried[M, A]) {
	k := 0
	place := func(pos int) int { // matches come nearly in order
		for k > 0 && d.pieces[k].at > pos {
			k--
		}
		for k+1 < len(d.pieces) && d.pieces[k+1].at <= pos {
			k++
		}
		return pos - d.pieces[k].at + d.pieces[k].in
	}
	d.Engine.Part(buf, func(m M, start, end int) {
		at := place(start)
		out.matches = append(out.matches, match[M]{at, at + end - start, m})
	}, func(a A, start, end int) {
		at := place(start)
		out.anchors = append(out.anchors, anchor[M, A]{a: a, start: at, end: at + end - start})
	})
}

// inherit takes over what lies in zones.
func (d *Scanner[M, A]) inherit(base, out *Carried[M, A]) {
	for _, z := range d.zones {
		shift, to := z.from-z.src, z.src+z.to-z.from
		i := sort.Search(len(base.matches), func(i int) bool { return base.matches[i].start >= z.src })
		for ; i < len(base.matches) && base.matches[i].start < to; i++ {
			m := base.matches[i]
			out.matches = append(out.matches, match[M]{m.start + shift, m.end + shift, m.m})
		}
		i = sort.Search(len(base.anchors), func(i int) bool { return base.anchors[i].start >= z.src })
		for ; i < len(base.anchors) && base.anchors[i].start < to; i++ {
			a := base.anchors[i]
			a.start, a.end = a.start+shift, a.end+shift
			a.match.start, a.match.end = a.match.start+shift, a.match.end+shift
			if reach := d.Engine.Reach(a.a); a.end-reach < z.copyFrom || a.start+reach > z.copyTo {
				a = anchor[M, A]{a: a.a, start: a.start, end: a.end}
			}
			out.anchors = append(out.anchors, a)
		}
	}
}

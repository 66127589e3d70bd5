package scanner

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/quench-dev/quench/scanner/internal/chars"
	"github.com/quench-dev/quench/scanner/internal/delta"
	"github.com/quench-dev/quench/scanner/internal/mask"
	"github.com/quench-dev/quench/sources"
)

// deltaScan scans texts by their differences, one after the other: it is the
// engine of package delta, which tells why that finds what a full scan does.
type deltaScan struct {
	delta.Scanner[*Match, *compiled]
	e     *Engine
	s     *Stream // scans what was not copied
	lines *Stream // decides the lines around a match that spans some
}

type carried = delta.Carried[*Match, *compiled]

func newDeltaScan(e *Engine) *deltaScan {
	d := &deltaScan{e: e, s: e.NewStream(nil), lines: e.NewStream(nil)}
	d.Engine, d.lines.judged = d, d.s.judged
	return d
}

// scan decides all matches of a content, in the order of their places, and gives
// what the scans of texts made of it need; nil when they need to be scanned whole.
func (d *deltaScan) scan(c *sources.Content, emit func(Match)) any {
	if d.e.knowsLineFeeds() {
		mark := func(start, _ int) { emit(Match{Rule: markRule, Line: 1 + bytes.Count(c.Data[:start], newline)}) }
		for _, m := range d.s.whole(c.Data, 0, nil, mark) {
			emit(m)
		}
		return nil
	}
	base, _ := c.Base.(*carried)
	line, at := 1, 0
	return d.Scan(c, base, func(m *Match, start, end int, spans bool) {
		own := *m
		line, at = line+bytes.Count(c.Data[at:start], newline), start
		own.Line, own.EndLine = line, line+m.EndLine-m.Line
		own.Start, own.End = int64(start), int64(end)
		if spans { // its line may begin before what was copied
			own.Column, own.Column16 = columns(c.Data, start)
			own.EndColumn, own.EndColumn16 = columns(c.Data, end-1)
		}
		emit(own)
	})
}

func columns(text []byte, pos int) (column, column16 int) {
	before := text[bytes.LastIndexByte(text[:pos], '\n')+1 : pos]
	return len(before) + 1, chars.UTF16Len(before) + 1
}

// knowsLineFeeds reports whether the registry has tokens that hold line feeds:
// they can lie across parts.
func (e *Engine) knowsLineFeeds() bool {
	return e.known != nil && slices.ContainsFunc(e.known.Shapes(), func(s Shape) bool { return strings.Contains(s.Extra, "\n") })
}

// Part implements delta.Engine.
func (d *deltaScan) Part(text []byte, match func(m *Match, start, end int), found func(c *compiled, start, end int)) {
	d.s.Reset(func(m Match) { match(&m, int(m.Start), int(m.End)) })
	d.s.multi = func(a anchor) { found(a.rule, a.start, a.end) }
	d.s.mark = func(start, end int) { match(&Match{Rule: markRule}, start, end) }
	d.s.borrowed(text, func() { d.s.process(true) })
}

// Decide implements delta.Engine. The lines that a match begins and ends on are
// decided too, since what is found on them is masked with it.
func (d *deltaScan) Decide(text []byte, c *compiled, start, end int) (out *Match, from, to int, ok bool) {
	r, refusal := d.e.decide(text, anchor{c, start, end})
	if refusal != "" {
		return nil, 0, 0, false
	}
	lo, hi := max(0, bytes.LastIndexByte(text[:r.start], '\n')), len(text)
	if i := bytes.IndexByte(text[r.end:], '\n'); i >= 0 {
		hi = r.end + i + 1
	}
	from, to = r.start, r.end
	r.start, r.end = r.start-lo, r.end-lo
	d.lines.Reset(func(Match) {})
	d.lines.multi = func(anchor) {}
	d.lines.borrowed(text[lo:hi], func() {
		d.lines.process(true)
		d.lines.emit = func(m Match) { out = &m }
		d.lines.send(r)
		out.Allowed = d.e.allow.Decide(c.Rule.ID, text, from, to, from-r.lead, to+r.tail)
	})
	return out, from, to, true
}

// borrowed runs fn with a buffer that is not the stream's own.
func (s *Stream) borrowed(buf []byte, fn func()) {
	own := s.buf
	s.buf = buf
	fn()
	s.buf = own
}

// Reach implements delta.Engine: what a decision and the line shown of it look at
// (see window, judge and masked), and what decides the others shown on that line.
func (d *deltaScan) Reach(c *compiled) int {
	return c.Rule.Width + d.e.margin + mask.Context + 3*d.e.lineWidth
}

// Order implements delta.Engine.
func (d *deltaScan) Order(a, b *Match) int { return cmp.Compare(a.Rule.ID, b.Rule.ID) }

// OrderAnchors implements delta.Engine.
func (d *deltaScan) OrderAnchors(a, b *compiled) int { return cmp.Compare(a.Rule.ID, b.Rule.ID) }

// Repeats implements delta.Engine.
func (d *deltaScan) Repeats(m, spanning *Match) bool {
	return len(m.DecodedVia) > 0 && m.Rule == spanning.Rule
}

// Package decode finds the parts of a text that hold another text in some
// encoding, and decodes them: base64, hexadecimal, percent and backslash
// escapes, UTF-16, string literals joined by operators, continued lines, and
// gzip or zlib inside base64.
//
// A Walker walks a text that comes in pieces; the segments it gives do not
// depend on the pieces. It knows nothing of rules and judges only whether what
// comes out is text. Each decoder costs next to nothing on text that does not
// use its encoding: it looks for a rare byte, or at every n-th one. Start reading
// at Walker, then decoders.go.
package decode

import "github.com/quench-dev/quench/scanner/internal/runs"

// A run longer than segmentLen is decoded in pieces that begin every
// segmentStep, both multiples of 4 so that base64 decodes piece by piece; the
// overlap of 16 KB encoded is wider than any rule's window once decoded.
const (
	segmentLen  = 64 << 10
	segmentStep = 48 << 10
)

// lookBack is how far before its trigger a run may have begun: the name that a
// value is assigned to, and the value up to its first escape.
const lookBack = 4 << 10

// Segment is one decoded piece of a run.
type Segment struct {
	// Via names the decoders, the outer one first: "base64", or "base64" and
	// "gzip".
	Via []string
	// Start and End span the encoded bytes in the text.
	Start, End int
	// View is what they decode to.
	View []byte
	// source is the offset from Start for each byte of View and for its end; nil
	// for base64, where it is told by arithmetic, and for compressed data, where
	// there is none finer than the whole.
	source      []int32
	whole       bool
	first, last bool
}

// Span gives the encoded span of View[from:to].
func (s *Segment) Span(from, to int64) (start, end int) {
	switch {
	case s.whole:
		return s.Start, s.End
	case s.source == nil:
		return s.Start + int(from/3*4), min(s.End, s.Start+int((to+2)/3*4))
	}
	return s.Start + int(s.source[from]), s.Start + int(s.source[to])
}

// Owns reports whether a match whose encoded span starts at start is this
// segment's to report: of what two neighbours both see, each owns the half of
// the overlap that lies further from its edge.
func (s *Segment) Owns(start int) bool {
	const half = (segmentLen - segmentStep) / 2
	off := start - s.Start
	return (s.first || off >= half) && (s.last || off < segmentLen-half)
}

// input is the text held, and what finds runs and triggers in it.
type input struct {
	text []byte
	runs.Finder
}

// A seeker finds the next run that could matter: its trigger lies at or after
// pos, its first byte at or after floor. start is -1 when there is none yet,
// and then resume is where to look again when text has grown.
type seeker func(t *input, pos, floor int) (start, resume int)

// An extender gives the end of the run that started at start and is known to
// reach at; ended is false when the end of text may have cut it, which it
// does not when it is final.
type extender func(t *input, start, at int, final bool) (end int, ended bool)

// decoder is one encoding.
type decoder struct {
	seek   seeker
	extend extender
	// least is the shortest run decoded, in bytes.
	least int
	// decode makes a segment's view, or says that it holds no text.
	decode func(run []byte) (Segment, bool)
}

// Walker finds the encoded parts of one text.
type Walker struct {
	// Plain looks for them without SIMD.
	Plain bool
	at    [len(decoders)]position
	input input
}

// position is how far one decoder has come.
type position struct {
	pos   int // everything before was looked at
	floor int // end of the last run: no run begins before
	open  bool
	start int // of the open run
	next  int // of the open run, where the next segment starts
}

// Find calls f for each segment that is complete by now: its run has ended, the
// text is final, or the segment is full. text is all of the text that is still
// held; positions are in it.
func (w *Walker) Find(text []byte, final bool, f func(*Segment)) {
	from := len(text)
	for i := range w.at {
		from = min(from, w.at[i].pos)
	}
	w.input.text = text
	w.input.Reset(text, from, w.Plain)
	for i := range w.at {
		w.at[i].find(&decoders[i], &w.input, final, f)
	}
}

// Reset makes w start on another text.
func (w *Walker) Reset() { w.at = [len(decoders)]position{} }

// Skip marks all of text as looked at, for a walk that is not wanted.
func (w *Walker) Skip(text []byte) {
	for i := range w.at {
		w.at[i] = position{pos: len(text), floor: len(text)}
	}
}

// Keep is the first position that the walk can still look at.
func (w *Walker) Keep() int {
	keep := int(^uint(0) >> 1)
	for i := range w.at {
		keep = min(keep, w.at[i].keep())
	}
	return keep
}

// Settled is the position before which no undecided run begins.
func (w *Walker) Settled() int {
	at := int(^uint(0) >> 1)
	for i := range w.at {
		if p := &w.at[i]; p.open {
			at = min(at, p.next)
		} else {
			at = min(at, p.pos)
		}
	}
	return at
}

// Shift tells that the first n bytes of the text were dropped.
func (w *Walker) Shift(n int) {
	for i := range w.at {
		p := &w.at[i]
		p.pos -= n
		p.floor -= n
		p.start -= n
		p.next -= n
	}
}

func (p *position) keep() int {
	if p.open {
		return min(p.next, p.pos) - 1
	}
	return max(p.floor, p.pos-lookBack)
}

func (p *position) find(d *decoder, t *input, final bool, f func(*Segment)) {
	for {
		if !p.open {
			s, resume := d.seek(t, p.pos, max(0, p.floor))
			if s < 0 {
				p.pos = max(p.pos, resume)
				return
			}
			p.open, p.start, p.next, p.pos = true, s, s, max(p.pos, s)
		}
		end, ended := d.extend(t, p.start, p.pos, final)
		p.pos = end
		for ; p.next+segmentLen < end; p.next += segmentStep {
			p.give(d, t.text, p.next+segmentLen, false, f)
		}
		if !ended && !final {
			return
		}
		p.give(d, t.text, end, true, f)
		p.open, p.floor, p.pos = false, end, max(end, p.start+1)
	}
}

// give decodes the open run from next to end.
func (p *position) give(d *decoder, text []byte, end int, last bool, f func(*Segment)) {
	if end-p.next < d.least {
		return
	}
	s, ok := d.decode(text[p.next:end])
	if !ok {
		return
	}
	out := s // only what is given escapes to the heap
	out.Start, out.End, out.first, out.last = p.next, end, p.next == p.start, last
	f(&out)
}

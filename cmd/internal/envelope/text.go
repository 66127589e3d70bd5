package envelope

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
)

// Text takes a log out of its envelope as the log comes, in pieces of any size, and
// knows where in the log its text stands. One goroutine uses it.
type Text struct {
	format string // auto until a line tells
	tries  int    // lines that may tell
	base   int64  // offset in the log of what was given first
	lines  int64  // line feeds before base

	at     int64  // offset in the log of line, or of what comes next
	ended  int64  // line feeds before at
	line   []byte // begun
	raw    bool   // the rest of line is given as it is
	queue  []*record
	open   map[string]*record // of each stream, the line that is not whole
	held   int
	begun  bool // of queue[0] a part is given
	out    []byte
	buf    []byte // of what was in escapes
	given  int64  // length of the text
	pieces []piece
	cuts   []cut
}

// maxTries is how many lines that are no records may stand in a row where a log is read
// on: runtimes write none, but for what a full disk left of one.
const maxTries = 64

// record is what stands on one line of the text.
type record struct {
	parts []part
	more  bool // another part of it may come
}

// part is the text of one record of the log.
type part struct {
	text    []byte
	raw     int64 // where it begins in the log
	escapes []escape
}

// piece is a part of the text that is given.
type piece struct {
	text, raw int64
	size      int
	escapes   []escape
}

// cut is a place where a reader of the log may begin and has the same text.
type cut struct{ text, raw, lines int64 }

// NewText takes a log from an offset on, with lines line feeds before it. A log must be
// begun at its start, where the first line tells the format, or at a place that Resume
// gave.
func NewText(format string, offset, lines int64) (*Text, error) {
	switch format {
	case "auto", "plain", "docker", "cri":
	default:
		return nil, fmt.Errorf("--log-format %q: want one of %s", format, Formats)
	}
	tries := 1
	if offset > 0 {
		tries = maxTries
	}
	return &Text{format: format, tries: tries, base: offset, at: offset, lines: lines, ended: lines, cuts: []cut{{0, offset, lines}}}, nil
}

// Plain reports that the text is the log, as far as is known.
func (t *Text) Plain() bool { return t.format == "plain" }

// Format is what the log is, auto while that is not known.
func (t *Text) Format() string { return t.format }

// Write gives what p adds to the text, which is valid until the next call and while p is.
func (t *Text) Write(p []byte) []byte {
	t.out = t.out[:0]
	if t.format == "auto" && t.tries == 1 && !mayBegin(t.line, p) {
		t.format = "plain"
	}
	if t.format == "plain" && len(t.line) == 0 {
		t.given += int64(len(p))
		t.at += int64(len(p))
		return p
	}
	for len(p) > 0 && t.format != "plain" {
		i := bytes.IndexByte(p, '\n')
		if i < 0 {
			t.line = append(t.line, p...)
			if t.raw || len(t.line) > maxHeld {
				t.flush()
				t.raw = true
				t.plain(t.line, false)
				t.line = t.line[:0]
			}
			return t.out
		}
		line := p[:i+1]
		if len(t.line) > 0 {
			t.line = append(t.line, line...)
			line = t.line
		}
		p = p[i+1:]
		if t.raw {
			t.raw = false
			t.plain(line, true)
		} else {
			t.add(line)
		}
		t.line = t.line[:0]
	}
	if t.format == "plain" { // it was told by the first line
		rest := append(t.line, p...)
		t.at += int64(len(rest))
		t.give(rest)
		t.line = nil
	}
	return t.out
}

// plain gives what is no record.
func (t *Text) plain(b []byte, whole bool) {
	text := b
	if whole {
		text = b[:len(b)-1]
	}
	t.put(part{text: text, raw: t.at})
	t.at += int64(len(b))
	if whole {
		t.give([]byte{'\n'})
		t.ended++
		t.cut()
	}
}

// add takes a line with its line feed.
func (t *Text) add(line []byte) {
	o, ok := t.parse(line)
	if t.format == "auto" {
		if t.tries--; t.tries == 0 {
			t.format = "plain" // and so was all before
			t.at += int64(len(line))
			t.give(line)
			return
		}
	}
	p := part{text: o.text, raw: t.at + int64(o.at), escapes: o.escapes}
	if !ok {
		p = part{text: line[:len(line)-1], raw: t.at}
	}
	t.at += int64(len(line))
	t.ended++
	if len(t.queue) == 0 && !(ok && o.part) { // most are whole
		t.put(p)
		t.give([]byte{'\n'})
		t.cut()
		return
	}
	p.text = bytes.Clone(p.text)
	first := t.open[o.stream]
	switch {
	case !ok:
		t.queue = append(t.queue, &record{parts: []part{p}})
	case first != nil:
		first.parts, first.more = append(first.parts, p), o.part
		t.queue = append(t.queue, &record{parts: []part{{raw: p.raw}}})
		if !o.part {
			delete(t.open, o.stream)
		}
	default:
		r := &record{parts: []part{p}, more: o.part}
		t.queue = append(t.queue, r)
		if o.part {
			if t.open == nil {
				t.open = map[string]*record{}
			}
			t.open[o.stream] = r
		}
	}
	t.held += len(line)
	if t.held > maxHeld || len(t.queue) > maxWaiting {
		t.flush()
		return
	}
	for len(t.queue) > 0 && !t.queue[0].more {
		t.next()
	}
	if len(t.queue) == 0 {
		t.held = 0
		t.cut()
	}
}

// next puts the first record out.
func (t *Text) next() {
	for _, p := range t.queue[0].parts {
		t.put(p)
	}
	t.give([]byte{'\n'})
	t.queue[0] = nil
	t.queue = t.queue[1:]
	t.begun = false
}

// put gives the text of a part.
func (t *Text) put(p part) {
	t.pieces = append(t.pieces, piece{t.given, p.raw, len(p.text), p.escapes})
	t.give(p.text)
}

func (t *Text) give(b []byte) {
	t.out = append(t.out, b...)
	t.given += int64(len(b))
}

// cut notes that the next line of the log begins one of the text.
func (t *Text) cut() { t.cuts = append(t.cuts, cut{t.given, t.at, t.ended}) }

// flush gives all records as far as they are known.
func (t *Text) flush() {
	if len(t.queue) == 0 {
		return
	}
	for len(t.queue) > 0 {
		t.next()
	}
	clear(t.open)
	t.held = 0
	t.cut()
}

// Quiet gives what waits for the rest of a line that has not come for a while: the line
// so far, which goes on when the rest comes, or, where others wait behind it, all of
// them, as if it had ended.
func (t *Text) Quiet() []byte {
	t.out = t.out[:0]
	if first := t.queue; len(first) > 0 && (len(t.open) > 1 || slices.ContainsFunc(first[1:], func(r *record) bool { return len(r.parts) != 1 || len(r.parts[0].text) > 0 })) {
		t.flush()
		return t.out
	}
	if len(t.queue) > 0 {
		r := t.queue[0]
		for _, p := range r.parts {
			t.put(p)
		}
		r.parts, t.begun = nil, true
	}
	return t.out
}

// Close gives the rest, of a log that has ended.
func (t *Text) Close() []byte {
	t.out = t.out[:0]
	t.flush()
	if len(t.line) > 0 {
		t.plain(t.line, false)
		t.line = t.line[:0]
	}
	return t.out
}

// Raw is where in the log the byte at an offset of the text stands, or, for a line feed,
// ends.
func (t *Text) Raw(offset int64) int64 {
	if t.format == "plain" {
		return t.base + offset
	}
	i := sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].text > offset }) - 1
	if i < 0 {
		return t.base
	}
	from, _ := t.pieces[i].span(offset, offset+1)
	return from
}

// span is where in the log what is of a piece between two offsets of the text stands.
func (p *piece) span(start, end int64) (from, to int64) {
	start, end = max(start-p.text, 0), min(end-p.text, int64(p.size))
	if start >= end {
		from, _ = p.escaped(int64(p.size))
		return from, from
	}
	from, _ = p.escaped(start)
	_, to = p.escaped(end - 1)
	return from, to
}

// escaped is where in the log what stands for a byte of the piece begins and ends.
func (p *piece) escaped(i int64) (from, to int64) {
	n := sort.Search(len(p.escapes), func(n int) bool { return int64(p.escapes[n].text) > i }) - 1
	if n < 0 {
		return p.raw + i, p.raw + i + 1
	}
	e := p.escapes[n]
	after := int64(e.text) + int64(e.textLen)
	if i < after {
		return p.raw + int64(e.raw), p.raw + int64(e.raw) + int64(e.rawLen)
	}
	from = p.raw + int64(e.raw) + int64(e.rawLen) + i - after
	return from, from + 1
}

// Spans calls each for all that stands for the text between two offsets in the log, in
// order of the text: one record after the other, without what is around it.
func (t *Text) Spans(start, end int64, each func(from, to int64)) {
	if t.format == "plain" {
		each(t.base+start, t.base+end)
		return
	}
	i := sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].text+int64(t.pieces[i].size) > start })
	for ; i < len(t.pieces) && t.pieces[i].text < end; i++ {
		if from, to := t.pieces[i].span(start, end); from < to {
			each(from, to)
		}
	}
}

// Resume is where in the log a reader must begin again to have all of the text from an
// offset on, before which there are lines line feeds, and how many line feeds are before
// it. In an envelope that is the beginning of a record.
func (t *Text) Resume(offset int64, lines int) (raw, line int64) {
	if t.format == "plain" {
		return t.base + offset, t.lines + int64(lines)
	}
	c := t.cuts[t.before(offset)]
	return c.raw, c.lines
}

func (t *Text) before(offset int64) int {
	return max(0, sort.Search(len(t.cuts), func(i int) bool { return t.cuts[i].text > offset })-1)
}

// Forget says that nothing before where a reader of the text from offset on would begin
// is asked about any more.
func (t *Text) Forget(offset int64) {
	t.cuts = slices.Delete(t.cuts, 0, t.before(offset))
	from := t.cuts[0].text
	n := sort.Search(len(t.pieces), func(i int) bool { return t.pieces[i].text+int64(t.pieces[i].size) >= from })
	t.pieces = slices.Delete(t.pieces, 0, n)
}

// Given is how long the text is so far.
func (t *Text) Given() int64 { return t.given }

// parse opens a record, and tells the format by it while that is not known.
func (t *Text) parse(line []byte) (o opened, ok bool) {
	t.buf = t.buf[:0]
	if t.format != "cri" {
		if o, t.buf, ok = parseDocker(line, t.buf); ok {
			t.format = "docker"
			return o, true
		}
	}
	if t.format != "docker" {
		if o, ok = parseCRI(line); ok {
			t.format = "cri"
		}
	}
	return o, ok
}

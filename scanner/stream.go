package scanner

import (
	"bytes"
	"cmp"
	"io"
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/assign"
	"github.com/quench-dev/quench/scanner/internal/candidate"
	"github.com/quench-dev/quench/scanner/internal/chars"
	"github.com/quench-dev/quench/scanner/internal/decode"
	"github.com/quench-dev/quench/scanner/internal/mask"
	"github.com/quench-dev/quench/scanner/secret"
)

// Stream decides the matches of one text that comes in pieces. Whatever the
// pieces, the matches are those of the whole text.
//
// Every decision looks at a bounded window around its anchor, so an anchor is
// decided as soon as its window is complete: at the end of its line for most
// rules, or when enough bytes followed. The buffer keeps only what undecided
// anchors can still look back at. A Stream is used by one goroutine.
type Stream struct {
	e     *Engine
	known Known // that of e, or what stands before it
	emit  func(Match)
	depth int
	via   []string

	buf  []byte
	base int64 // offset of buf[0] in the text
	// newlines before base, and the offset of the line that holds base
	lines     int
	lineStart int64

	line    int          // anchors of line rules before this position are decided
	lastNL  int          // position after the last line feed, -1 when none is buffered
	pending []pendingRaw // decided, sorted by start; kept while something may overlap
	found   int          // keywords before this position were looked for
	anchors []anchor     // of line rules, found and not yet decided
	assigns []assignAnchor
	waiting []waitingAnchor      // of Multiline rules
	multi   func(anchor)         // gets these, undecided, where it is not nil
	slow    int                  // lines, or pieces of one, before this position were searched with Slow rules
	slowMid bool                 // slow lies within a line
	mark    func(start, end int) // gets the marks found, as positions in buf, where it is not nil
	work    int                  // bytes that matchers and decoders were given, and pairs compared: what tests bound
	walker  decode.Walker
	judged  *judgements      // shared with inner; nil in the plain engine
	inner   *Stream          // scans decoded text
	views   []Match          // of decoded text, not emitted yet
	sent    map[sentKey]bool // spans emitted, so that a decoded view adds none twice
}

// waitingAnchor is an anchor of a Multiline rule whose window is not complete.
type waitingAnchor struct {
	anchor
	flushed bool // Flush emitted a match ending at flushedEnd
	end     int
}

type pendingRaw struct {
	raw
	emitted bool
}

type sentKey struct {
	rule       string
	start, end int64
}

// margin is what a shown line can depend on beyond a match.
const margin = mask.Reach

// NewStream starts a text. emit is called from Write, Flush and Close, in
// order of the text for matches of one kind.
func (e *Engine) NewStream(emit func(Match)) *Stream {
	s := &Stream{e: e, known: e.known, emit: emit}
	s.walker.Plain = e.plain
	if !e.plain {
		s.judged = new(judgements)
	}
	return s
}

// Reset starts another text in the memory of the last one.
func (s *Stream) Reset(emit func(Match)) {
	clear(s.sent)
	clear(s.pending[:cap(s.pending)])
	clear(s.views[:cap(s.views)])
	s.walker.Reset()
	*s = Stream{e: s.e, known: s.known, emit: emit, buf: s.buf[:0], pending: s.pending[:0], anchors: s.anchors[:0], assigns: s.assigns[:0],
		waiting: s.waiting[:0], walker: s.walker, judged: s.judged, inner: s.inner, work: s.work, views: s.views[:0], sent: s.sent}
}

// readFrom reads once from r and emits what that decides.
func (s *Stream) readFrom(r io.Reader) (int, error) {
	s.buf = slices.Grow(s.buf, readSize)
	n, err := r.Read(s.buf[len(s.buf) : len(s.buf)+readSize])
	s.buf = s.buf[:len(s.buf)+n]
	if n > 0 && err == nil {
		s.process(false)
		s.drop()
	}
	return n, err
}

// ScanBytes decides all matches in b as one whole text, sorted by position.
func (e *Engine) ScanBytes(b []byte) []Match {
	return e.NewStream(nil).whole(b, 0, nil, nil)
}

// whole decides all matches in b, which was decoded depth times, in a stream
// that is used for nothing else.
func (s *Stream) whole(b []byte, depth int, via []string, mark func(start, end int)) []Match {
	var out []Match
	s.Reset(func(m Match) { out = append(out, m) })
	s.depth, s.via, s.mark, s.buf = depth, via, mark, b
	s.process(true)
	s.buf = nil // it belongs to the caller
	slices.SortStableFunc(out, func(a, b Match) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End), cmp.Compare(a.Rule.ID, b.Rule.ID))
	})
	return out
}

// Write adds p to the text and emits what it decides. It never fails.
func (s *Stream) Write(p []byte) (int, error) {
	s.buf = append(s.buf, p...)
	s.process(false)
	s.drop()
	return len(p), nil
}

// settledLines is how many lines are decided but for what spans lines and what is
// encoded: the marks on them are known.
func (s *Stream) settledLines() int {
	return s.lines + bytes.Count(s.buf[:max(0, min(s.line, s.found, s.slow, len(s.buf)))], newline)
}

// Flush decides Multiline rules as if the text ended here, for a live source
// that has gone quiet, and goes on afterwards; nothing is emitted twice.
func (s *Stream) Flush() {
	for i := range s.waiting {
		w := &s.waiting[i]
		if m, refusal := s.e.decide(s.buf, w.anchor); refusal == "" && (!w.flushed || w.end != m.end) {
			w.flushed, w.end = true, m.end
			s.send(m)
		}
	}
	s.settleViews(s.base + int64(len(s.buf)))
}

// Close ends the text and decides what is left.
func (s *Stream) Close() {
	s.process(true)
}

// Settled is the offset before which everything is decided and emitted: where
// a reader that resumes later must begin again.
func (s *Stream) Settled() int64 { return s.base + int64(s.settledPos()) }

// SettledAt is Settled and the number of line feeds before it.
func (s *Stream) SettledAt() (offset int64, lines int) {
	at := s.settledPos()
	return s.base + int64(at), s.lines + bytes.Count(s.buf[:at], newline)
}

func (s *Stream) settledPos() int {
	at := min(s.line, s.found, s.slow, s.walker.Settled())
	for _, w := range s.waiting {
		at = min(at, w.start)
	}
	for _, p := range s.pending {
		if !p.emitted {
			at = min(at, p.start)
		}
	}
	for _, m := range s.views {
		at = min(at, int(m.Start-s.base))
	}
	return max(0, min(at, len(s.buf)))
}

// Buffered is how many bytes the stream's buffer can hold at present.
func (s *Stream) Buffered() int { return cap(s.buf) }

func (s *Stream) process(final bool) {
	n := len(s.buf)
	if i := bytes.LastIndexByte(s.buf[min(s.line, n):], '\n'); i >= 0 {
		s.lastNL = min(s.line, n) + i + 1
	}
	w := s.e.lineWidth
	hi := max(s.line, s.lastNL, n-w-s.e.margin-1)
	settled := max(s.lastNL, hi-w-s.e.margin, 0)
	if final {
		hi, settled = n, n
	}
	s.find(final)
	if hi > s.line {
		s.decideLine(hi)
		s.line = hi
	}
	s.decideSlow(final, func(m raw) { s.pending = append(s.pending, pendingRaw{raw: m}) })
	settled = min(settled, s.slow)
	s.settle(settled)
	if s.multi != nil {
		for _, w := range s.waiting {
			s.multi(w.anchor)
		}
		s.waiting = s.waiting[:0]
	}
	s.decideMulti(final)
	s.decodeViews(settled, final)
}

// decideLine decides all anchors of line rules, assignments and known tokens
// that start before hi.
func (s *Stream) decideLine(hi int) {
	add := func(m raw) { s.pending = append(s.pending, pendingRaw{raw: m}) }
	left := s.anchors[:0]
	for _, a := range s.anchors {
		if a.start >= hi {
			left = append(left, a)
			continue
		}
		s.work += a.rule.Rule.Width
		if a.rule.Rule.Kind == rules.KindContext {
			s.e.decideContext(s.buf, a, add, nil)
			continue
		}
		if m, refusal := s.e.decide(s.buf, a); refusal == "" {
			add(m)
		}
	}
	s.anchors = left
	s.decideAssignments(hi, add)
	if s.known != nil {
		candidate.Each(s.known.Shapes(), s.buf, s.line, hi, s.known.Lookup, func(start, end int, t KnownToken) {
			add(raw{rule: RegistryRule, start: start, end: end, entropy: chars.Entropy(s.buf[start:end]), token: &t,
				confidence: rules.High, why: []string{"issued by this registry"}})
		})
	}
}

// settle emits what nothing undecided can overlap any more: all that ends by
// upTo. Which of several overlapping matches stays is told pair by pair, so it
// does not depend on the pieces the text came in.
func (s *Stream) settle(upTo int) {
	slices.SortStableFunc(s.pending, func(a, b pendingRaw) int {
		return cmp.Or(cmp.Compare(a.start, b.start), cmp.Compare(a.end, b.end), cmp.Compare(a.rule.ID, b.rule.ID))
	})
	for i := range s.pending {
		p := &s.pending[i]
		if p.emitted || p.end > upTo {
			continue
		}
		p.emitted = true
		m := p.raw
		if s.overruled(i, &m) {
			s.told(Match{Rule: m.rule, Start: s.base + int64(m.start), End: s.base + int64(m.end)})
			continue
		}
		s.send(m)
	}
}

// overruled reports whether pending[i] gives way to another match, and takes
// over what a weaker match of the same span knew.
func (s *Stream) overruled(i int, m *raw) bool {
	for j := range s.pending {
		s.work++
		o := &s.pending[j].raw
		if o.start >= m.end {
			break
		}
		if j == i || o.end <= m.start {
			continue
		}
		same := o.start == m.start && o.end == m.end
		switch {
		case same && o.rule == m.rule:
			if j < i {
				return true // several keywords in one match
			}
		case m.givesWay(o):
			return true
		case o.dropped != "":
			continue
		case o.rule.Kind == rules.KindAssignment:
			if m.key == "" && o.start <= m.start && m.end <= o.end {
				m.named(o.key)
			}
		case o.rule != RegistryRule && o.givesWay(m) && !slices.Contains(m.also, o.rule.ID):
			m.also = append(m.also, o.rule.ID)
			slices.Sort(m.also)
		}
		if same && o.rule == RegistryRule && m.token == nil {
			m.token = o.token
			m.why = append(slices.Clone(m.why), o.why...)
			m.confidence = rules.High
		}
	}
	return false
}

// givesWay reports whether m, which overlaps o of another rule, is told by o. Of
// matches of one secret the most specific rule's stays: a token inside a header or an
// address is its provider's, and the values that two providers' rules take for theirs
// are those of the one whose pattern says more.
func (m *raw) givesWay(o *raw) bool {
	if (m.dropped == "") != (o.dropped == "") {
		return m.dropped != ""
	}
	if m.rule == RegistryRule || o.rule == RegistryRule {
		return m.rule == RegistryRule && o.rule.Kind != rules.KindAssignment && o.start == m.start && o.end == m.end
	}
	if m.rule.Kind == rules.KindAssignment || o.rule.Kind == rules.KindAssignment {
		return m.rule.Kind == rules.KindAssignment && o.rule.Kind != rules.KindAssignment
	}
	if o.rule.Apart || m.rule.Apart {
		return false
	}
	return o.start <= m.start && m.end <= o.end && o.rule.MoreSpecific(m.rule)
}

// find looks for keywords, once at every position. The last bytes of the buffer
// wait, since its end may cut a keyword; a line feed is never part of one.
func (s *Stream) find(final bool) {
	longest := max(s.e.lineKw.Longest, s.e.multiKw.Longest, s.e.assignKw.Longest, s.e.markKw.Longest)
	var lits *literals
	if !s.e.plain {
		lits = s.e.lits.compile(s.e)
		longest = lits.longest
	}
	n := len(s.buf)
	hi := max(s.found, s.lastNL, min(n, n-longest+1))
	if final {
		hi = n
	}
	if s.e.plain {
		s.e.lineKw.Find(s.buf, s.found, hi, func(c *compiled, at, end int) { s.anchors = append(s.anchors, anchor{c, at, end}) })
		s.e.multiKw.Find(s.buf, s.found, hi, func(c *compiled, at, end int) {
			s.waiting = append(s.waiting, waitingAnchor{anchor: anchor{c, at, end}})
		})
		s.e.assignKw.Find(s.buf, s.found, hi, func(a *assignment, at, end int) { s.assigns = append(s.assigns, assignAnchor{a, at, end}) })
		if s.mark != nil {
			s.e.markKw.Find(s.buf, s.found, hi, func(_ *compiled, at, end int) { s.mark(at, end) })
		}
	} else {
		lits.set.Find(s.buf, s.found, hi, func(lit, start int) {
			switch r := &lits.refs[lit]; {
			case r.mark:
				if s.mark != nil {
					s.mark(start, start+r.length)
				}
			case r.assign != nil:
				if end := start + r.length; assign.WordEnds(s.buf, end) {
					s.assigns = append(s.assigns, assignAnchor{r.assign, start, end})
				}
			case r.rule.Rule.Multiline:
				s.waiting = append(s.waiting, waitingAnchor{anchor: anchor{r.rule, start, start + r.length}})
			default:
				s.anchors = append(s.anchors, anchor{r.rule, start, start + r.length})
			}
		})
	}
	s.found = hi
}

// decideAssignments decides the values given to names that hold a keyword before hi.
func (s *Stream) decideAssignments(hi int, add func(raw)) {
	left := s.assigns[:0]
	for _, a := range s.assigns {
		if a.pos >= hi {
			left = append(left, a)
			continue
		}
		s.work += assign.Reach + a.rule.maxLen
		v, ok := assign.At(s.buf, a.pos, a.end, a.rule.maxLen)
		if !ok {
			continue // most: key words stand in sentences
		}
		if m, refusal := a.rule.given(s.buf, v, s.judged); refusal == "" {
			m.lead = m.start - a.pos
			add(m)
		}
	}
	s.assigns = left
}

// decideMulti decides the anchors of Multiline rules whose window is complete.
func (s *Stream) decideMulti(final bool) {
	left := s.waiting[:0]
	for _, w := range s.waiting {
		if !final && w.start+w.rule.Rule.Width+s.e.margin+1 > len(s.buf) {
			left = append(left, w)
			continue
		}
		s.work += w.rule.Rule.Width
		if m, refusal := s.e.decide(s.buf, w.anchor); refusal == "" && (!w.flushed || w.end != m.end) && !s.sent[sentKey{m.rule.ID, s.base + int64(m.start), s.base + int64(m.end)}] {
			s.send(m) // but for several keywords in one match
		}
	}
	s.waiting = left
}

// decodeViews looks into the encoded parts of the text before hi, where all else
// is decided, or waits for the first undecided anchor. A match that was found
// without decoding, or with less of it, is not told again.
func (s *Stream) decodeViews(hi int, final bool) {
	for _, w := range s.waiting {
		hi = min(hi, w.start)
	}
	text := s.buf[:hi]
	if s.e.depth < 0 || s.depth >= s.e.depth {
		s.walker.Skip(text)
		return
	}
	s.walker.Find(text, final, func(g *decode.Segment) {
		s.work += g.End - g.Start + len(g.View)
		if s.inner == nil {
			s.inner = s.e.NewStream(nil)
			s.inner.judged, s.inner.known = s.judged, s.known
		}
		for _, m := range s.inner.whole(g.View, s.depth+1, append(slices.Clone(s.via), g.Via...), nil) {
			start, end := g.Span(m.Start, m.End)
			if !g.Owns(start) {
				continue
			}
			s.place(&m, start, end)
			s.views = append(s.views, m)
		}
		s.work += s.inner.work
		s.inner.work = 0
	})
	upTo := s.base + int64(s.walker.Settled())
	if final {
		upTo = s.base + int64(len(s.buf))
	}
	s.settleViews(upTo)
}

// settleViews emits the matches of decoded views that no decoder can find once
// more: of those of one rule and span, the one that took the least decoding,
// whichever decoder came to it first.
func (s *Stream) settleViews(upTo int64) {
	slices.SortStableFunc(s.views, func(a, b Match) int {
		return cmp.Or(cmp.Compare(len(a.DecodedVia), len(b.DecodedVia)), slices.Compare(a.DecodedVia, b.DecodedVia), cmp.Compare(a.Start, b.Start))
	})
	left := s.views[:0]
	for _, m := range s.views {
		switch {
		case m.End > upTo:
			left = append(left, m)
		case !s.sent[sentKey{m.Rule.ID, m.Start, m.End}]:
			s.told(m)
			s.emit(m)
		}
	}
	clear(s.views[len(left):])
	s.views = left
}

// told remembers an emitted match for as long as a view could repeat it.
func (s *Stream) told(m Match) {
	if s.sent == nil {
		s.sent = map[sentKey]bool{}
	}
	s.sent[sentKey{m.Rule.ID, m.Start, m.End}] = true
}

// send makes a Match of a decided raw one.
func (s *Stream) send(r raw) {
	m := Match{Rule: r.rule, Entropy: r.entropy, Key: r.key, Token: r.token, Why: r.why, Confidence: r.confidence, Score: r.score, Allowed: s.e.allow.Decide(r.rule.ID, s.buf, r.start, r.end, r.start-r.lead, r.end+r.tail), Also: r.also, Dropped: r.dropped,
		Secret: secret.New(s.buf[r.start:r.end]), DecodedVia: s.via}
	s.place(&m, r.start, r.end)
	s.told(m)
	s.emit(m)
}

// place fills in where in the text the buffer's span start:end lies.
func (s *Stream) place(m *Match, start, end int) {
	m.Start, m.End = s.base+int64(start), s.base+int64(end)
	m.Line, m.Column, m.Column16 = s.lineOf(start)
	m.EndLine, m.EndColumn, m.EndColumn16 = s.lineOf(end - 1)
	m.Masked, m.Context = mask.Line(s.buf, start, end, func(yield func(start, end int)) {
		for _, p := range s.pending {
			yield(p.start, p.end)
		}
	})
}

// lineOf gives line and column, from 1, of a position in the buffer, and the
// column in UTF-16 code units, or 0 where the line's start was dropped.
func (s *Stream) lineOf(pos int) (line, column, column16 int) {
	before := s.buf[:pos]
	line = 1 + s.lines + bytes.Count(before, newline)
	i := bytes.LastIndexByte(before, '\n')
	if i < 0 && s.lineStart != s.base {
		return line, int(s.base+int64(pos)-s.lineStart) + 1, 0
	}
	return line, pos - i, chars.UTF16Len(before[i+1:]) + 1
}

var newline = []byte{'\n'}

// drop forgets what no undecided anchor can look at.
func (s *Stream) drop() {
	back := 2 * (s.e.lineWidth + s.e.margin)
	keep := min(s.line-back, s.found-s.e.margin, s.slow-1-s.e.margin, s.walker.Keep()-s.e.margin)
	for _, w := range s.waiting {
		keep = min(keep, w.start-w.rule.Rule.Width-s.e.margin)
	}
	kept := s.pending[:0]
	for _, p := range s.pending {
		if !p.emitted || p.end > s.line-back {
			kept = append(kept, p)
			keep = min(keep, p.start-s.e.margin)
		}
	}
	clear(s.pending[len(kept):])
	s.pending = kept
	// Moving the tail costs as much as it is long: move when at least as much
	// is dropped, so that each byte moves at most once on average.
	if keep < len(s.buf)/2 || keep <= 0 {
		return
	}
	for k := range s.sent {
		if k.end < s.base+int64(keep) && !slices.ContainsFunc(s.views, func(m Match) bool { return m.Start == k.start }) {
			delete(s.sent, k)
		}
	}
	gone := s.buf[:keep]
	s.lines += bytes.Count(gone, newline)
	if i := bytes.LastIndexByte(gone, '\n'); i >= 0 {
		s.lineStart = s.base + int64(i) + 1
	}
	s.buf = s.buf[:copy(s.buf, s.buf[keep:])]
	s.work += len(s.buf)
	s.base += int64(keep)
	s.line -= keep
	s.found -= keep
	s.slow -= keep
	for i := range s.anchors {
		s.anchors[i].start -= keep
		s.anchors[i].end -= keep
	}
	for i := range s.assigns {
		s.assigns[i].pos -= keep
		s.assigns[i].end -= keep
	}
	s.lastNL = max(-1, s.lastNL-keep)
	s.walker.Shift(keep)
	for i := range s.waiting {
		w := &s.waiting[i]
		w.anchor.start -= keep
		w.anchor.end -= keep
		w.end -= keep
	}
	for i := range s.pending {
		s.pending[i].start -= keep
		s.pending[i].end -= keep
	}
}

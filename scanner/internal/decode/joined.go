package decode

import (
	"bytes"

	"github.com/quench-dev/quench/scanner/internal/runs"
)

// Two decoders work on whole lines: string literals joined by '+', over line
// ends too, and lines continued by a backslash.

// maxIndent bounds the white space around a joint: code is indented by less.
const maxIndent = 64

// A jointAt reports whether the byte at i joins, and the span to leave out.
// near says that the end of the text is too near to tell.
type jointAt func(text []byte, i int) (from, to int, ok, near bool)

// seekLine finds the start of the line with the next joint of byte b.
func seekLine(b runs.Class, joins jointAt) seeker {
	return func(t *input, p, floor int) (int, int) {
		text := t.text
		for {
			i := t.Index(b, p)
			if i < 0 {
				return -1, len(text)
			}
			from, _, ok, near := joins(text, i)
			if near {
				return -1, i
			}
			if !ok {
				p = i + 1
				continue
			}
			s := max(floor, from)
			for s > floor && i-s < lookBack && text[s-1] != '\n' {
				s--
			}
			return s, 0
		}
	}
}

// plusJoins spans from the closing quote before a '+' to the opening one after.
func plusJoins(t []byte, i int) (from, to int, ok, near bool) {
	from, to = i, i+1
	for i-from < maxIndent && from > 0 && isSpace(t[from-1]) {
		from--
	}
	if from == 0 || !isQuote(t[from-1]) {
		return 0, 0, false, false
	}
	for to-i < maxIndent && to < len(t) && isSpace(t[to]) {
		to++
	}
	if to == len(t) {
		return 0, 0, false, true
	}
	return from - 1, to + 1, isQuote(t[to]), false
}

// continues spans a backslash and the line end after it.
func continues(t []byte, i int) (from, to int, ok, near bool) {
	switch {
	case i+2 >= len(t):
		return 0, 0, false, true
	case t[i+1] == '\n':
		return i, i + 2, true, false
	case t[i+1] == '\r' && t[i+2] == '\n':
		return i, i + 3, true, false
	}
	return 0, 0, false, false
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isQuote(c byte) bool { return c == '"' || c == '\'' || c == '`' }

// extendLines gives the end of the first line from at on after which goesOn
// says no: it is asked about the line text[at:end].
func extendLines(goesOn func(text []byte, at, end int) bool) extender {
	return func(t *input, start, at int, final bool) (int, bool) {
		text := t.text
		// Lines that end before at were asked about before; the line that at
		// lies in may have begun earlier.
		lo := max(0, start)
		for {
			nl := bytes.IndexByte(text[at:], '\n')
			switch {
			case nl < 0:
				return len(text), false
			case !final && at+nl+2*maxIndent >= len(text):
				return at + nl, false // whether the next line joins is not known yet
			case !goesOn(text, lo, at+nl):
				return at + nl, true
			}
			at += nl + 1
			lo = at
		}
	}
}

func backslashGoesOn(text []byte, at, end int) bool {
	return end > at && text[end-1] == '\\' || end > at+1 && text[end-1] == '\r' && text[end-2] == '\\'
}

// plusGoesOn reports whether the line is joined with the next one by a '+' at
// its end or at the next one's start.
func plusGoesOn(text []byte, at, end int) bool {
	i := end
	for i > at && isSpace(text[i-1]) {
		i--
	}
	if i == at {
		return false
	}
	if text[i-1] == '+' {
		_, _, ok, _ := plusJoins(text, i-1)
		return ok
	}
	if isQuote(text[i-1]) {
		for end < len(text) && end-i < maxIndent && isSpace(text[end]) {
			end++
		}
		if end < len(text) && text[end] == '+' {
			_, _, ok, _ := plusJoins(text, end)
			return ok
		}
	}
	return false
}

// decodeJoined leaves out what lies between two joined literals.
func decodeJoined(run []byte) (Segment, bool) {
	return without(run, "concatenation", func(i int) int {
		if !isQuote(run[i]) {
			return i
		}
		j := i + 1
		for j < len(run) && j-i <= maxIndent && isSpace(run[j]) {
			j++
		}
		if j < len(run) && run[j] == '+' {
			if from, to, ok, _ := plusJoins(run, j); ok && from == i {
				return to
			}
		}
		return i
	})
}

// decodeContinued leaves out backslashes with the line ends after them.
func decodeContinued(run []byte) (Segment, bool) {
	return without(run, "continuation", func(i int) int {
		if run[i] == '\\' {
			if _, to, ok, _ := continues(run, i); ok {
				return to
			}
		}
		return i
	})
}

// without copies run but for the joints: joint gives the end of one that begins
// at i, or i.
func without(run []byte, via string, joint func(i int) int) (Segment, bool) {
	s, n := newSegment(via, len(run)), 0
	for i := 0; i < len(run); {
		if to := joint(i); to > i {
			i, n = to, n+1
			continue
		}
		s.put(run[i], i)
		i++
	}
	return s.done(run), n > 0
}

package scanner

import "bytes"

const mask = "****"

// maskRun is the length from which a token-like run is masked although no rule
// took it for a secret: a line that leaked one secret often holds another that
// no rule knows.
const maskRun = 20

// maskByte leaves out '=' and ':', so that the name of a masked value stays.
var maskByte = byteSet(alnum + "_-+/.~!@#^&")

// masked is the line of the secret at start:end, at most contextLen bytes of it
// on each side: shown has all secrets masked that are known by now and all that
// could be one; context, which identifies the place, only this secret and what
// could be one, so that it does not depend on when the others were decided.
func (s *Stream) masked(start, end int) (shown, context string) {
	lo, hi := max(0, start-contextLen), min(len(s.buf), end+contextLen)
	if i := bytes.LastIndexByte(s.buf[lo:start], '\n'); i >= 0 {
		lo += i + 1
	}
	if i := bytes.IndexByte(s.buf[end:hi], '\n'); i >= 0 {
		hi = end + i
	}
	spans := [][2]int{{start, end}}
	// Runs are looked at from outside the window, so that one cut by its edge
	// is masked too.
	for i := lo; i < hi; {
		if !maskByte[s.buf[i]] {
			i++
			continue
		}
		a, b := i, i
		for a > 0 && i-a < maskRun && maskByte[s.buf[a-1]] {
			a--
		}
		for b < len(s.buf) && b < hi+maskRun && maskByte[s.buf[b]] {
			b++
		}
		if b-a >= maskRun && bytes.ContainsAny(s.buf[a:b], "0123456789") {
			spans = append(spans, [2]int{i, min(b, hi)})
		}
		i = b
	}
	context = maskSpans(s.buf[lo:hi], lo, spans)
	for _, p := range s.pending {
		if p.end > lo && p.start < hi {
			spans = append(spans, [2]int{p.start, p.end})
		}
	}
	return maskSpans(s.buf[lo:hi], lo, spans), context
}

// maskSpans replaces every stretch of b that lies in one of spans, given in
// positions where b begins at base, by one mask.
func maskSpans(b []byte, base int, spans [][2]int) string {
	hide := make([]bool, len(b))
	for _, sp := range spans {
		for i := max(0, sp[0]-base); i < min(len(b), sp[1]-base); i++ {
			hide[i] = true
		}
	}
	var out bytes.Buffer
	for i := range b {
		switch {
		case !hide[i]:
			out.WriteByte(b[i])
		case i == 0 || !hide[i-1]:
			out.WriteString(mask)
		}
	}
	return string(bytes.TrimRight(out.Bytes(), "\r"))
}

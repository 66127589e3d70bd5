// Package mask hides the secrets of a line that is shown.
//
// It knows bytes and spans in them, and what could be a secret by its looks alone.
// Start reading at Line.
package mask

import "bytes"

// Context is how much of a line is shown before and after a secret, in
// bytes: two of them and a redacted secret fill two terminal lines.
const Context = 80

// Reach is what a shown line can depend on beyond a match: Context, and the part
// of a token-like run that its edge cuts.
const Reach = Context + run

const mark = "****"

// run is the length from which a token-like run is masked although no rule
// took it for a secret: a line that leaked one secret often holds another that
// no rule knows.
const run = 20

// maskByte leaves out '=' and ':', so that the name of a masked value stays.
var maskByte = byteSet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-+/.~!@#^&")

func byteSet(s string) (t [256]bool) {
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

// Line is the line of the secret at buf[start:end], at most Context bytes of it
// on each side: shown has masked what lies in others, the secrets known by now,
// and all that could be one; context, which identifies the place, only this secret
// and what could be one, so that it does not depend on when the others were
// decided.
func Line(buf []byte, start, end int, others func(yield func(start, end int))) (shown, context string) {
	lo, hi := max(0, start-Context), min(len(buf), end+Context)
	if i := bytes.LastIndexByte(buf[lo:start], '\n'); i >= 0 {
		lo += i + 1
	}
	if i := bytes.IndexByte(buf[end:hi], '\n'); i >= 0 {
		hi = end + i
	}
	spans := [][2]int{{start, end}}
	// Runs are looked at from outside the window, so that one cut by its edge
	// is masked too.
	for i := lo; i < hi; {
		if !maskByte[buf[i]] {
			i++
			continue
		}
		a, b := i, i
		for a > 0 && i-a < run && maskByte[buf[a-1]] {
			a--
		}
		for b < len(buf) && b < hi+run && maskByte[buf[b]] {
			b++
		}
		if b-a >= run && bytes.ContainsAny(buf[a:b], "0123456789") {
			spans = append(spans, [2]int{i, min(b, hi)})
		}
		i = b
	}
	context = replace(buf[lo:hi], lo, spans)
	others(func(start, end int) {
		if end > lo && start < hi {
			spans = append(spans, [2]int{start, end})
		}
	})
	return replace(buf[lo:hi], lo, spans), context
}

// replace replaces every stretch of b that lies in one of spans, given in
// positions where b begins at base, by one mark.
func replace(b []byte, base int, spans [][2]int) string {
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
			out.WriteString(mark)
		}
	}
	return string(bytes.TrimRight(out.Bytes(), "\r"))
}

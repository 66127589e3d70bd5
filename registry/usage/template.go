package usage

import "strings"

// Endpoint is what a request is counted under: the method and the path, with
// segments that name one thing of many as {}: numbers, UUIDs, hashes and other
// long identifiers. What follows '?' or '#' is dropped, since secrets stand there.
// It is at most maxName bytes of printable ASCII.
func Endpoint(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	path, _, _ = strings.Cut(path, "#")
	if i := strings.Index(path, "://"); i >= 0 { // absolute form, as proxies and load balancers log it
		path = path[i+3:]
		if i = strings.IndexByte(path, '/'); i < 0 {
			path = "/"
		} else {
			path = path[i:]
		}
	}
	var b strings.Builder
	b.WriteString(printable(method))
	if method != "" && path != "" {
		b.WriteByte(' ')
	}
	for i, seg := range strings.SplitN(path, "/", maxSegments) {
		if i > 0 {
			b.WriteByte('/')
		}
		if identifier(seg) {
			b.WriteString("{}")
			continue
		}
		b.WriteString(printable(seg))
	}
	return clip(b.String())
}

// maxSegments bounds the segments that are looked at one by one; no API nests deeper.
const maxSegments = 24

// identifier reports whether a segment of a path names one thing of many: it is a
// number, or long and has digits among letters, or is longer than any word.
func identifier(seg string) bool {
	digits, letters, hex := 0, 0, 0
	for i := range len(seg) {
		switch c := seg[i]; {
		case '0' <= c && c <= '9':
			digits++
		case 'a' <= c|0x20 && c|0x20 <= 'z':
			letters++
			if c|0x20 <= 'f' {
				hex++
			}
		}
	}
	switch {
	case digits == 0:
		return len(seg) > 40
	case letters == 0:
		return true // 17, 2026-11-25, 10.0.0.1
	case len(seg) > 1 && (seg[0] == 'v' || seg[0] == 'V') && digits == len(seg)-1:
		return false // v2
	}
	return len(seg) >= 8 && digits+hex == len(seg) || len(seg) >= 16 || len(seg) >= 7 && digits*3 >= len(seg)
}

// printable is s with what is no printable ASCII as '?': names are shown to people
// and come from strangers.
func printable(s string) string {
	for i := range len(s) {
		if s[i] < 0x21 || s[i] > 0x7e {
			b := []byte(s)
			for j := range b {
				if b[j] < 0x21 || b[j] > 0x7e {
					b[j] = '?'
				}
			}
			return string(b)
		}
	}
	return s
}

// Agent is what a client calls itself, without versions: the first product of a
// User-Agent, such as curl or Mozilla.
func Agent(s string) string {
	s, _, _ = strings.Cut(s, " ")
	s, _, _ = strings.Cut(s, "/")
	if s == "" || s == "-" {
		return ""
	}
	return clip(printable(s))
}

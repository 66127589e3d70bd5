// Package textruns finds the texts in binary content, as strings(1) does.
//
// It knows two encodings, ASCII with a letter of Latin-1 in between and UTF-16, little
// endian, and no format. Start reading at NewReader.
package textruns

import (
	"io"
	"unicode"
	"unicode/utf8"
)

// least is the shortest text that is read in binary content, as that of
// strings(1): what is shorter is chance.
const least = 4

// NewReader gives the texts in what r gives, a line each.
func NewReader(r io.Reader) io.Reader { return &reader{r: r} }

// IsASCII reports whether c stands in texts of ASCII.
func IsASCII(c byte) bool { return c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t' }

// encoding is that of a text in binary content.
type encoding int

const (
	neither encoding = iota
	narrow           // ASCII, with a letter of Latin-1 in between
	double           // UTF-16, little endian
)

// reader gives the texts in binary content, a line each.
type reader struct {
	r    io.Reader
	in   []byte   // read and not looked at
	out  []byte   // found and not given
	open encoding // of the text whose end was not seen yet
	err  error
}

func (s *reader) Read(p []byte) (int, error) {
	for len(s.out) == 0 && len(p) > 0 {
		if s.err != nil {
			return 0, s.err
		}
		s.fill()
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

func (s *reader) fill() {
	const chunk = 32 << 10
	if cap(s.in) == 0 {
		s.in = make([]byte, 0, chunk)
	}
	n, err := s.r.Read(s.in[len(s.in):cap(s.in)])
	s.in, s.err, s.out = s.in[:len(s.in)+n], err, s.out[:0]
	more := err == nil
	i := 0
	for i < len(s.in) {
		rest := s.in[i:]
		kind, n := s.at(rest)
		if more && kind == neither && len(rest) < 2*least {
			break // what follows decides
		}
		if kind != neither {
			s.append(kind, rest[:n])
		}
		if more && kind != neither && n+1 >= len(rest) {
			s.open, i = kind, i+n // its end comes later
			break
		}
		if kind == neither {
			n = 1
		} else {
			s.out = append(s.out, '\n')
		}
		s.open, i = neither, i+n
	}
	if !more && s.open != neither {
		s.open, s.out = neither, append(s.out, '\n')
	}
	s.in = append(s.in[:0], s.in[i:]...)
}

// at tells how many bytes of a text b begins with, or goes on with.
func (s *reader) at(b []byte) (kind encoding, n int) {
	if s.open != narrow {
		if n := doubles(b); s.open == double || n >= 2*least {
			return double, n
		}
	}
	if n := narrows(b, s.open == narrow); s.open == narrow || n >= least {
		return narrow, n
	}
	return neither, 0
}

// doubles is how many bytes of UTF-16 b begins with.
func doubles(b []byte) (n int) {
	for ; n+2 <= len(b); n += 2 {
		if !doubleText(rune(b[n]) | rune(b[n+1])<<8) {
			break
		}
	}
	return n
}

// doubleText is Latin and its punctuation: what is of two bytes that are both likely
// in any content would make a text of everything.
func doubleText(c rune) bool {
	return c < 0x80 && IsASCII(byte(c)) || c >= 0xa0 && c < 0x180 || c >= 0x2010 && c < 0x2028
}

// narrows is how many bytes of ASCII b begins with, or goes on with; a letter beyond
// it is taken between two of them.
func narrows(b []byte, open bool) (n int) {
	for n < len(b) {
		switch {
		case IsASCII(b[n]):
			n++
		case (open || n > 0) && b[n] >= 0xa0 && n+1 < len(b) && IsASCII(b[n+1]):
			n += 2
		default:
			return n
		}
	}
	return n
}

func (s *reader) append(kind encoding, b []byte) { s.out = Append(s.out, b, kind == double) }

// Append decodes characters of Latin-1, or of UTF-16, little endian, to UTF-8.
func Append(out, b []byte, wide bool) []byte {
	size := 1
	if wide {
		size = 2
	}
	for ; len(b) >= size; b = b[size:] {
		c := rune(b[0])
		if wide {
			c |= rune(b[1]) << 8
		}
		switch {
		case c == '\r': // how Word ends a paragraph
			c = '\n'
		case unicode.IsSpace(c) && c != '\n' && c != '\t':
			c = ' '
		}
		out = utf8.AppendRune(out, c)
	}
	return out
}

package pdftext

import (
	"bytes"
	"strconv"
)

// The objects of PDF (ISO 32000-1, 7.3): float64, bool, nil, and these.
type (
	name  string
	str   []byte // a string, decoded from its written form
	array []any
	dict  map[name]any
	ref   int    // an indirect object, by its number
	word  string // an operator or keyword
)

// maxNesting bounds arrays and dictionaries in one another.
const maxNesting = 64

// lexer reads objects off bytes, leniently: what is malformed is passed over.
type lexer struct {
	b   []byte
	pos int
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f' || c == 0
}

func isDelim(c byte) bool {
	return c == '(' || c == ')' || c == '<' || c == '>' || c == '[' || c == ']' || c == '{' || c == '}' || c == '/' || c == '%'
}

func (l *lexer) space() {
	for l.pos < len(l.b) {
		c := l.b[l.pos]
		if c == '%' {
			for l.pos < len(l.b) && l.b[l.pos] != '\n' && l.b[l.pos] != '\r' {
				l.pos++
			}
			continue
		}
		if !isSpace(c) {
			return
		}
		l.pos++
	}
}

// next reads one object; ok is false at the end. A closing bracket that opens
// nothing comes as a word.
func (l *lexer) next(depth int) (o any, ok bool) {
	l.space()
	if l.pos >= len(l.b) {
		return nil, false
	}
	c := l.b[l.pos]
	switch {
	case c == '/':
		l.pos++
		return l.name(), true
	case c == '(':
		return l.literal(), true
	case c == '<' && l.pos+1 < len(l.b) && l.b[l.pos+1] == '<':
		l.pos += 2
		return l.dict(depth), true
	case c == '<':
		return l.hex(), true
	case c == '[' || c == '{':
		l.pos++
		return l.array(depth), true
	case c == '>' && l.pos+1 < len(l.b) && l.b[l.pos+1] == '>':
		l.pos += 2
		return word(">>"), true
	case isDelim(c):
		l.pos++
		return word(c), true
	}
	return l.atom(), true
}

// atom is a number, a keyword, or a reference, which is two numbers and an R.
func (l *lexer) atom() any {
	from := l.pos
	for l.pos < len(l.b) && !isSpace(l.b[l.pos]) && !isDelim(l.b[l.pos]) {
		l.pos++
	}
	s := string(l.b[from:l.pos])
	switch s {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	if c := s[0]; c != '+' && c != '-' && c != '.' && (c < '0' || c > '9') {
		return word(s)
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return word(s)
	}
	if n, err := strconv.Atoi(s); err == nil && n > 0 {
		save := l.pos
		l.space()
		gen := l.pos
		for l.pos < len(l.b) && l.b[l.pos] >= '0' && l.b[l.pos] <= '9' && l.pos-gen < 6 {
			l.pos++
		}
		if l.pos > gen {
			l.space()
			if l.pos < len(l.b) && l.b[l.pos] == 'R' && (l.pos+1 == len(l.b) || isSpace(l.b[l.pos+1]) || isDelim(l.b[l.pos+1])) {
				l.pos++
				return ref(n)
			}
		}
		l.pos = save
	}
	return f
}

func (l *lexer) name() name {
	var out []byte
	for l.pos < len(l.b) && !isSpace(l.b[l.pos]) && !isDelim(l.b[l.pos]) {
		c := l.b[l.pos]
		if c == '#' && l.pos+2 < len(l.b) {
			if v, err := strconv.ParseUint(string(l.b[l.pos+1:l.pos+3]), 16, 8); err == nil {
				out = append(out, byte(v))
				l.pos += 3
				continue
			}
		}
		out = append(out, c)
		l.pos++
	}
	return name(out)
}

func (l *lexer) literal() str {
	out, depth := str{}, 0
	for l.pos < len(l.b) {
		c := l.b[l.pos]
		l.pos++
		switch c {
		case '(':
			if depth++; depth > 1 {
				out = append(out, c)
			}
		case ')':
			if depth--; depth == 0 {
				return out
			}
			out = append(out, c)
		case '\\':
			out = l.escape(out)
		default:
			out = append(out, c)
		}
	}
	return out
}

func (l *lexer) escape(out str) str {
	if l.pos >= len(l.b) {
		return out
	}
	c := l.b[l.pos]
	l.pos++
	switch c {
	case 'n', 'r', 't', 'b', 'f':
		return append(out, "\n\r\t\b\f"[bytes.IndexByte([]byte("nrtbf"), c)])
	case '\r':
		if l.pos < len(l.b) && l.b[l.pos] == '\n' {
			l.pos++
		}
		return out
	case '\n':
		return out
	}
	if c < '0' || c > '7' {
		return append(out, c)
	}
	v := int(c - '0')
	for range 2 {
		if l.pos < len(l.b) && l.b[l.pos] >= '0' && l.b[l.pos] <= '7' {
			v = v<<3 | int(l.b[l.pos]-'0')
			l.pos++
		}
	}
	return append(out, byte(v))
}

func (l *lexer) hex() str {
	l.pos++
	out, half, odd := str{}, byte(0), false
	for l.pos < len(l.b) && l.b[l.pos] != '>' {
		v, ok := hexDigit(l.b[l.pos])
		l.pos++
		if !ok {
			continue
		}
		if odd = !odd; odd {
			half = v << 4
		} else {
			out = append(out, half|v)
		}
	}
	l.pos = min(l.pos+1, len(l.b))
	if odd {
		out = append(out, half)
	}
	return out
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

func (l *lexer) array(depth int) array {
	out := array{}
	for depth < maxNesting {
		o, ok := l.next(depth + 1)
		if w, is := o.(word); !ok || is && (w == "]" || w == "}" || w == ">>" || w == "endobj") {
			break
		}
		out = append(out, o)
	}
	return out
}

func (l *lexer) dict(depth int) dict {
	out := dict{}
	for depth < maxNesting {
		k, ok := l.next(depth + 1)
		if w, is := k.(word); !ok || is && (w == ">>" || w == "endobj" || w == "stream") {
			break
		}
		key, is := k.(name)
		if !is {
			continue
		}
		v, ok := l.next(depth + 1)
		if w, is := v.(word); !ok || is && w == ">>" {
			break
		}
		out[key] = v
	}
	return out
}

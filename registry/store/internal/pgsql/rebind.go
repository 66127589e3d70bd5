package pgsql

import (
	"strconv"
	"strings"
)

// Rebind puts PostgreSQL's parameters $1, $2 … for the ? and ?N of a query. A
// question mark within a string, a quoted name or a comment stays. A query that
// has a $N of its own is PostgreSQL's already and comes back as it is: there ?
// may be an operator. Numbered and plain marks may be mixed as in SQLite: a plain
// one is the number after the largest before it.
func Rebind(query string) string {
	if strings.IndexByte(query, '?') < 0 {
		return query
	}
	var b strings.Builder
	b.Grow(len(query) + 16)
	done, largest := 0, 0
	for i := 0; i < len(query); {
		switch c := query[i]; {
		case c == '?':
			b.WriteString(query[done:i])
			i++
			from := i
			for i < len(query) && isDigit(query[i]) {
				i++
			}
			n, err := strconv.Atoi(query[from:i])
			if err != nil {
				n = largest + 1
			}
			largest = max(largest, n)
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(n))
			done = i
		case c == '$' && i+1 < len(query) && isDigit(query[i+1]):
			return query
		case isName(c): // so that the e of a name is not that of e'…', nor its $ a quote
			from := i
			for i < len(query) && (isName(query[i]) || isDigit(query[i]) || query[i] == '$') {
				i++
			}
			if word := query[from:i]; (word == "e" || word == "E") && i < len(query) && query[i] == '\'' {
				i = quoted(query, i, true)
			}
		default:
			i = skip(query, i)
		}
	}
	b.WriteString(query[done:])
	return b.String()
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isName reports whether c can begin a name, of which bytes beyond ASCII are part.
func isName(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_' || c >= 0x80 }

// skip is where the thing that begins at i ends: a string, a quoted name, a
// comment, or one character. What is not closed reaches to the end.
func skip(q string, i int) int {
	switch rest := q[i:]; {
	case rest[0] == '\'' || rest[0] == '"':
		return quoted(q, i, false)
	case strings.HasPrefix(rest, "--"):
		if end := strings.IndexAny(rest, "\r\n"); end >= 0 {
			return i + end
		}
		return len(q)
	case strings.HasPrefix(rest, "/*"):
		return i + comment(rest)
	case rest[0] == '$':
		return i + dollar(rest)
	}
	return i + 1
}

// quoted is the end of the string or name that begins at i. A doubled quote is
// none, and with escapes one after a backslash.
func quoted(q string, i int, escapes bool) int {
	quote := q[i]
	for i++; i < len(q); i++ {
		switch {
		case escapes && q[i] == '\\':
			i++
		case q[i] != quote:
		case i+1 < len(q) && q[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return len(q)
}

// comment is the length of a comment, which may hold others.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			i++
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// dollar is the length of a $tag$ string $tag$, or 1 of a lone $.
func dollar(s string) int {
	end := 1
	for end < len(s) && (isName(s[end]) || end > 1 && isDigit(s[end])) {
		end++
	}
	if end == len(s) || s[end] != '$' {
		return 1
	}
	tag := s[:end+1]
	if at := strings.Index(s[len(tag):], tag); at >= 0 {
		return len(tag) + at + len(tag)
	}
	return len(s)
}

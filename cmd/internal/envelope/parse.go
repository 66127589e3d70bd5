package envelope

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"unicode/utf16"
	"unicode/utf8"
)

// escape is a sequence of a JSON string that stands for other bytes.
type escape struct {
	text, raw uint32 // where it begins, in the text and in the string
	textLen   uint8
	rawLen    uint8
}

// opened is a record whose envelope is off.
type opened struct {
	stream  string
	text    []byte // may be of the line, or of the escapes' buffer
	at      int    // of the text in the line
	escapes []escape
	part    bool // the line goes on in the next record of the stream
}

// maxTime bounds what stands for a time: nine digits of a second and a zone.
const maxTime = len("2026-01-02T03:04:05.123456789+00:00")

var dockerStreams = map[string]string{`,"stream":"stdout","time":"`: "stdout", `,"stream":"stderr","time":"`: "stderr"}

// parseDocker opens {"log":"…\n","stream":"stdout","time":"…"}, whose line goes on in
// the next record of the stream where it has no line feed. A record that holds more,
// such as labels, or bytes that JSON cannot, stays as it is.
func parseDocker(line, buf []byte) (o opened, out []byte, ok bool) {
	s, ok := bytes.CutPrefix(line[:len(line)-1], []byte(docker))
	if !ok || !utf8.Valid(s) {
		return o, buf, false
	}
	o.at = len(docker)
	n, ok := 0, false
	if o.text, o.escapes, n, buf, ok = unquote(s, buf); !ok {
		return o, buf, false
	}
	const between = len(`,"stream":"stdout","time":"`)
	s = bytes.TrimSuffix(s[n:], []byte{'\r'})
	if len(s) < between {
		return o, buf, false
	}
	o.stream, ok = dockerStreams[string(s[:between])]
	time, ended := bytes.CutSuffix(s[between:], []byte(`"}`))
	if !ok || !ended || len(time) > maxTime || bytes.ContainsAny(time, "\"\\") || !printable(time) {
		return o, buf, false
	}
	text, whole := bytes.CutSuffix(o.text, []byte{'\n'})
	if bytes.IndexByte(text, '\n') >= 0 {
		return o, buf, false
	}
	o.text, o.part = text, !whole
	return o, buf, true
}

func printable(b []byte) bool {
	for _, c := range b {
		if c < ' ' {
			return false
		}
	}
	return true
}

// unquote reads the rest of a JSON string of valid UTF-8 and its closing quote. The
// text is in buf, which grows, where it has escapes.
func unquote(s, buf []byte) (text []byte, list []escape, n int, out []byte, ok bool) {
	from := len(buf)
	for i, copied := 0, 0; ; {
		j := i
		for j < len(s) && s[j] != '"' && s[j] != '\\' && s[j] >= ' ' {
			j++
		}
		if j == len(s) || s[j] < ' ' {
			return nil, nil, 0, buf, false
		}
		if s[j] == '"' && list == nil {
			return s[:j], nil, j + 1, buf, true
		}
		buf = append(buf, s[copied:j]...)
		if s[j] == '"' {
			return buf[from:], list, j + 1, buf, true
		}
		before := len(buf) - from
		size := 0
		if buf, size = unescape(s[j:], buf); size == 0 {
			return nil, nil, 0, buf, false
		}
		list = append(list, escape{uint32(before), uint32(j), uint8(len(buf) - from - before), uint8(size)})
		i = j + size
		copied = i
	}
}

// plainEscapes are those of two bytes.
var plainEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unescape appends what the escape that s begins with stands for, and gives its size; 0
// is of none.
func unescape(s, buf []byte) (out []byte, size int) {
	if len(s) < 2 {
		return buf, 0
	}
	if c := plainEscapes[s[1]]; c != 0 {
		return append(buf, c), 2
	}
	r, ok := hex4(s)
	if !ok {
		return buf, 0
	}
	if utf16.IsSurrogate(r) {
		if low, ok := hex4(s[6:]); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				return utf8.AppendRune(buf, both), 12
			}
		}
		r = utf8.RuneError
	}
	return utf8.AppendRune(buf, r), 6
}

func hex4(s []byte) (rune, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	var b [2]byte
	if _, err := hex.Decode(b[:], s[2:6]); err != nil {
		return 0, false
	}
	return rune(binary.BigEndian.Uint16(b[:])), true
}

// parseCRI opens "TIME stdout F text", where P says that the line goes on.
// Nothing else is one.
func parseCRI(line []byte) (o opened, ok bool) {
	time, rest, ok := bytes.Cut(line[:len(line)-1], []byte{' '})
	if !ok || len(time) < len("2026-01-02T03:04:05Z") || len(time) > maxTime || time[4] != '-' || time[10] != 'T' {
		return o, false
	}
	switch {
	case bytes.HasPrefix(rest, []byte("stdout ")):
		o.stream = "stdout"
	case bytes.HasPrefix(rest, []byte("stderr ")):
		o.stream = "stderr"
	default:
		return o, false
	}
	rest = rest[len("stdout "):]
	if len(rest) < 2 || rest[0] != 'P' && rest[0] != 'F' || rest[1] != ' ' {
		return o, false
	}
	o.at = len(time) + 1 + len("stdout ") + 2
	o.text, o.part = rest[2:], rest[0] == 'P'
	return o, true
}

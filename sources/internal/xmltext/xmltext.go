// Package xmltext gives the text of the XML parts of office documents.
//
// A word of a document may be spread over many elements, one for each change of its
// look or its author; here it is in one piece again. The package knows how Office
// Open XML and OpenDocument mark words, lines and cells, and nothing of where parts
// lie. It reads hostile bytes as a stream, in bounded memory, and is never strict:
// what is not XML comes out as it is. Start reading at NewReader.
package xmltext

import (
	"bufio"
	"bytes"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	// maxTag is how much of one tag is looked at: attributes of documents are
	// shorter, but for pictures in them.
	maxTag = 256 << 10
	// maxDepth is how many elements in one another are kept apart: no document
	// has a tenth of it.
	maxDepth = 4096
	// minValue is the shortest attribute that is told: those of looks and sizes are
	// shorter, and secrets are not.
	minValue = 12
)

// inline are elements that end no line although they hold text: parts of words.
var inline = map[string]bool{"t": true, "r": true, "span": true, "a": true, "delText": true, "instrText": true, "s": true, "tab": true}

// block are elements that end a line whatever they hold: paragraphs, rows, cells.
var block = map[string]bool{
	"p": true, "h": true, "si": true, "row": true, "c": true, "v": true, "tr": true, "br": true, "cr": true, "line-break": true,
	"table-row": true, "table-cell": true, "comment": true, "list-item": true,
}

// NewReader gives the text of the XML in r, a line for each paragraph and cell.
// Attributes whose values are long enough to be secrets follow on lines of their
// own, as name="value". Errors are those of r.
func NewReader(r io.Reader) io.Reader {
	return &reader{r: bufio.NewReaderSize(r, 16<<10)}
}

type reader struct {
	r     *bufio.Reader
	out   bytes.Buffer
	err   error
	text  []bool // of the open elements: whether they hold text
	deep  int    // open elements beyond maxDepth
	later []byte // attributes, told at the end of the line
	mid   bool   // in a line
}

func (x *reader) Read(p []byte) (int, error) {
	for x.out.Len() == 0 {
		if x.err != nil {
			return 0, x.err
		}
		x.out.Reset()
		if x.err = x.step(); x.err != nil {
			x.line()
		}
	}
	return x.out.Read(p)
}

// step reads one piece of markup, or the text up to it or to the end of what is
// buffered.
func (x *reader) step() error {
	head, err := x.r.Peek(1)
	if err != nil {
		return err
	}
	switch head[0] {
	case '<':
		return x.markup()
	case '&':
		x.entity()
		return nil
	}
	buf, _ := x.r.Peek(x.r.Buffered())
	if i := bytes.IndexAny(buf, "<&"); i >= 0 {
		buf = buf[:i]
	}
	x.chars(buf)
	x.r.Discard(len(buf))
	return nil
}

// chars gives text, but for what only indents the next tag.
func (x *reader) chars(b []byte) {
	if !x.mid && len(bytes.TrimLeft(b, " \t\r\n")) == 0 {
		return
	}
	x.out.Write(b)
	x.mid = true
	if n := len(x.text); n > 0 {
		x.text[n-1] = true
	}
}

// line ends a line.
func (x *reader) line() {
	if x.mid {
		x.out.WriteByte('\n')
	}
	x.out.Write(x.later)
	x.later, x.mid = x.later[:0], false
}

func (x *reader) entity() {
	const longest = 12
	b, _ := x.r.Peek(longest)
	i := bytes.IndexByte(b, ';')
	if i > 0 {
		if s, ok := unescape(string(b[1:i])); ok {
			x.chars([]byte(s))
			x.r.Discard(i + 1)
			return
		}
	}
	x.chars(b[:1])
	x.r.Discard(1)
}

func unescape(name string) (string, bool) {
	switch name {
	case "amp":
		return "&", true
	case "lt":
		return "<", true
	case "gt":
		return ">", true
	case "quot":
		return `"`, true
	case "apos":
		return "'", true
	}
	num, ok := strings.CutPrefix(name, "#")
	if !ok {
		return "", false
	}
	base := 10
	if h, ok := strings.CutPrefix(num, "x"); ok {
		num, base = h, 16
	}
	n, err := strconv.ParseUint(num, base, 32)
	if err != nil || n > utf8.MaxRune {
		return "", false
	}
	return string(rune(n)), true
}

// markup reads what begins with "<".
func (x *reader) markup() error {
	for _, m := range []struct{ begin, end string }{{"<!--", "-->"}, {"<![CDATA[", "]]>"}, {"<?", "?>"}} {
		if b, _ := x.r.Peek(len(m.begin)); string(b) == m.begin {
			x.r.Discard(len(m.begin))
			return x.until(m.end, m.end != "?>")
		}
	}
	tag, err := x.tag()
	if err != nil {
		return err
	}
	x.element(tag)
	return nil
}

// until gives, or drops, what precedes end.
func (x *reader) until(end string, keep bool) error {
	for {
		b, err := x.r.ReadSlice(end[len(end)-1])
		done := bytes.HasSuffix(b, []byte(end)) // a cut in the middle of end is text: harmless
		if keep {
			x.chars(bytes.TrimSuffix(b, []byte(end)))
		}
		if done {
			return nil
		}
		if err != nil && err != bufio.ErrBufferFull {
			return err
		}
	}
}

// tag reads from "<" to the ">" that ends it and gives what lies between.
func (x *reader) tag() ([]byte, error) {
	x.r.Discard(1)
	var tag []byte
	var quote byte
	for {
		c, err := x.r.ReadByte()
		if err != nil {
			x.chars(tag) // not a tag after all
			return nil, err
		}
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return tag, nil
		}
		if len(tag) < maxTag {
			tag = append(tag, c)
		}
	}
}

// element takes in a start tag, an end tag, or both in one.
func (x *reader) element(tag []byte) {
	if len(tag) == 0 || tag[0] == '!' {
		return
	}
	if tag[0] == '/' {
		x.end(local(tag[1:]))
		return
	}
	name := tag
	if i := bytes.IndexAny(tag, " \t\r\n/"); i >= 0 {
		name = tag[:i]
	}
	x.attributes(tag[len(name):])
	x.begin()
	switch l := local(name); l {
	case "tab", "s":
		x.chars([]byte("\t"))
	}
	if tag[len(tag)-1] == '/' {
		x.end(local(name))
	}
}

func (x *reader) begin() {
	if len(x.text) < maxDepth {
		x.text = append(x.text, false)
	} else {
		x.deep++
	}
}

func (x *reader) end(name string) {
	text := false
	if x.deep > 0 {
		x.deep--
	} else if n := len(x.text); n > 0 {
		text = x.text[n-1]
		x.text = x.text[:n-1]
	}
	if block[name] || text && !inline[name] {
		x.line()
	}
}

// local is a name without its prefix.
func local(name []byte) string {
	name = bytes.TrimRight(name, " \t\r\n/")
	return string(name[bytes.LastIndexByte(name, ':')+1:])
}

// attributes keeps those that may be of interest for the end of the line.
func (x *reader) attributes(b []byte) {
	for len(x.later) < maxTag {
		eq := bytes.IndexByte(b, '=')
		if eq < 0 {
			return
		}
		name := string(bytes.TrimSpace(b[:eq]))
		b = bytes.TrimLeft(b[eq+1:], " \t\r\n")
		if len(b) == 0 {
			return
		}
		end := bytes.IndexByte(b[1:], b[0])
		if b[0] != '"' && b[0] != '\'' || end < 0 {
			return
		}
		value := b[1 : 1+end]
		b = b[end+2:]
		if len(value) < minValue || strings.HasPrefix(name, "xmlns") || bytes.HasPrefix(value, []byte("http://schemas.")) || bytes.HasPrefix(value, []byte("urn:")) {
			continue
		}
		x.later = append(x.later, name[strings.LastIndexByte(name, ':')+1:]...)
		x.later = append(x.later, `="`...)
		x.later = append(x.later, unescapeAll(value)...)
		x.later = append(x.later, "\"\n"...)
	}
}

func unescapeAll(b []byte) []byte {
	if bytes.IndexByte(b, '&') < 0 {
		return b
	}
	var out []byte
	for len(b) > 0 {
		if b[0] == '&' {
			if i := bytes.IndexByte(b[:min(len(b), 12)], ';'); i > 0 {
				if s, ok := unescape(string(b[1:i])); ok {
					out, b = append(out, s...), b[i+1:]
					continue
				}
			}
		}
		out, b = append(out, b[0]), b[1:]
	}
	return out
}

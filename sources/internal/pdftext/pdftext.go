// Package pdftext reads the text of PDF files: their pages, notes, links, form
// fields, properties and attached files.
//
// It knows the file format as far as text needs it and is not a viewer: it finds
// objects by looking for them, not by the tables that say where they are, so that
// damaged and incremental files are read whole, older versions of pages included.
// What it reads is hostile: everything decoded is paid for by the caller's spend,
// nesting is bounded, and each object is read once. Libraries for it were looked
// at: those that give text panic or loop on malformed files and inflate without
// bound. Start reading at Read.
package pdftext

import (
	"bytes"
	"compress/zlib"
	"encoding/ascii85"
	"errors"
	"fmt"
	"io"
	"strconv"
)

var (
	// ErrEncrypted says that strings and streams are encrypted.
	ErrEncrypted = errors.New("encrypted PDF")
	// ErrMalformed says that there is no object in it.
	ErrMalformed = errors.New("malformed PDF")
)

const (
	// maxStream is the most that one stream gives: pages of maps and plots have
	// some 50 MB.
	maxStream = 64 << 20
	// maxFilters is how many encodings lie over one another: writers use two.
	maxFilters = 4
	// maxObjects bounds what is indexed: books of thousands of pages have 100,000.
	maxObjects = 1 << 20
)

// Sink takes what a file holds. An error of a method ends reading and is handed back.
type Sink interface {
	// Text is told of one text, valid during the call.
	Text(name string, text []byte) error
	// File is told of an attached file.
	File(name string, r io.Reader) error
	// Unread is told of a page whose fonts do not say which characters they draw.
	Unread(name string) error
	// Spend is told of bytes that were decoded.
	Spend(n int) error
}

// Read gives what is in data.
func Read(data []byte, to Sink) error {
	d := &document{data: data, to: to, objects: map[int]any{}, fonts: map[ref]*font{}}
	if err := d.index(); err != nil {
		return err
	}
	if len(d.order) == 0 {
		return fmt.Errorf("%w: no object in it", ErrMalformed)
	}
	if d.encrypted {
		return ErrEncrypted
	}
	if err := d.pages(); err != nil {
		return err
	}
	return d.rest()
}

// stream is an object with bytes.
type stream struct {
	dict dict
	raw  []byte
}

type document struct {
	data      []byte
	to        Sink
	objects   map[int]any
	order     []int // of objects, as they lie in the file
	fonts     map[ref]*font
	encrypted bool
	seen      int // objects, older versions included
}

// get follows a reference, and one it may lead to.
func (d *document) get(o any) any {
	for range 4 {
		r, ok := o.(ref)
		if !ok {
			return o
		}
		o = d.objects[int(r)]
	}
	return nil
}

func (d *document) dict(o any) dict {
	switch v := d.get(o).(type) {
	case dict:
		return v
	case *stream:
		return v.dict
	}
	return nil
}

func (d *document) number(o any, or float64) float64 {
	if f, ok := d.get(o).(float64); ok {
		return f
	}
	return or
}

// index finds all objects, those in streams of objects too.
func (d *document) index() error {
	for at := 0; ; {
		i := bytes.Index(d.data[at:], []byte("obj"))
		if i < 0 {
			break
		}
		i += at
		at = i + 3
		if n, ok := objectNumber(d.data[:i]); ok {
			at = d.object(n, at)
		}
		if d.seen > maxObjects {
			return fmt.Errorf("%w: more than %d objects", ErrMalformed, maxObjects)
		}
	}
	if i := bytes.LastIndex(d.data, []byte("trailer")); i >= 0 {
		l := &lexer{b: d.data, pos: i + len("trailer")}
		if o, ok := l.next(0); ok {
			t, _ := o.(dict)
			d.encrypted = d.encrypted || t["Encrypt"] != nil
		}
	}
	for _, n := range d.order {
		s, ok := d.objects[n].(*stream)
		if !ok {
			continue
		}
		switch s.dict["Type"] {
		case name("XRef"):
			d.encrypted = d.encrypted || s.dict["Encrypt"] != nil
		case name("ObjStm"):
			if err := d.packed(s); err != nil {
				return err
			}
		}
	}
	return nil
}

// objectNumber reads "12 0 " off the end of b.
func objectNumber(b []byte) (int, bool) {
	b = bytes.TrimRight(b[max(0, len(b)-24):], " \t\r\n")
	i := len(b)
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
	}
	if i == len(b) || i == 0 || !isSpace(b[i-1]) {
		return 0, false
	}
	b = bytes.TrimRight(b[:i], " \t\r\n")
	i = len(b)
	for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' {
		i--
	}
	n, err := strconv.Atoi(string(b[i:]))
	return n, err == nil && n > 0
}

func (d *document) add(n int, o any) {
	d.seen++
	if _, ok := d.objects[n]; !ok {
		d.order = append(d.order, n)
	}
	d.objects[n] = o // the last version counts
}

// object reads one and gives where to go on.
func (d *document) object(n, at int) int {
	l := &lexer{b: d.data, pos: at}
	o, ok := l.next(0)
	if !ok {
		return at
	}
	dic, isDict := o.(dict)
	l.space()
	if !isDict || !bytes.HasPrefix(d.data[l.pos:], []byte("stream")) {
		d.add(n, o)
		return l.pos
	}
	from := l.pos + len("stream")
	if bytes.HasPrefix(d.data[from:], []byte("\r\n")) {
		from += 2
	} else if from < len(d.data) && (d.data[from] == '\n' || d.data[from] == '\r') {
		from++
	}
	// Length is right where what follows says so; it may be an object still to come.
	end := -1
	if f, ok := dic["Length"].(float64); ok && f >= 0 && f <= float64(len(d.data)-from) {
		if e := from + int(f); bytes.HasPrefix(bytes.TrimLeft(d.data[e:min(len(d.data), e+20)], "\r\n "), []byte("endstream")) {
			end = e
		}
	}
	if end < 0 {
		i := bytes.Index(d.data[from:], []byte("endstream"))
		if i < 0 {
			i = len(d.data) - from // cut: what is there is read
		}
		end = from + i
	}
	d.add(n, &stream{dic, d.data[from:end]})
	return end
}

// packed reads a stream of objects.
func (d *document) packed(s *stream) error {
	data, err := d.decode(s)
	if err != nil {
		return err
	}
	first := int(d.number(s.dict["First"], 0))
	if first <= 0 || first > len(data) {
		return nil
	}
	head := &lexer{b: data[:first]}
	for {
		n, ok := head.next(0)
		at, ok2 := head.next(0)
		num, isNum := n.(float64)
		off, isOff := at.(float64)
		if !ok || !ok2 || !isNum || !isOff || d.seen > maxObjects {
			return nil
		}
		if off < 0 || off >= float64(len(data)-first) {
			continue
		}
		l := &lexer{b: data, pos: first + int(off)}
		if o, ok := l.next(0); ok {
			d.add(int(num), o)
		}
	}
}

// decode gives a stream's bytes; nil where its filters are for pictures. What
// precedes damage is given.
func (d *document) decode(s *stream) ([]byte, error) {
	filters, ok := d.get(s.dict["Filter"]).(array)
	if f, is := d.get(s.dict["Filter"]).(name); is {
		filters, ok = array{f}, true
	}
	data := s.raw
	if !ok {
		return data, nil
	}
	if len(filters) > maxFilters {
		return nil, nil
	}
	for _, f := range filters {
		var r io.Reader
		switch n, _ := d.get(f).(name); n {
		case "FlateDecode", "Fl":
			z, err := zlib.NewReader(bytes.NewReader(data))
			if err != nil {
				return nil, nil
			}
			r = z
		case "ASCII85Decode", "A85":
			r = ascii85.NewDecoder(bytes.NewReader(bytes.TrimSuffix(bytes.TrimRight(bytes.TrimPrefix(data, []byte("<~")), "\r\n\t "), []byte("~>"))))
		case "ASCIIHexDecode", "AHx":
			l := &lexer{b: append([]byte("<"), data...)}
			r = bytes.NewReader(l.hex())
		default:
			return nil, nil
		}
		out, _ := io.ReadAll(io.LimitReader(spender{r, d.to}, maxStream))
		if err := d.to.Spend(0); err != nil {
			return nil, err
		}
		data = out
	}
	return data, nil
}

// spender tells of what is decoded as it is.
type spender struct {
	r  io.Reader
	to Sink
}

func (s spender) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if e := s.to.Spend(n); e != nil {
		return n, e
	}
	return n, err
}

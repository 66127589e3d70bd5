package pdftext

import (
	"bytes"
	"fmt"
	"math"
	"unicode/utf16"
)

// pages gives the text of each page, in the order of the file.
func (d *document) pages() error {
	n := 0
	for _, id := range d.order {
		page, ok := d.objects[id].(dict)
		if !ok || page["Type"] != name("Page") {
			continue
		}
		n++
		title := fmt.Sprintf("page-%d", n)
		w := &writer{d: d}
		contents, ok := d.get(page["Contents"]).(array)
		if !ok {
			contents = array{page["Contents"]}
		}
		var ops []byte
		for _, c := range contents {
			s, ok := d.get(c).(*stream)
			if !ok {
				continue
			}
			data, err := d.decode(s)
			if err != nil {
				return err
			}
			ops = append(append(ops, data...), '\n')
			if len(ops) > maxStream {
				break
			}
		}
		if err := w.run(ops, d.inherited(page, "Resources"), 0); err != nil {
			return err
		}
		if err := d.to.Text(title, w.out.Bytes()); err != nil {
			return err
		}
		if w.unknown {
			if err := d.to.Unread(title); err != nil {
				return err
			}
		}
	}
	return nil
}

// inherited is an entry of a page or of the nodes above it.
func (d *document) inherited(page dict, key name) dict {
	for range 32 {
		if v := d.dict(page[key]); v != nil {
			return v
		}
		if page = d.dict(page["Parent"]); page == nil {
			break
		}
	}
	return nil
}

// rest gives what is no page: strings of notes, links, fields and properties, and
// attached files.
func (d *document) rest() error {
	var out bytes.Buffer
	for _, id := range d.order {
		o := d.objects[id]
		if s, ok := o.(*stream); ok && s.dict["Type"] == name("EmbeddedFile") {
			data, err := d.decode(s)
			if err == nil && data != nil {
				err = d.to.File(fmt.Sprintf("attached-%d", id), bytes.NewReader(data))
			}
			if err != nil {
				return err
			}
		}
		if s, ok := o.(*stream); ok && s.dict["Type"] == name("Metadata") {
			data, err := d.decode(s)
			if err != nil {
				return err
			}
			out.Write(data)
			out.WriteByte('\n')
		}
		texts(&out, o, 0)
	}
	if out.Len() == 0 {
		return nil
	}
	return d.to.Text("strings", out.Bytes())
}

// texts writes the texts of a dictionary and what lies in it, a line each.
func texts(out *bytes.Buffer, o any, depth int) {
	const shortest = 4 // identifiers of languages and the like are shorter
	if depth > 8 {
		return
	}
	switch v := o.(type) {
	case *stream:
		texts(out, v.dict, depth)
	case array:
		for _, x := range v {
			texts(out, x, depth+1)
		}
	case dict:
		for _, key := range sortedKeys(v) {
			s, ok := v[key].(str)
			if !ok {
				texts(out, v[key], depth+1)
				continue
			}
			switch key {
			case "ID", "CheckSum", "CreationDate", "ModDate", "M", "Lang", "Ordering", "Registry", "DA", "U", "O", "Cert", "ByteRange":
				continue
			}
			if t := textString(s); len(t) >= shortest {
				fmt.Fprintf(out, "%s: %s\n", key, t)
			}
		}
	}
}

// textString decodes a text string: UTF-16 or UTF-8 with a mark, or bytes.
func textString(s str) []byte {
	switch {
	case bytes.HasPrefix(s, []byte("\xfe\xff")):
		units := make([]uint16, (len(s)-2)/2)
		for i := range units {
			units[i] = uint16(s[2+2*i])<<8 | uint16(s[3+2*i])
		}
		return []byte(string(utf16.Decode(units)))
	case bytes.HasPrefix(s, []byte("\xef\xbb\xbf")):
		return s[3:]
	}
	if bytes.IndexByte(s, 0) >= 0 {
		return nil
	}
	return s
}

// writer runs the operators of a page and writes what they show.
type writer struct {
	d       *document
	out     bytes.Buffer
	unknown bool // something was shown that no font names
	forms   int

	font    *font
	size    float64
	leading float64
	// x and y are where the line began, at is where the next character comes, in the
	// units of the text; scale is how the matrix stretches x.
	x, y, at, scale float64
	lastX, lastY    float64 // where text ended
	moved           bool    // the page's own axes changed since
	any             bool    // something was shown
}

const (
	// newLine is the change of height, in sizes of the font, that is a new line;
	// raised figures move less.
	newLine = 0.5
	// gap is the distance, in sizes of the font, that is a space between words:
	// a space is a quarter, kerning a tenth at most.
	gap = 0.18
	// maxForms is how deep forms lie in forms.
	maxForms = 8
	// maxShown is how many forms a page shows in all: one that shows itself twice
	// doubles at each level.
	maxShown = 10_000
)

func (w *writer) run(ops []byte, resources dict, depth int) error {
	l := &lexer{b: ops}
	var args []any
	for steps := 0; ; steps++ {
		if steps&0xffff == 0 {
			if err := w.d.to.Spend(0); err != nil {
				return err
			}
		}
		o, ok := l.next(0)
		if !ok {
			return nil
		}
		op, isOp := o.(word)
		if !isOp {
			if args = append(args, o); len(args) > 64 {
				args = args[1:] // no operator has so many
			}
			continue
		}
		switch op {
		case "BI":
			l.skipImage()
		case "Do":
			if err := w.form(args, resources, depth); err != nil {
				return err
			}
		default:
			w.operator(string(op), args, resources)
		}
		args = args[:0]
	}
}

// skipImage passes over the bytes of an inline image.
func (l *lexer) skipImage() {
	for l.pos < len(l.b) {
		i := bytes.Index(l.b[l.pos:], []byte("EI"))
		if i < 0 {
			l.pos = len(l.b)
			return
		}
		l.pos += i + 2
		if i > 0 && isSpace(l.b[l.pos-3]) && (l.pos == len(l.b) || isSpace(l.b[l.pos])) {
			return
		}
	}
}

// form shows a form, which is a page in a page.
func (w *writer) form(args []any, resources dict, depth int) error {
	n, ok := last(args).(name)
	if w.forms++; !ok || depth >= maxForms || w.forms > maxShown {
		return nil
	}
	s, ok := w.d.get(w.d.dict(resources["XObject"])[n]).(*stream)
	if !ok || s.dict["Subtype"] != name("Form") {
		return nil
	}
	data, err := w.d.decode(s)
	if err != nil {
		return err
	}
	own := w.d.dict(s.dict["Resources"])
	if own == nil {
		own = resources
	}
	w.moved = true
	return w.run(data, own, depth+1)
}

func last(args []any) any {
	if len(args) == 0 {
		return nil
	}
	return args[len(args)-1]
}

// num is the i-th number from the end.
func num(args []any, i int) float64 {
	if i >= len(args) {
		return 0
	}
	f, _ := args[len(args)-1-i].(float64)
	return f
}

func (w *writer) operator(op string, args []any, resources dict) {
	switch op {
	case "BT":
		w.x, w.y, w.at, w.scale = 0, 0, 0, 1
	case "cm":
		w.moved = true
	case "Tf":
		w.size = math.Abs(num(args, 0))
		if len(args) >= 2 {
			n, _ := args[len(args)-2].(name)
			w.font = w.d.font(w.d.dict(resources["Font"])[n])
		}
	case "TL":
		w.leading = num(args, 0)
	case "Td", "TD":
		if op == "TD" {
			w.leading = -num(args, 0)
		}
		w.move(num(args, 1), num(args, 0))
	case "Tm":
		w.scale = num(args, 5)
		w.x, w.y = num(args, 1), num(args, 0)
		w.at = w.x
	case "T*":
		w.move(0, -w.leading)
	case "Tj":
		w.show(last(args))
	case "'", "\"":
		w.move(0, -w.leading)
		w.show(last(args))
	case "TJ":
		list, _ := last(args).(array)
		for _, x := range list {
			if f, ok := x.(float64); ok {
				w.at -= f / 1000 * w.size * w.scale
				continue
			}
			w.show(x)
		}
	}
}

func (w *writer) move(tx, ty float64) {
	w.x += tx * w.scale
	w.y += ty * math.Max(math.Abs(w.scale), 1e-9)
	w.at = w.x
}

// show writes a string, after what the way to it means: a new line, a space, or
// nothing.
func (w *writer) show(o any) {
	s, ok := o.(str)
	if !ok || len(s) == 0 {
		return
	}
	size := math.Max(math.Abs(w.size*w.scale), 1e-9)
	if w.any {
		switch distance := w.at - w.lastX; {
		case w.moved || math.Abs(w.y-w.lastY) > newLine*size || distance < -size:
			w.out.WriteByte('\n')
		case distance > gap*size:
			w.out.WriteByte(' ')
		}
	}
	w.moved, w.any = false, true
	width, unknown := w.font.write(&w.out, s)
	w.unknown = w.unknown || unknown
	w.at += width / 1000 * w.size * w.scale
	w.lastX, w.lastY = w.at, w.y
}

package pdftext

import (
	"bytes"
	"maps"
	"slices"
	"unicode/utf16"
)

// font says which characters the codes of a string are, and how wide.
type font struct {
	wide    bool // codes of two bytes
	known   bool // text says which characters they are
	text    map[int][]byte
	widths  map[int]float64
	missing float64
}

// ligatures are characters that are letters drawn as one.
var ligatures = map[string]string{"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl"}

// maxCodes bounds what one font maps: two bytes make no more.
const maxCodes = 1 << 16

func sortedKeys(d dict) []name { return slices.Sorted(maps.Keys(d)) }

// font reads the font that a resource leads to, once.
func (d *document) font(o any) *font {
	r, isRef := o.(ref)
	if f := d.fonts[r]; isRef && f != nil {
		return f
	}
	dic := d.dict(o)
	if dic == nil {
		return nil
	}
	f := &font{wide: dic["Subtype"] == name("Type0"), widths: map[int]float64{}, missing: 500}
	if s, ok := d.get(dic["ToUnicode"]).(*stream); ok {
		if data, err := d.decode(s); err == nil {
			f.text, f.known = cmap(data), true
		}
	}
	if f.wide {
		f.missing = 1000
		if list, ok := d.get(dic["DescendantFonts"]).(array); ok && len(list) > 0 {
			f.cidWidths(d, d.dict(list[0]))
		}
	} else if list, ok := d.get(dic["Widths"]).(array); ok {
		first := int(d.number(dic["FirstChar"], 0))
		for i, v := range list[:min(len(list), maxCodes)] {
			f.widths[first+i] = d.number(v, f.missing)
		}
	}
	if isRef {
		d.fonts[r] = f
	}
	return f
}

// cidWidths reads W: "first [w w w]" and "first last w".
func (f *font) cidWidths(d *document, dic dict) {
	f.missing = d.number(dic["DW"], 1000)
	w, _ := d.get(dic["W"]).(array)
	for i := 0; i+1 < len(w) && len(f.widths) < maxCodes; {
		first := int(d.number(w[i], 0))
		if list, ok := d.get(w[i+1]).(array); ok {
			for k, v := range list[:min(len(list), maxCodes)] {
				f.widths[first+k] = d.number(v, f.missing)
			}
			i += 2
			continue
		}
		if i+2 >= len(w) {
			return
		}
		end := int(d.number(w[i+1], 0))
		for c := first; c <= end && len(f.widths) < maxCodes; c++ {
			f.widths[c] = d.number(w[i+2], f.missing)
		}
		i += 3
	}
}

// write gives the characters of a string, its width in thousandths, and whether
// some are not known. Without a font, or a map, codes of one byte are Latin-1.
func (f *font) write(out *bytes.Buffer, s str) (width float64, unknown bool) {
	if f == nil {
		out.Write(s)
		return 500 * float64(len(s)), false
	}
	step := 1
	if f.wide {
		step = 2
	}
	for i := 0; i+step <= len(s); i += step {
		code := int(s[i])
		if f.wide {
			code = code<<8 | int(s[i+1])
		}
		w, ok := f.widths[code]
		if !ok {
			w = f.missing
		}
		width += w
		t, ok := f.text[code]
		switch {
		case ok:
			out.Write(t)
		case !f.wide:
			out.WriteRune(rune(code))
		default:
			unknown = true
		}
	}
	return width, unknown
}

// cmap reads a ToUnicode map (9.10.3): lines of bfchar and bfrange.
func cmap(data []byte) map[int][]byte {
	out := map[int][]byte{}
	l := &lexer{b: data}
	var args []any
	for len(out) < maxCodes {
		o, ok := l.next(0)
		if !ok {
			break
		}
		op, isOp := o.(word)
		if !isOp {
			if args = append(args, o); len(args) > 4096 { // a section has 100 lines
				args = args[3:]
			}
			continue
		}
		switch op {
		case "endbfchar":
			for i := 0; i+1 < len(args); i += 2 {
				set(out, code(args[i]), args[i+1], 0)
			}
		case "endbfrange":
			for i := 0; i+2 < len(args); i += 3 {
				bfrange(out, code(args[i]), code(args[i+1]), args[i+2])
			}
		}
		args = args[:0]
	}
	return out
}

func bfrange(out map[int][]byte, from, to int, dst any) {
	list, isList := dst.(array)
	for c := from; c >= 0 && c <= to && len(out) < maxCodes; c++ {
		switch {
		case !isList:
			set(out, c, dst, c-from)
		case c-from < len(list):
			set(out, c, list[c-from], 0)
		default:
			return
		}
	}
}

func code(o any) int {
	s, ok := o.(str)
	if !ok || len(s) == 0 || len(s) > 2 {
		return -1
	}
	n := 0
	for _, b := range s {
		n = n<<8 | int(b)
	}
	return n
}

// set maps a code to UTF-16, plus the distance into a range.
func set(out map[int][]byte, c int, dst any, plus int) {
	s, ok := dst.(str)
	if !ok || c < 0 || len(s) < 2 || len(s) > 64 {
		return
	}
	units := make([]uint16, len(s)/2)
	for i := range units {
		units[i] = uint16(s[2*i])<<8 | uint16(s[2*i+1])
	}
	units[len(units)-1] += uint16(plus)
	text := string(utf16.Decode(units))
	if l, ok := ligatures[text]; ok {
		text = l
	}
	out[c] = []byte(text)
}

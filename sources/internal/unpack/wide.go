package unpack

import (
	"encoding/binary"
	"io"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/quench-dev/quench/sources/internal/textruns"
)

// Decode gives a text of kind UTF16LE to UTF32BE as UTF-8, without its byte order
// mark. Lines stay lines. What is no character, as half of a pair, becomes U+FFFD; ASCII that was appended to text
// of 16-bit units stays as it is.
func Decode(k Kind, r io.Reader) io.Reader {
	d := &wideReader{r: r, size: 2, unit: func(b []byte) rune { return rune(binary.LittleEndian.Uint16(b)) }}
	switch k {
	case UTF16BE:
		d.unit = func(b []byte) rune { return rune(binary.BigEndian.Uint16(b)) }
	case UTF32LE:
		d.size, d.unit = 4, func(b []byte) rune { return rune(binary.LittleEndian.Uint32(b)) }
	case UTF32BE:
		d.size, d.unit = 4, func(b []byte) rune { return rune(binary.BigEndian.Uint32(b)) }
	}
	return d
}

// wideReader decodes as it reads.
type wideReader struct {
	r     io.Reader
	size  int
	unit  func([]byte) rune
	in    []byte // read and not decoded
	out   []byte // decoded and not given
	err   error
	begun bool
	raw   bool // in ASCII that was appended
	high  rune // first half of a pair
}

func (d *wideReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(d.out) == 0 {
		if d.err != nil {
			return 0, d.err
		}
		d.fill()
	}
	n := copy(p, d.out)
	d.out = d.out[n:]
	return n, nil
}

// minRaw is how many units in a row that are two ASCII characters each are taken as
// those, and not as the ideographs they make: tools append to files in another
// encoding than the file's, and eight ideographs in a row are such one time in
// two thousand.
const minRaw = 8

// fill reads once and decodes what is whole.
func (d *wideReader) fill() {
	const chunk = 32 << 10
	if cap(d.in) == 0 {
		d.in = make([]byte, 0, chunk)
	}
	n, err := d.r.Read(d.in[len(d.in):cap(d.in)])
	d.in, d.err = d.in[:len(d.in)+n], err
	out := d.out[:0]
	i := 0
	for i+d.size <= len(d.in) {
		if d.size == 2 {
			n, whole := d.ascii(d.in[i:])
			if !whole && n < minRaw && !d.raw && err == nil {
				break // what follows decides
			}
			if n >= minRaw || d.raw && n > 0 {
				out = d.halves(out)
				out = append(out, d.in[i:i+2*n]...)
				i, d.raw = i+2*n, true
				continue
			}
			if d.raw && d.in[i] == 0 && (d.unit([]byte{1, 0}) == 1) {
				i++ // it had an odd length
				d.raw = false
				continue
			}
			d.raw = false
		}
		out = d.append(out, d.unit(d.in[i:]))
		i += d.size
	}
	d.in = append(d.in[:0], d.in[i:]...)
	if err != nil {
		out = d.halves(out)
		if d.raw && len(d.in) == 1 {
			out = append(out, d.in[0])
		} else if len(d.in) > 0 {
			out = utf8.AppendRune(out, utf8.RuneError)
		}
		d.in = d.in[:0]
	}
	d.out = out
}

// ascii counts the units at the start of b that are two ASCII characters of text,
// and says whether one that is none follows in b.
func (d *wideReader) ascii(b []byte) (n int, whole bool) {
	for ; 2*n+2 <= len(b); n++ {
		if !textruns.IsASCII(b[2*n]) || !textruns.IsASCII(b[2*n+1]) {
			return n, true
		}
	}
	return n, false
}

// halves gives half of a pair whose other half does not come.
func (d *wideReader) halves(out []byte) []byte {
	if d.high != 0 {
		d.high = 0
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	return out
}

func (d *wideReader) append(out []byte, c rune) []byte {
	if !d.begun {
		d.begun = true
		if c == '\ufeff' {
			return out
		}
	}
	if d.high != 0 {
		high := d.high
		d.high = 0
		if pair := utf16.DecodeRune(high, c); pair != utf8.RuneError {
			return utf8.AppendRune(out, pair)
		}
		out = utf8.AppendRune(out, utf8.RuneError)
	}
	if d.size == 2 && c >= 0xd800 && c < 0xdc00 {
		d.high = c
		return out
	}
	return utf8.AppendRune(out, c)
}

// Package runs finds token-like runs and rare bytes in a text: runs of the
// base64 or the hexadecimal alphabet, and the bytes that escapes and joints
// begin with.
//
// On CPUs that can, one pass of SIMD writes a bit for each byte and class, and
// all questions are answered from the bits; elsewhere each is answered from the
// text, by looking at every n-th byte or with bytes.IndexByte. Both give the
// same answers. This package knows nothing of rules or encodings. Start reading
// at Finder.
package runs

import (
	"bytes"
	"math/bits"
)

// Class is a set of bytes.
type Class int

// The classes.
const (
	Base64    Class = iota // alphanumeric or one of + / - _
	Hex                    // hexadecimal digits in either case
	Percent                // %
	Backslash              // \
	Plus                   // +
	NUL                    // 0
	classes
)

// trigger are the bytes of the classes that have one only.
var trigger = [classes]byte{Percent: '%', Backslash: '\\', Plus: '+', NUL: 0}

// in tells the bytes of the first two classes.
var in = [...]*[256]bool{
	Base64: byteSet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+/-_"),
	Hex:    byteSet("0123456789ABCDEFabcdef"),
}

func byteSet(s string) *[256]bool {
	t := new([256]bool)
	for i := range len(s) {
		t[s[i]] = true
	}
	return t
}

// minRun is the shortest run that Run can be asked for: any run of 19 bytes or
// more holds 16 that begin at a multiple of four, which is what longRuns looks
// for.
const minRun = 19

// smallText is the least text worth a pass of its own.
const smallText = 256

// Finder answers questions about one text. The zero Finder has none; Reset
// gives it one.
type Finder struct {
	text []byte
	from int // 64 positions a word from here on
	// masks holds the words of one class after those of another, a zero before
	// each; nil makes the Finder look into the text itself.
	masks  []uint64
	words  int // of one class, without the zero: a multiple of 8
	stride int // from the words of one class to those of the next
	// hot holds a bit for each word of the first two classes in which 16 bytes
	// of a run end that begin at a multiple of four.
	hot   [2][]uint64
	spare []uint64
}

// Reset makes f answer about text[from:]; with plain it does so without SIMD.
func (f *Finder) Reset(text []byte, from int, plain bool) {
	f.text, f.from, f.masks = text, from, nil
	n := len(text) - from
	if plain || n < smallText || !available {
		return
	}
	f.words = (n + 511) / 512 * 8
	f.stride = 1 + f.words
	hot := (f.words + 63) / 64
	if need := f.stride*int(classes) + hot*len(f.hot); cap(f.spare) < need {
		f.spare = make([]uint64, need)
	}
	f.masks = f.spare[:f.stride*int(classes)]
	whole := n / 64
	classify(&text[from], whole, &f.masks[1], f.stride)
	if rest := n % 64; rest > 0 {
		var last [64]byte
		copy(last[:], text[from+whole*64:])
		classify(&last[0], 1, &f.masks[1+whole], f.stride)
	}
	for c := range classes {
		m := f.class(c)
		f.masks[int(c)*f.stride] = 0
		if rest := n % 64; rest > 0 {
			m[whole] &= 1<<rest - 1 // NULs of last
		}
		clear(m[(n+63)/64:])
	}
	for c := range f.hot {
		h := f.spare[len(f.masks)+c*hot:][:hot]
		h[hot-1] = 0
		longRuns(&f.class(Class(c))[0], f.words/8, &h[0])
		f.hot[c] = h
	}
}

func (f *Finder) class(c Class) []uint64 {
	return f.masks[int(c)*f.stride+1 : (int(c)+1)*f.stride]
}

// Index gives the first position from p on with a byte of a class that has one
// only, or -1.
func (f *Finder) Index(c Class, p int) int {
	if p >= len(f.text) {
		return -1
	}
	if f.masks == nil {
		i := bytes.IndexByte(f.text[p:], trigger[c])
		if i < 0 {
			return -1
		}
		return p + i
	}
	m := f.class(c)
	w := (p - f.from) / 64
	x := m[w] &^ (1<<((p-f.from)%64) - 1)
	for x == 0 {
		if w++; w == len(m) {
			return -1
		}
		x = m[w]
	}
	return f.from + w*64 + bits.TrailingZeros64(x)
}

// End gives the first position from p on whose byte is not of class Base64 or
// Hex, or the end of the text.
func (f *Finder) End(c Class, p int) int {
	if f.masks == nil || p >= len(f.text) {
		for p < len(f.text) && in[c][f.text[p]] {
			p++
		}
		return p
	}
	return min(f.from+zero(f.class(c), p-f.from), len(f.text))
}

// zero gives the first position from p on that is not one of m's ones, or the end of m.
func zero(m []uint64, p int) int {
	w := p / 64
	x := ^m[w] &^ (1<<(p%64) - 1)
	for x == 0 {
		if w++; w == len(m) {
			return w * 64
		}
		x = ^m[w]
	}
	return w*64 + bits.TrailingZeros64(x)
}

// Run gives the first run of at least n bytes of class Base64 or Hex in
// text[p:], n being at least minRun. Without one start is -1, and end is where a
// run may begin that the end of the text cuts. What stands before p does not
// count.
func (f *Finder) Run(c Class, p, n int) (start, end int) {
	if f.masks == nil {
		start, end = f.plainRun(c, p, n)
	} else {
		start, end = f.maskRun(c, p-f.from, n)
	}
	if start >= 0 {
		return start, end
	}
	end = len(f.text)
	for end > p && in[c][f.text[end-1]] {
		end--
	}
	return -1, end
}

// plainRun looks at every n-th byte only: one outside the class rules out all
// runs that would hold it.
func (f *Finder) plainRun(c Class, p, n int) (start, end int) {
	class, text := in[c], f.text
	for p+n <= len(text) {
		i := p + n - 1
		for i >= p && class[text[i]] {
			i--
		}
		if i < p {
			return p, f.End(c, p+n)
		}
		p = i + 1
	}
	return -1, 0
}

// maskRun measures the runs around the 16 bytes that hot words tell of. p counts
// from the first word.
func (f *Finder) maskRun(c Class, p, n int) (start, end int) {
	if p >= f.words*64 {
		return -1, 0
	}
	m, hot := f.class(c), f.hot[c]
	w := p / 64
	h := hot[w/64] &^ (1<<(w%64) - 1)
	for {
		for h == 0 {
			w = w/64*64 + 64
			if w >= f.words {
				return -1, 0
			}
			h = hot[w/64]
		}
		w = w/64*64 + bits.TrailingZeros64(h)
		h &= h - 1
		var before uint64
		if w > 0 {
			before = m[w-1]
		}
		x := m[w]
		for z := sixteen(x, before); z != 0; {
			// In the word at hand start and end are told with two instructions each.
			in := uint(bits.TrailingZeros64(z)) + 4 // ends 16 ones
			start := w*64 + int(in)
			if k := uint(bits.LeadingZeros64(^(x << (64 - in)))); k < in {
				start -= int(k)
			} else {
				start -= ones(m, start)
			}
			var end int
			if over := ^x &^ (1<<in - 1); over != 0 {
				end = w*64 + bits.TrailingZeros64(over)
			} else if w+1 < len(m) {
				end = zero(m, w*64+64)
			} else {
				end = w*64 + 64
			}
			end = min(end, len(f.text)-f.from)
			if start = max(p, start); end-start >= n {
				return f.from + start, f.from + end
			}
			if end >= w*64+64 {
				break
			}
			z &^= 1<<(end-w*64) - 1
		}
	}
}

// sixteen is the plain twin of longRuns for one word: a bit for each multiple of
// four at which the last four of 16 ones begin.
func sixteen(x, before uint64) uint64 {
	y, py := fours(x), fours(before)
	z, pz := y&(y<<4|py>>60), py&(py<<4)
	return z & (z<<8 | pz>>56)
}

// fours has a bit for each multiple of four where four ones begin.
func fours(x uint64) uint64 {
	x &= x >> 1
	return x & (x >> 2) & 0x1111111111111111
}

// ones counts the ones of m right before position p, which is not the first.
func ones(m []uint64, p int) int {
	w, at := (p-1)/64, (p-1)%64+1
	n := bits.LeadingZeros64(^(m[w] << (64 - at)))
	if n < at {
		return n
	}
	n = at
	for w--; w >= 0; w-- {
		t := bits.LeadingZeros64(^m[w])
		n += t
		if t < 64 {
			break
		}
	}
	return n
}

// Package prefilter finds every occurrence of any of a few hundred literals in
// a text, at the speed of memory.
//
// A literal is looked for by a window of at most four of its bytes, chosen so
// that text holds it seldom. Three stages narrow the text down: a SIMD kernel
// (Teddy) that says for each position whether it could begin a window of one of
// sixteen buckets, a bitset over a hash of the bytes there, and the comparison
// of the whole literal. The answer is exact and the same for every kernel; the
// portable one is the second stage alone at every position. This package knows
// nothing of rules. Start reading at New and Find.
package prefilter

import (
	"encoding/binary"
	"iter"
)

// Literal is a string to find.
type Literal struct {
	Text string // at least 2 bytes
	Fold bool   // without regard to ASCII case
}

// window is the longest part of a literal that the first stages look at: one
// 32-bit load, and four table look-ups a position in the SIMD kernels.
const window = 4

// A bucket is a bit of a byte: eight of them to a group. With the 500 literals
// of the built-in rules 16 buckets let 10 to 27 positions in a thousand through
// to the second stage, where 8 let 25 to 35 and 32 let 2 to 9; twice the
// look-ups for the last step cost what they save.
const (
	groups  = 2
	buckets = 8 * groups
)

// Set is a compiled set of literals. It is immutable and safe for concurrent
// use.
type Set struct {
	lits   []compiled
	maxOff int // largest offset of a window in its literal
	// lo and hi are the nibble tables of the AVX2 kernel, bytes the tables of
	// the VBMI kernel: for each window position the buckets a byte belongs to,
	// eight to a group.
	lo, hi [groups][window][16]uint8
	bytes  [groups][window][128]uint8
	// seen[n] holds a bit for each hash of a window of n bytes, without case.
	seen [window + 1][1 << 16 / 64]uint64
	has  [window + 1]bool
	// pairs holds a bit for the first two bytes of each window and, unless it has
	// but two, for the next two that overlap them; the portable search begins
	// with it.
	pairs [1 << 16 / 64]uint64
	// slots lead from the hash of a key to 1 + the first entry of a chain.
	slots   [slotCount]int32
	entries []entry // one for each literal
	kernel  Kernel
}

// entry is what the chains hold of a literal, apart so that most stay in the
// first-level cache.
type entry struct {
	key  uint32
	next int32 // 1 + the next entry of the chain
	n    int16
	off  int16 // of the window in the literal
	// head and mask are the first eight bytes of the literal, as key takes them, and
	// which of them it has: literals share windows, four to each in a log.
	head, mask uint64
}

// caseless takes the case of ASCII letters out of eight bytes, as key does.
const caseless = 0x2020202020202020

// slotCount keeps the table of slots within half of the first-level cache;
// a few hundred literals fill a tenth of it.
const slotCount = 1 << 12

type compiled struct {
	Literal
	low    string // Text in lower case
	off, n int    // its window
	bucket int
}

// Kernel names an implementation of the first stage.
type Kernel string

// The kernels, and which CPUs they run on.
const (
	Portable Kernel = "portable" // all
	AVX2     Kernel = "avx2"     // amd64 since 2013
	VBMI     Kernel = "vbmi"     // amd64 with AVX-512 VBMI
)

// New compiles literals for the fastest kernel of this CPU.
func New(lits []Literal) *Set { return NewFor(Kernels()[0], lits) }

// NewFor compiles literals for one kernel, which must be one of Kernels.
func NewFor(k Kernel, lits []Literal) *Set {
	s := &Set{kernel: k}
	for _, l := range lits {
		s.lits = append(s.lits, compiled{Literal: l, low: lowerASCII(l.Text), n: min(window, len(l.Text))})
	}
	if k == Portable {
		s.dealPairs()
	} else {
		s.deal()
	}
	for i := range s.lits {
		s.maxOff = max(s.maxOff, s.lits[i].off)
		s.enter(int32(i))
	}
	return s
}

// enter puts literal i into the tables of all stages.
func (s *Set) enter(i int32) {
	c := &s.lits[i]
	var w [window]byte
	copy(w[:], c.low[c.off:c.off+c.n])
	k := key(binary.LittleEndian.Uint32(w[:]), c.n)
	h := hash(k)
	s.has[c.n] = true
	s.seen[c.n][h>>6] |= 1 << (h & 63)
	slot := &s.slots[h%slotCount]
	e := entry{key: k, next: *slot, n: int16(c.n), off: int16(c.off)}
	var head, mask [8]byte
	for j := range copy(head[:], c.low) {
		mask[j] = 0xff
	}
	e.mask = binary.LittleEndian.Uint64(mask[:])
	e.head = (binary.LittleEndian.Uint64(head[:]) | caseless) & e.mask
	s.entries = append(s.entries, e)
	*slot = i + 1
	s.pair(c)
	g, bit := c.bucket/8, uint8(1)<<(c.bucket%8)
	for p := range window {
		for b := range 256 {
			if p < c.n && !c.accepts(c.off+p, byte(b)) {
				continue
			}
			s.lo[g][p][b&15] |= bit
			s.hi[g][p][b>>4] |= bit
			s.bytes[g][p][b&127] |= bit // that kernel sees no top bit
		}
	}
}

// pair enters the pairs of c's window.
func (s *Set) pair(c *compiled) {
	for p := range c.pairs(c.off) {
		s.pairs[p>>6] |= 1 << (p & 63)
	}
}

// pairs are the two pairs of bytes that a window at off begins with. One of two
// bytes may have any byte after it.
func (c *compiled) pairs(off int) iter.Seq[uint16] {
	at := func(i int) []byte {
		if i < c.n {
			return c.bytesAt(off + i)
		}
		return anyByte[:]
	}
	return func(yield func(uint16) bool) {
		for o := range 2 {
			for _, a := range at(o) {
				for _, b := range at(o + 1) {
					if !yield(uint16(a) | uint16(b)<<8) {
						return
					}
				}
			}
		}
	}
}

var anyByte = func() (b [256]byte) {
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

// accepts reports whether b can be the i-th byte of the literal.
func (c *compiled) accepts(i int, b byte) bool {
	return b == c.Text[i] || c.Fold && lower(b) == c.low[i]
}

// key is what the second stage knows of a window: its n bytes with the case of
// ASCII letters taken out, which confuses a few other bytes; the last stage
// tells them apart.
func key(x uint32, n int) uint32 {
	return (x | 0x20202020) << (8 * (window - n))
}

// hash spreads a key over 16 bits; the multiplier is Knuth's.
func hash(k uint32) uint32 { return k * 0x9E3779B1 >> 16 }

// Find calls f for every occurrence of a literal that starts in buf[lo:hi], in
// no order. An occurrence may reach past hi, not past buf.
func (s *Set) Find(buf []byte, lo, hi int, f func(lit, start int)) {
	// Windows of literals that start in lo:hi start in lo:to.
	to := min(hi+s.maxOff, len(buf)-1)
	if lo >= to || len(s.lits) == 0 {
		return
	}
	t := search{s: s, buf: buf, lo: lo, hi: hi, f: f}
	from := lo
	if s.kernel != Portable {
		from = t.simd(lo, to)
	}
	t.portable(from, to)
}

// search is one run of Find.
type search struct {
	s      *Set
	buf    []byte
	lo, hi int
	f      func(lit, start int)
}

// portable runs the second stage where a pair of bytes at every other position
// lies in a window, which is one more stage in place of the kernel's.
func (t *search) portable(from, to int) {
	pairs := &t.s.pairs
	i := from
	for ; i+2 <= to && i+8 <= len(t.buf); i += 2 {
		// A window at i or i+1 has its first or second pair of bytes at i+1.
		p := binary.LittleEndian.Uint16(t.buf[i+1:])
		if pairs[p>>6]>>(p&63)&1 == 0 {
			continue
		}
		x := binary.LittleEndian.Uint64(t.buf[i:])
		for j := range 2 {
			if y := uint32(x >> (8 * j)); t.s.maybe(y) != 0 {
				t.verify(i+j, y)
			}
		}
	}
	for ; i < to; i++ {
		var w [window]byte
		n := copy(w[:], t.buf[i:])
		x := binary.LittleEndian.Uint32(w[:])
		for ; n >= 2; n-- {
			t.chain(i, x, n)
		}
	}
}

// maybe is not 0 when a window may begin with the four bytes in x.
func (s *Set) maybe(x uint32) uint64 {
	h := hash(key(x, window))
	m := s.seen[window][h>>6&1023] >> (h & 63)
	if s.has[3] {
		h := hash(key(x, 3))
		m |= s.seen[3][h>>6&1023] >> (h & 63)
	}
	if s.has[2] {
		h := hash(key(x, 2))
		m |= s.seen[2][h>>6&1023] >> (h & 63)
	}
	return m & 1
}

// verify compares the literals whose window may begin at pos with the four
// bytes in x.
func (t *search) verify(pos int, x uint32) {
	t.chain(pos, x, window)
	if t.s.has[3] {
		t.chain(pos, x, 3)
	}
	if t.s.has[2] {
		t.chain(pos, x, 2)
	}
}

// chain compares the literals with a window of n bytes, those in x.
func (t *search) chain(pos int, x uint32, n int) {
	k := key(x, n)
	for i := t.s.slots[hash(k)%slotCount]; i != 0; {
		e := &t.s.entries[i-1]
		if e.key == k && int(e.n) == n {
			// Near the end of buf the comparison alone tells.
			at := pos - int(e.off)
			if at < 0 || at+8 > len(t.buf) || (binary.LittleEndian.Uint64(t.buf[at:])|caseless)&e.mask == e.head {
				t.compare(i-1, pos)
			}
		}
		i = e.next
	}
}

func (t *search) compare(i int32, pos int) {
	c := &t.s.lits[i]
	start := pos - c.off
	end := start + len(c.Text)
	if start < t.lo || start >= t.hi || end > len(t.buf) {
		return
	}
	if !c.Fold {
		if string(t.buf[start:end]) == c.Text {
			t.f(int(i), start)
		}
		return
	}
	for j, b := range t.buf[start:end] {
		if lower(b) != c.low[j] {
			return
		}
	}
	t.f(int(i), start)
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i, c := range b {
		b[i] = lower(c)
	}
	return string(b)
}

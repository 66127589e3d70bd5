// Package prefilter finds every occurrence of any of a few hundred literals in
// a text, at the speed of memory.
//
// A literal is looked for by its rarest window of at most four bytes. Three
// stages narrow the text down: a SIMD kernel (Teddy) that says for each
// position whether it could begin a window of one of eight buckets, a bitset
// over a hash of the four bytes there, and the comparison of the whole literal.
// The answer is exact and the same for every kernel; the portable one is the
// second stage alone at every position. This package knows nothing of rules.
// Start reading at New and Find.
package prefilter

import (
	"encoding/binary"
	"math"
	"sort"
)

// Literal is a string to find.
type Literal struct {
	Text string // at least 2 bytes
	Fold bool   // without regard to ASCII case
}

// window is the longest part of a literal that the first stages look at: one
// 32-bit load, and four table look-ups a position in the SIMD kernels.
const window = 4

// Set is a compiled set of literals. It is immutable and safe for concurrent
// use.
type Set struct {
	lits   []compiled
	maxOff int // largest offset of a window in its literal
	// lo and hi are the nibble tables of the AVX2 kernel, bytes the tables of
	// the VBMI kernel: for each window position the buckets a byte belongs to.
	lo, hi [window][16]uint8
	bytes  [window][128]uint8
	// four holds a bit for each hash of a four-byte window, two for each pair of
	// bytes that begins a shorter one; both without case.
	four     [1 << 16 / 64]uint64
	two      [1 << 16 / 64]uint64
	hasShort bool
	// slots lead from the hash of a window to 1 + the first literal of a chain.
	slots  [slotCount]int32
	kernel Kernel
}

// slotCount keeps the table of slots within half of the first-level cache;
// a few hundred literals fill a tenth of it.
const slotCount = 1 << 12

type compiled struct {
	Literal
	low    string // Text in lower case
	off, n int    // its window
	bucket int
	next   int32 // 1 + the next literal with a window of the same hash
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
		c := compiled{Literal: l, low: lowerASCII(l.Text)}
		c.off, c.n = rarest(c.low)
		s.maxOff = max(s.maxOff, c.off)
		s.lits = append(s.lits, c)
	}
	s.assignBuckets()
	for i := range s.lits {
		s.enter(int32(i))
	}
	return s
}

// enter puts literal i into the tables of all stages.
func (s *Set) enter(i int32) {
	c := &s.lits[i]
	w := c.low[c.off : c.off+c.n]
	if c.n == window {
		k := binary.LittleEndian.Uint32([]byte(w)) | foldBits
		h := hash(k)
		s.chain(h, i)
		s.four[h>>6] |= 1 << (h & 63)
	} else {
		k := binary.LittleEndian.Uint16([]byte(w)) | uint16(foldBits&0xffff)
		s.chain(uint32(k), i)
		s.two[k>>6] |= 1 << (k & 63)
		s.hasShort = true
	}
	bit := uint8(1) << c.bucket
	for p := range window {
		for b := range 256 {
			if p < c.n && lower(byte(b)) != w[p] {
				continue
			}
			s.lo[p][b&15] |= bit
			s.hi[p][b>>4] |= bit
			s.bytes[p][b&127] |= bit // that kernel sees no top bit
		}
	}
}

func (s *Set) chain(h uint32, i int32) {
	slot := &s.slots[h%slotCount]
	s.lits[i].next = *slot
	*slot = i + 1
}

// foldBits makes ASCII letters of four bytes lower-case, and confuses a few
// other bytes; the last stage tells them apart.
const foldBits = 0x20202020

// hash spreads a folded window over 16 bits; the multiplier is Knuth's.
func hash(k uint32) uint32 { return k * 0x9E3779B1 >> 16 }

// Find calls f for every occurrence of a literal that starts in buf[lo:hi], in
// no order. An occurrence may reach past hi, not past buf.
func (s *Set) Find(buf []byte, lo, hi int, f func(lit, start int)) {
	// Windows of literals that start in lo:hi start in lo:to.
	to := min(hi+s.maxOff, len(buf)-1)
	if lo >= to || len(s.lits) == 0 {
		return
	}
	emit := func(pos int) { s.verify(buf, pos, lo, hi, f) }
	from := lo
	if s.kernel != Portable {
		from = s.findSIMD(buf, lo, to, emit)
	}
	s.findPortable(buf, from, to, emit)
}

// findPortable is the second stage at every position.
func (s *Set) findPortable(buf []byte, from, to int, emit func(pos int)) {
	i := from
	for ; i < to && i+8 <= len(buf); i += 4 {
		x := binary.LittleEndian.Uint64(buf[i:]) | foldBits<<32 | foldBits
		m := s.maybe(uint32(x)) | s.maybe(uint32(x>>8))<<1 | s.maybe(uint32(x>>16))<<2 | s.maybe(uint32(x>>24))<<3
		for j := 0; m != 0; j++ {
			if m&1 != 0 && i+j < to {
				emit(i + j)
			}
			m >>= 1
		}
	}
	for ; i < to; i++ {
		emit(i)
	}
}

// maybe is 1 when a window may begin with the four folded bytes in x.
func (s *Set) maybe(x uint32) uint64 {
	h := hash(x)
	t := s.four[h>>6] >> (h & 63)
	if s.hasShort {
		y := uint16(x)
		t |= s.two[y>>6] >> (y & 63)
	}
	return t & 1
}

// verify compares the literals whose window may begin at pos.
func (s *Set) verify(buf []byte, pos, lo, hi int, f func(lit, start int)) {
	if pos+window <= len(buf) {
		x := binary.LittleEndian.Uint32(buf[pos:]) | foldBits
		for i := s.slots[hash(x)%slotCount]; i != 0; i = s.lits[i-1].next {
			if s.lits[i-1].n == window {
				s.compare(buf, i-1, pos, lo, hi, f)
			}
		}
	}
	if s.hasShort && pos+2 <= len(buf) {
		x := binary.LittleEndian.Uint16(buf[pos:]) | uint16(foldBits&0xffff)
		for i := s.slots[uint32(x)%slotCount]; i != 0; i = s.lits[i-1].next {
			if s.lits[i-1].n < window {
				s.compare(buf, i-1, pos, lo, hi, f)
			}
		}
	}
}

func (s *Set) compare(buf []byte, i int32, pos, lo, hi int, f func(lit, start int)) {
	c := &s.lits[i]
	start := pos - c.off
	end := start + len(c.Text)
	if start < lo || start >= hi || end > len(buf) {
		return
	}
	if !c.Fold {
		if string(buf[start:end]) == c.Text {
			f(int(i), start)
		}
		return
	}
	for j, b := range buf[start:end] {
		if lower(b) != c.low[j] {
			return
		}
	}
	f(int(i), start)
}

// rarest is the window of a lower-case literal that text holds least often.
func rarest(low string) (off, n int) {
	n = min(window, len(low))
	best := math.Inf(1)
	for o := 0; o+n <= len(low); o++ {
		p := 1.0
		for i := range n {
			p *= frequency[low[o+i]]
		}
		if p < best {
			best, off = p, o
		}
	}
	return off, n
}

const buckets = 8

// assignBuckets deals the windows out so that the first stage lets little
// through: sorted, so that windows with common bytes come together, cut into
// equal parts, then improved by moving single windows while that helps.
func (s *Set) assignBuckets() {
	order := make([]int, len(s.lits))
	for i := range order {
		order[i] = i
	}
	key := func(i int) string { c := s.lits[i]; return string(rune('0'+c.n)) + c.low[c.off:c.off+c.n] }
	sort.Slice(order, func(a, b int) bool { return key(order[a]) < key(order[b]) })
	var m [buckets]masks
	for rank, i := range order {
		s.lits[i].bucket = rank * buckets / len(order)
		m[s.lits[i].bucket].add(&s.lits[i])
	}
	// Two rounds reach within a few per cent of what more would, and keep the
	// compilation of 300 literals under 5 ms.
	for range 2 {
		for _, i := range order {
			s.improve(i, &m)
		}
	}
}

// improve moves literal i to the bucket where it costs least.
func (s *Set) improve(i int, m *[buckets]masks) {
	c := &s.lits[i]
	from := c.bucket
	var rest masks
	for j := range s.lits {
		if j != i && s.lits[j].bucket == from {
			rest.add(&s.lits[j])
		}
	}
	saved := m[from].cost() - rest.cost()
	best, bestCost := from, saved
	for b := range m {
		if b == from {
			continue
		}
		with := m[b]
		with.add(c)
		if d := with.cost() - m[b].cost(); d < bestCost {
			best, bestCost = b, d
		}
	}
	if best != from {
		m[from] = rest
		m[best].add(c)
		c.bucket = best
	}
}

// masks are the nibbles that one bucket accepts at each window position.
type masks struct{ lo, hi [window]uint16 }

func (m *masks) add(c *compiled) {
	for p := range window {
		if p >= c.n {
			m.lo[p], m.hi[p] = 0xffff, 0xffff
			continue
		}
		b := c.low[c.off+p]
		m.lo[p] |= 1 << (b & 15)
		m.hi[p] |= 1 << (b >> 4)
		if 'a' <= b && b <= 'z' {
			m.hi[p] |= 1 << ((b - 32) >> 4)
		}
	}
}

// cost is the share of positions in typical text that the bucket lets through.
func (m *masks) cost() float64 {
	p := 1.0
	for i := range window {
		t := 0.0
		for hi := range 8 {
			if m.hi[i]>>hi&1 == 0 {
				continue
			}
			for lo := range 16 {
				if m.lo[i]>>lo&1 != 0 {
					t += rawFrequency[hi<<4|lo]
				}
			}
		}
		p *= t
	}
	return p
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

package inflate

import (
	"math/bits"
	"sync"
)

// Decoding tables have two levels. The first is indexed by the next litBits (or
// distBits) bits; where a code is longer, its entry points to a second-level table
// indexed by the bits after those. An entry says everything about a symbol:
//
//	bit  31     it is a literal, in bits 16 to 23
//	bits 16-30  the base of a length or distance, or where a second level starts
//	bit  15     it is none of these: one of the three flags below says what
//	bit  14     a second-level table follows, with bits 8-11 index bits
//	bit  13     end of block
//	bit  12     no code, or one that RFC 1951 forbids
//	bits 8-11   length of the code (at this level)
//	bits 0-5    the same plus the extra bits after it: what to take from the stream
const (
	isLiteral = 1 << 31
	isSpecial = 1 << 15
	isSub     = 1 << 14
	isEnd     = 1 << 13
	isBad     = 1 << 12

	maxLit  = 288
	maxDist = 32
	maxCode = 15

	// Sizes of first levels are those of libdeflate: 11 bits hold nearly all
	// codes of literals and the table fits the first-level cache. The whole
	// tables are the most that zlib's enough.c finds for these sizes.
	litBits   = 11
	distBits  = 8
	preBits   = 7
	litTable  = 2342
	distTable = 402

	// usedLit and usedDist are how many symbols a block may have codes for.
	usedLit  = 286
	usedDist = 30
)

// Symbols as entries without the code's length.
var (
	litSymbols  [maxLit]uint32
	distSymbols [maxDist]uint32
	preSymbols  [19]uint32
	preOrder    = [19]uint8{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}
)

func init() {
	for i := range 256 {
		litSymbols[i] = isLiteral | uint32(i)<<16
	}
	litSymbols[256] = isSpecial | isEnd
	// Lengths (RFC 1951, section 3.2.5): 8 codes without extra bits, then four
	// codes for each number of them; the last length has a code of its own.
	base := uint32(3)
	for i := range 28 {
		extra := uint32(max(0, i/4-1))
		litSymbols[257+i] = base<<16 | extra
		base += 1 << extra
	}
	litSymbols[285] = 258 << 16
	litSymbols[286], litSymbols[287] = isSpecial|isBad, isSpecial|isBad
	base = 1
	for i := range usedDist {
		extra := uint32(max(0, i/2-1))
		distSymbols[i] = base<<16 | extra
		base += 1 << extra
	}
	distSymbols[30], distSymbols[31] = isSpecial|isBad, isSpecial|isBad
	for i := range preSymbols {
		preSymbols[i] = uint32(i) << 16
	}
}

type fixedTables struct {
	lit  [litTable]uint32
	dist [distTable]uint32
}

// fixed gives the tables of blocks with fixed codes (section 3.2.6).
var fixed = sync.OnceValue(func() *fixedTables {
	var lens [maxLit + maxDist]uint8
	for i := range lens {
		switch {
		case i < 144:
			lens[i] = 8
		case i < 256:
			lens[i] = 9
		case i < 280:
			lens[i] = 7
		case i < maxLit:
			lens[i] = 8
		default:
			lens[i] = 5
		}
	}
	f := new(fixedTables)
	var sorted [maxLit]uint16
	build(f.lit[:], lens[:maxLit], litSymbols[:], litBits, &sorted)
	build(f.dist[:], lens[maxLit:], distSymbols[:], distBits, &sorted)
	return f
})

// readTables reads the codes of a dynamic block (section 3.2.7).
func (d *Decoder) readTables() error {
	head, ok := d.take(14)
	lits, dists, pres := int(head&31)+257, int(head>>5&31)+1, int(head>>10)+4
	if !ok || lits > usedLit || dists > usedDist {
		return ErrCorrupt
	}
	var pre [19]uint8
	for _, at := range preOrder[:pres] {
		v, ok := d.take(3)
		if !ok {
			return ErrCorrupt
		}
		pre[at] = uint8(v)
	}
	if !build(d.pre[:], pre[:], preSymbols[:], preBits, &d.sorted) {
		return ErrCorrupt
	}
	if !d.readLengths(lits + dists) {
		return ErrCorrupt
	}
	if !build(d.dist[:], d.lens[lits:lits+dists], distSymbols[:], distBits, &d.sorted) ||
		!build(d.lit[:], d.lens[:lits], litSymbols[:], litBits, &d.sorted) {
		return ErrCorrupt
	}
	return nil
}

// readLengths reads the lengths of n codes, themselves encoded with d.pre, whose
// codes are at most preBits long: no second level. A code and what follows it take 14
// bits, so that what a refill gives is enough for four of them.
func (d *Decoder) readLengths(n int) bool {
	bits, left := d.bits, d.n
	for i := 0; i < n; {
		if left < preBits+7 {
			d.bits, d.n = bits, left
			d.refill()
			bits, left = d.bits, d.n
		}
		e := d.pre[bits&(1<<preBits-1)]
		size := uint(e & 63)
		sym, more, least := e>>16, uint(0), 1
		value := uint8(sym)
		switch {
		case e&isBad != 0 || left < size:
			return false
		case sym < 16:
			d.lens[i] = value
			i++
			bits >>= size
			left -= size
			continue
		case sym == 16:
			if i == 0 {
				return false
			}
			value, more, least = d.lens[i-1], 2, 3
		case sym == 17:
			value, more, least = 0, 3, 3
		default: // 18: zeros
			value, more, least = 0, 7, 11
		}
		run := least + int(bits>>size&(1<<more-1))
		if left < size+more || i+run > n {
			return false
		}
		bits >>= size + more
		left -= size + more
		for range run {
			d.lens[i] = value
			i++
		}
	}
	d.bits, d.n = bits, left
	return true
}

// build fills the table of a code given by the lengths of its symbols' codes. It
// refuses codes that are over-subscribed, and incomplete ones but for no code at
// all and for one code of one bit, as compress/flate does.
func build(table []uint32, lens []uint8, symbols []uint32, mainBits uint, sorted *[maxLit]uint16) bool {
	var count, next [maxCode + 2]uint32
	for _, l := range lens {
		count[l]++
	}
	used := uint32(0) // of the code space of 2^15
	for l := uint(1); l <= maxCode; l++ {
		next[l+1] = next[l] + count[l]
		used += count[l] << (maxCode - l)
	}
	if used != 1<<maxCode {
		for i := range table[:1<<mainBits] {
			table[i] = isSpecial | isBad
		}
		if used == 0 {
			return true
		}
		if used != 1<<(maxCode-1) || count[1] != 1 {
			return false
		}
	}
	for sym, l := range lens {
		if l != 0 {
			sorted[next[l]] = uint16(sym)
			next[l]++
		}
	}
	fill(table, symbols, mainBits, &count, sorted)
	return true
}

// fill enters the codes, in the order of their lengths. A code's bits come in
// reverse, so that it is counted up from its highest bit. As long as codes have l
// bits, only the first 2^l entries are written; going on to longer ones doubles
// them, which is cheaper than writing each entry where it repeats.
func fill(table []uint32, symbols []uint32, mainBits uint, count *[maxCode + 2]uint32, sorted *[maxLit]uint16) {
	at, code := 0, uint32(0)
	for l := uint(1); l <= mainBits; l++ {
		if l > 1 {
			half := 1 << (l - 1)
			copy(table[half:2*half], table[:half])
		}
		len32 := uint32(l)<<8 + uint32(l)
		for range count[l] {
			table[code] = symbols[sorted[at]] + len32
			at++
			code = next(code, l)
		}
	}
	sub, subBits, prefix, free := uint32(0), uint(0), ^uint32(0), uint32(1)<<mainBits
	for l := mainBits + 1; l <= maxCode; l++ {
		own := uint32(l - mainBits)
		for left := count[l]; left > 0; left-- {
			if p := code & (1<<mainBits - 1); p != prefix {
				// A new second level, wide enough for all codes that begin so.
				prefix, sub, subBits = p, free, l-mainBits
				for room := left; room < 1<<subBits && mainBits+subBits < maxCode; {
					subBits++
					room = room<<1 + count[mainBits+subBits]
				}
				free = sub + 1<<subBits
				table[prefix] = sub<<16 | isSpecial | isSub | uint32(subBits)<<8 | uint32(mainBits)
			}
			e := symbols[sorted[at]] + own<<8 + own
			at++
			for i := sub + code>>mainBits; i < sub+1<<subBits; i += 1 << own {
				table[i] = e
			}
			code = next(code, l)
		}
	}
}

// next counts a reversed code of l bits up.
func next(code uint32, l uint) uint32 {
	free := ^code & (1<<l - 1)
	if free == 0 {
		return 0 // it was the last one
	}
	bit := uint32(1) << (31 - uint(bits.LeadingZeros32(free)))
	return code&(bit-1) | bit
}

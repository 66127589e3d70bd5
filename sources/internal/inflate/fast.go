package inflate

import (
	"encoding/binary"
	"unsafe"
)

// maxIn is how many source bytes the fast loop may look at before it asks again
// whether so many are left: three refills of eight bytes, of which each moves on
// by at most seven.
const maxIn = 32

// load64 and store64 are one instruction each where bytes come lowest first.
func load64(p unsafe.Pointer, off int) uint64 {
	return binary.LittleEndian.Uint64((*[8]byte)(unsafe.Add(p, off))[:])
}

func store64(p unsafe.Pointer, off int, v uint64) {
	binary.LittleEndian.PutUint64((*[8]byte)(unsafe.Add(p, off))[:], v)
}

func entryAt(table unsafe.Pointer, i uint64) uint32 {
	return *(*uint32)(unsafe.Add(table, i*4))
}

// fast decompresses symbols while maxIn bytes of source and Slack bytes of
// destination are left, and says whether the block has ended. It uses no bounds
// checks: the loop's condition covers all that one turn can read and write, an
// index into a table's first level is masked to its size, and build makes
// second levels that lie within the table.
func (d *Decoder) fast(lit *[litTable]uint32, dist *[distTable]uint32) (end bool, err error) {
	var (
		src, dst    = unsafe.Pointer(unsafe.SliceData(d.src)), unsafe.Pointer(unsafe.SliceData(d.dst))
		litT, distT = unsafe.Pointer(lit), unsafe.Pointer(dist)
		in, out     = d.in, d.out
		inEnd       = len(d.src) - maxIn
		outEnd      = min(cap(d.dst)-Slack, len(d.dst))
		bits, n     = d.bits, d.n
	)
	if in > inEnd || out > outEnd {
		return false, nil
	}
	bits |= load64(src, in) << (n & 63)
	in += int((63 - n) >> 3)
	n |= 56
	e := entryAt(litT, bits&(1<<litBits-1))
	for in <= inEnd && out <= outEnd {
		// Here e is the entry of the next bits, of which at least 56 are valid. Two
		// literals of at most 11 bits each leave 34: enough for a third code and
		// the extra bits of a length, 20 together.
		if int32(e) < 0 {
			bits >>= e & 63
			n -= uint(e & 63)
			*(*byte)(unsafe.Add(dst, out)) = byte(e >> 16)
			out++
			if e = entryAt(litT, bits&(1<<litBits-1)); int32(e) < 0 {
				bits >>= e & 63
				n -= uint(e & 63)
				*(*byte)(unsafe.Add(dst, out)) = byte(e >> 16)
				out++
				e = entryAt(litT, bits&(1<<litBits-1))
			}
		}
		if e&isSub != 0 {
			bits >>= litBits
			n -= litBits
			e = entryAt(litT, uint64(e>>16)+bits&(1<<(e>>8&15)-1))
		}
		saved := bits
		bits >>= e & 63
		n -= uint(e & 63)
		if int32(e) < 0 {
			*(*byte)(unsafe.Add(dst, out)) = byte(e >> 16)
			out++
			bits |= load64(src, in) << (n & 63)
			in += int((63 - n) >> 3)
			n |= 56
			e = entryAt(litT, bits&(1<<litBits-1))
			continue
		}
		if e&isSpecial != 0 {
			if end = e&isEnd != 0; !end {
				err = ErrCorrupt
			}
			break
		}
		length := int(e>>16) + int(saved&(1<<(e&63)-1)>>(e>>8&15))
		bits |= load64(src, in) << (n & 63)
		in += int((63 - n) >> 3)
		n |= 56
		e = entryAt(distT, bits&(1<<distBits-1))
		if e&isSub != 0 {
			bits >>= distBits
			n -= distBits
			e = entryAt(distT, uint64(e>>16)+bits&(1<<(e>>8&15)-1))
		}
		off := int(e>>16) + int(bits&(1<<(e&63)-1)>>(e>>8&15))
		bits >>= e & 63
		n -= uint(e & 63)
		if e&isBad != 0 || off > out {
			err = ErrCorrupt
			break
		}
		// The next entry is loaded while the match is copied.
		bits |= load64(src, in) << (n & 63)
		in += int((63 - n) >> 3)
		n |= 56
		e = entryAt(litT, bits&(1<<litBits-1))
		if off < 8 {
			copyNear(dst, out, off, length)
			out += length
			continue
		}
		from, to := out-off, out+length
		store64(dst, out, load64(dst, from))
		store64(dst, out+8, load64(dst, from+8))
		for out += 16; out < to; out += 16 {
			from += 16
			store64(dst, out, load64(dst, from))
			store64(dst, out+8, load64(dst, from+8))
		}
		out = to
	}
	d.in, d.out, d.n, d.bits = in, out, n, bits&(1<<n-1)
	if err == nil && out > len(d.dst) {
		err = ErrSize
	}
	return end, err
}

// copyNear copies length bytes from off bytes back, fewer than 8, and writes up to
// 7 more.
func copyNear(dst unsafe.Pointer, out, off, length int) {
	from, end := out-off, out+length
	if off == 1 {
		v := uint64(*(*byte)(unsafe.Add(dst, from))) * 0x0101010101010101
		for ; out < end; out += 8 {
			store64(dst, out, v)
		}
		return
	}
	for ; out < end; out++ {
		*(*byte)(unsafe.Add(dst, out)) = *(*byte)(unsafe.Add(dst, from))
		from++
	}
}

// Package inflate decompresses zlib streams (RFC 1950, 1951) whose decompressed
// size is known beforehand, in one call and without copying: what objects in git
// packs are. It is several times as fast as compress/zlib, which streams.
//
// It knows nothing of git. The algorithm is the table-driven one of libdeflate:
// a buffer of 64 bits, packed table entries, matches copied by words. Far from
// the ends of both buffers the loop in fast.go works without bounds checks; the
// plain loop in block.go does the rest and is all there is to trust for small
// buffers. Tests hold both equal to compress/zlib. Start reading at Zlib.
package inflate

import (
	"encoding/binary"
	"errors"
	"hash/adler32"
)

// Slack is how much capacity beyond its length a destination should have for
// the fast loop to run up to its end: two literals, the longest match of 258,
// and what copying by words may write too much.
const Slack = 288

var (
	// ErrCorrupt is the answer to everything that is no zlib stream.
	ErrCorrupt = errors.New("corrupt zlib stream")
	// ErrSize says that the stream holds more or less than it was said to.
	ErrSize = errors.New("zlib stream has another size than told")
	// ErrChecksum says that the Adler-32 at the stream's end is another.
	ErrChecksum = errors.New("zlib stream has a wrong checksum")
)

// Decoder holds the tables of one stream at a time. The zero value is ready; a
// Decoder serves one goroutine.
type Decoder struct {
	// Trusted leaves the Adler-32 unchecked, for a caller that has compared the
	// compressed bytes with a checksum of theirs.
	Trusted bool

	src, dst []byte
	in, out  int    // read and written so far
	bits     uint64 // the next bits, the first one lowest
	n        uint   // how many of them are valid

	lit    [litTable]uint32
	dist   [distTable]uint32
	pre    [1 << preBits]uint32
	lens   [maxLit + maxDist + 138]uint8 // a run may write 137 lengths too many
	sorted [maxLit]uint16
}

// Zlib decompresses the stream at the start of src into dst, which it must fill
// exactly, and returns how many bytes of src it took. What lies between dst's
// length and its capacity is overwritten.
func (d *Decoder) Zlib(dst, src []byte) (used int, err error) {
	if len(src) < 2 || src[0]&15 != 8 || src[0]>>4 > 7 || (uint(src[0])<<8|uint(src[1]))%31 != 0 || src[1]&0x20 != 0 {
		return 0, ErrCorrupt
	}
	d.src, d.dst = src, dst
	d.in, d.out, d.bits, d.n = 2, 0, 0, 0
	defer func() { d.src, d.dst = nil, nil }()
	for final := false; !final; {
		if final, err = d.block(); err != nil {
			return 0, err
		}
	}
	if d.out != len(dst) {
		return 0, ErrSize
	}
	d.in -= int(d.n / 8) // whole bytes that were looked at and not used
	if d.in+4 > len(src) {
		return 0, ErrCorrupt
	}
	if !d.Trusted && binary.BigEndian.Uint32(src[d.in:]) != adler32.Checksum(dst) {
		return 0, ErrChecksum
	}
	return d.in + 4, nil
}

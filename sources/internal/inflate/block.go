package inflate

import "encoding/binary"

// refill takes bytes into the bit buffer, so that at least 56 bits are in it as
// long as the source has them.
func (d *Decoder) refill() {
	if d.in+8 <= len(d.src) {
		d.bits |= binary.LittleEndian.Uint64(d.src[d.in:]) << (d.n & 63)
		d.in += int((63 - d.n) >> 3)
		d.n |= 56
		// Bits above n are those of the next byte, which is read once more.
		d.bits &= 1<<d.n - 1
		return
	}
	for d.n < 56 && d.in < len(d.src) {
		d.bits |= uint64(d.src[d.in]) << d.n
		d.in++
		d.n += 8
	}
}

// take gives the next k bits, at most 16; ok is false when the source has ended.
func (d *Decoder) take(k uint) (v uint32, ok bool) {
	if d.n < k {
		d.refill()
		if d.n < k {
			return 0, false
		}
	}
	v = uint32(d.bits & (1<<k - 1))
	d.bits >>= k
	d.n -= k
	return v, true
}

// block decompresses one block and says whether it is the last.
func (d *Decoder) block() (final bool, err error) {
	head, ok := d.take(3)
	if !ok {
		return false, ErrCorrupt
	}
	final = head&1 != 0
	switch head >> 1 {
	case 0:
		return final, d.stored()
	case 1:
		f := fixed()
		return final, d.huffman(&f.lit, &f.dist)
	case 2:
		if err := d.readTables(); err != nil {
			return final, err
		}
		return final, d.huffman(&d.lit, &d.dist)
	}
	return final, ErrCorrupt
}

func (d *Decoder) stored() error {
	d.in -= int(d.n / 8) // back to the first whole byte not used
	d.bits, d.n = 0, 0
	if d.in+4 > len(d.src) {
		return ErrCorrupt
	}
	n := int(binary.LittleEndian.Uint16(d.src[d.in:]))
	if uint16(n) != ^binary.LittleEndian.Uint16(d.src[d.in+2:]) {
		return ErrCorrupt
	}
	d.in += 4
	if d.in+n > len(d.src) {
		return ErrCorrupt
	}
	if d.out+n > len(d.dst) {
		return ErrSize
	}
	d.out += copy(d.dst[d.out:], d.src[d.in:d.in+n])
	d.in += n
	return nil
}

// huffman decompresses a block's symbols: in the fast loop while both buffers
// have room, one by one near their ends.
func (d *Decoder) huffman(lit *[litTable]uint32, dist *[distTable]uint32) error {
	for {
		if d.in+maxIn <= len(d.src) && d.out+Slack <= cap(d.dst) {
			if end, err := d.fast(lit, dist); end || err != nil {
				return err
			}
		}
		if end, err := d.symbol(lit, dist); end || err != nil {
			return err
		}
	}
}

// code reads one symbol of a table with mainBits bits at its first level.
func (d *Decoder) code(table []uint32, mainBits uint) (entry uint32, extra uint32, ok bool) {
	if d.n < 48 {
		d.refill()
	}
	e := table[d.bits&(1<<mainBits-1)]
	if e&isSub != 0 {
		if d.n < mainBits {
			return 0, 0, false
		}
		d.bits >>= mainBits
		d.n -= mainBits
		e = table[e>>16+uint32(d.bits&(1<<(e>>8&15)-1))]
	}
	total := uint(e & 63) // the code and its extra bits
	if d.n < total {
		return 0, 0, false
	}
	extra = uint32(d.bits & (1<<total - 1) >> (e >> 8 & 15))
	d.bits >>= total
	d.n -= total
	return e, extra, true
}

// symbol decompresses one literal or match, checking everything.
func (d *Decoder) symbol(lit *[litTable]uint32, dist *[distTable]uint32) (end bool, err error) {
	e, extra, ok := d.code(lit[:], litBits)
	switch {
	case !ok || e&isBad != 0:
		return false, ErrCorrupt
	case e&isEnd != 0:
		return true, nil
	case e&isLiteral != 0:
		if d.out >= len(d.dst) {
			return false, ErrSize
		}
		d.dst[d.out] = byte(e >> 16)
		d.out++
		return false, nil
	}
	length := int(e>>16 + extra)
	e, extra, ok = d.code(dist[:], distBits)
	if !ok || e&isBad != 0 {
		return false, ErrCorrupt
	}
	off := int(e>>16 + extra)
	if off > d.out {
		return false, ErrCorrupt
	}
	if d.out+length > len(d.dst) {
		return false, ErrSize
	}
	for range length {
		d.dst[d.out] = d.dst[d.out-off]
		d.out++
	}
	return false, nil
}

package pack

import (
	"fmt"

	"github.com/quench-dev/quench/sources/internal/inflate"
)

// Copy is a stretch of an object that its base holds too.
type Copy struct {
	Dst, Src, Len int
}

var errDelta = fmt.Errorf("%w: malformed delta", ErrCorrupt)

// deltaSizes reads a delta's header: the sizes of base and result, and where the
// instructions begin.
func deltaSizes(delta []byte) (base, result int64, at int, err error) {
	var size [2]int64
	for k := range size {
		for shift := uint(0); ; shift += 7 {
			if at == len(delta) || shift > 56 {
				return 0, 0, 0, errDelta
			}
			c := delta[at]
			at++
			size[k] |= int64(c&0x7f) << shift
			if c&0x80 == 0 {
				break
			}
		}
	}
	return size[0], size[1], at, nil
}

// apply makes an object of its base and a delta, in dst where that is large
// enough. Where copies is not nil, the copies are appended to it in order,
// adjoining ones joined.
func apply(dst, base, delta []byte, limit int64, copies *[]Copy) ([]byte, error) {
	baseSize, size, i, err := deltaSizes(delta)
	switch {
	case err != nil:
		return nil, err
	case baseSize != int64(len(base)):
		return nil, fmt.Errorf("%w: a delta is for a base of another size", ErrCorrupt)
	case size > limit:
		return nil, fmt.Errorf("%w: a delta makes %d bytes", ErrTooLarge, size)
	case size > 0xffffff*int64(len(delta)): // the most that one byte of a delta can copy
		return nil, errDelta
	}
	if int64(cap(dst)) < size+inflate.Slack {
		dst = make([]byte, size, size+inflate.Slack)
	}
	dst = dst[:size]
	out := 0
	for i < len(delta) {
		c := delta[i]
		i++
		if c&0x80 == 0 {
			n := int(c)
			if n == 0 || i+n > len(delta) || out+n > len(dst) {
				return nil, errDelta
			}
			out += copy(dst[out:], delta[i:i+n])
			i += n
			continue
		}
		var from, n int
		for bit := range 4 {
			if c>>bit&1 != 0 {
				if i == len(delta) {
					return nil, errDelta
				}
				from |= int(delta[i]) << (8 * bit)
				i++
			}
		}
		for bit := range 3 {
			if c>>(4+bit)&1 != 0 {
				if i == len(delta) {
					return nil, errDelta
				}
				n |= int(delta[i]) << (8 * bit)
				i++
			}
		}
		if n == 0 {
			n = 0x10000
		}
		if from < 0 || from+n > len(base) || out+n > len(dst) {
			return nil, errDelta
		}
		copy(dst[out:], base[from:from+n])
		if copies != nil {
			if k := len(*copies) - 1; k >= 0 && (*copies)[k].Dst+(*copies)[k].Len == out && (*copies)[k].Src+(*copies)[k].Len == from {
				(*copies)[k].Len += n
			} else {
				*copies = append(*copies, Copy{out, from, n})
			}
		}
		out += n
	}
	if out != len(dst) {
		return nil, errDelta
	}
	return dst, nil
}

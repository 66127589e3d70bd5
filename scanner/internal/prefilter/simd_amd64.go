//go:build !purego

package prefilter

import (
	"encoding/binary"
	"math/bits"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// teddyAVX2 looks at blocks*32 positions from p on, reading 3 bytes more, and
// writes index<<32|mask for each block of 32 in which a window may begin. It
// returns how many words it wrote; out must hold blocks+1.
//
//go:noescape
func teddyAVX2(lo, hi *[groups][window][16]uint8, p *byte, blocks int, out *uint64) int

// teddyVBMI looks at blocks*64 positions from p on, reading 3 bytes more, and
// writes an index and a mask for each block of 64 in which a window may begin.
// It returns how many pairs it wrote; out must hold 2*(blocks+1) words.
//
//go:noescape
func teddyVBMI(tab *[groups][window][128]uint8, p *byte, blocks int, out *uint64) int

// Kernels lists what this CPU can run, fastest first.
func Kernels() []Kernel {
	var ks []Kernel
	if cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512F {
		ks = append(ks, VBMI)
	}
	if cpu.X86.HasAVX2 {
		ks = append(ks, AVX2)
	}
	return append(ks, Portable)
}

// chunk is how much text one call of a kernel looks at: it stays in the
// first-level cache together with the masks for the later stages.
const chunk = 16 << 10

// simd runs the first two stages over buf[from:to] as far as whole blocks
// reach, and returns the first position not looked at.
func (t *search) simd(from, to int) int {
	var out [2 * (chunk/64 + 1) * 2]uint64
	s, block := t.s, 32
	if s.kernel == VBMI {
		block = 64
	}
	for {
		// A block reads window-1 bytes past its end.
		n := min(chunk, to-from, len(t.buf)-(window-1)-from) / block
		if n <= 0 {
			return from
		}
		p := unsafe.SliceData(t.buf[from:])
		if s.kernel == VBMI {
			c := teddyVBMI(&s.bytes, p, n, &out[0])
			for i := range c {
				t.candidates(from+int(out[2*i])*64, out[2*i+1])
			}
		} else {
			c := teddyAVX2(&s.lo, &s.hi, p, n, &out[0])
			for _, w := range out[:c] {
				t.candidates(from+int(w>>32)*32, w&(1<<32-1))
			}
		}
		from += n * block
	}
}

// candidates puts the positions of one block's mask through the second stage.
func (t *search) candidates(at int, mask uint64) {
	for ; mask != 0; mask &= mask - 1 {
		pos := at + bits.TrailingZeros64(mask)
		if x := binary.LittleEndian.Uint32(t.buf[pos:]); t.s.maybe(x) != 0 {
			t.verify(pos, x)
		}
	}
}

//go:build !purego

package runs

import "golang.org/x/sys/cpu"

// available says that classify can run on this CPU.
var available = cpu.X86.HasAVX2

var vbmi = cpu.X86.HasAVX512VBMI && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512F

// classify writes, for each of blocks*64 bytes from p on, a bit for each class:
// word b of class c goes to out[c*stride+b].
func classify(p *byte, blocks int, out *uint64, stride int) {
	if vbmi {
		classifyVBMI(&table, p, blocks, out, stride)
		return
	}
	classifyAVX2(p, blocks, out, stride)
}

//go:noescape
func classifyVBMI(table *[128]uint8, p *byte, blocks int, out *uint64, stride int)

//go:noescape
func classifyAVX2(p *byte, blocks int, out *uint64, stride int)

// longRuns sets, for each of groups*8 words from m on, a bit in hot if 16 bytes
// of a run end in the word that begin at a multiple of four. It reads the word
// before m too.
func longRuns(m *uint64, groups int, hot *uint64) {
	if vbmi {
		longRuns512(m, groups, hot)
		return
	}
	longRunsAVX2(m, groups, hot)
}

//go:noescape
func longRuns512(m *uint64, groups int, hot *uint64)

//go:noescape
func longRunsAVX2(m *uint64, groups int, hot *uint64)

// table holds a bit for each of the first two classes.
var table = func() (t [128]uint8) {
	for b := range t {
		for c, set := range in {
			if set[b] {
				t[b] |= 1 << c
			}
		}
	}
	return t
}()

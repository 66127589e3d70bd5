package forest

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/quench-dev/quench/sources/internal/pack"
)

// errFormat says that bytes are not what Trees gave.
var errFormat = errors.New("these are no trees of a forest")

// Trees gives all trees as bytes, which Restore reads: counts, then the tables of
// entries and of chunks, the chunks of all trees, and the trees with where theirs lie.
func (f *Forest) Trees() []byte {
	b := make([]byte, 0, 24+len(f.entries.all)+4*(len(f.entries.ends)+len(f.chunks.all)+len(f.chunks.ends)+len(f.lists))+28*len(f.trees))
	for _, n := range []int{len(f.entries.all), len(f.entries.ends), len(f.chunks.all), len(f.chunks.ends), len(f.lists), len(f.trees)} {
		b = binary.LittleEndian.AppendUint32(b, uint32(n))
	}
	b = append(b, f.entries.all...)
	for _, list := range [][]uint32{f.entries.ends, f.chunks.all, f.chunks.ends, f.lists} {
		for _, n := range list {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
	}
	for id, s := range f.trees {
		b = append(b, id[:]...)
		b = binary.LittleEndian.AppendUint32(b, s.at)
		b = binary.LittleEndian.AppendUint32(b, s.n)
	}
	return b
}

// Restore puts the trees there that Trees gave, into a forest without any. Others can
// be visited after it. Bytes that Trees cannot have given are refused, and change
// nothing.
func (f *Forest) Restore(data []byte) error {
	var n [6]int
	for i := range n {
		if len(data) < 4 {
			return errFormat
		}
		n[i], data = int(binary.LittleEndian.Uint32(data)), data[4:]
	}
	if len(data) != n[0]+4*(n[1]+n[2]+n[3]+n[4])+28*n[5] {
		return errFormat
	}
	numbers := func(k int) []uint32 {
		list := make([]uint32, k)
		for i := range list {
			list[i] = binary.LittleEndian.Uint32(data[4*i:])
		}
		data = data[4*k:]
		return list
	}
	entries := table[byte]{all: slices.Clone(data[:n[0]])}
	data = data[n[0]:]
	entries.ends = numbers(n[1])
	chunks := table[uint32]{all: numbers(n[2]), ends: numbers(n[3])}
	lists := numbers(n[4])
	if !entries.sound() || !chunks.sound() || !below(chunks.all, n[1]) || !below(lists, n[3]) {
		return errFormat
	}
	for e := range uint32(n[1]) {
		if one := entries.get(e); entryLen(one) != len(one) || len(one) == 0 {
			return errFormat
		}
	}
	trees := make(map[pack.ID]span, n[5])
	for ; len(data) > 0; data = data[28:] {
		s := span{binary.LittleEndian.Uint32(data[20:]), binary.LittleEndian.Uint32(data[24:])}
		if uint64(s.at)+uint64(s.n) > uint64(n[4]) {
			return errFormat
		}
		trees[pack.ID(data[:20])] = s
	}
	if len(trees) != n[5] {
		return errFormat
	}
	f.entries, f.chunks, f.lists, f.trees = entries, chunks, lists, trees
	f.full.Store(entries.size() > maxTrees/2 || chunks.size()+4*len(lists) > maxTrees/2)
	return nil
}

// sound reports whether each number has its own stretch of all.
func (t *table[T]) sound() bool {
	last := uint32(0)
	for _, end := range t.ends {
		if end < last {
			return false
		}
		last = end
	}
	return int(last) == len(t.all)
}

func below(list []uint32, n int) bool {
	return !slices.ContainsFunc(list, func(x uint32) bool { return int(x) >= n })
}

// Has reports whether a tree is there.
func (f *Forest) Has(id pack.ID) bool {
	_, ok := f.trees[id]
	return ok
}

// Len is how many trees there are.
func (f *Forest) Len() int { return len(f.trees) }

// Whole reports whether every commit and tree that was visited, and could be read, is
// there: there was room for all.
func (f *Forest) Whole() bool { return f.taken <= maxCommits && !f.full.Load() }

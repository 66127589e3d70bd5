package forest

import (
	"slices"

	"github.com/quench-dev/quench/sources/internal/pack"
)

// Chunks is how many there are: their numbers are below it.
func (f *Forest) Chunks() int { return f.chunks.len() }

// Tree gives the chunks that a tree is made of, in order; ok is false when the
// forest has no such tree.
func (f *Forest) Tree(id pack.ID) (chunks []uint32, ok bool) {
	s, ok := f.trees[id]
	if !ok {
		return nil, false
	}
	return f.lists[s.at : s.at+s.n], true
}

// Chunk gives the entries of a chunk, as their numbers.
func (f *Forest) Chunk(c uint32) []uint32 { return f.chunks.get(c) }

// Entries is how many there are: their numbers are below it.
func (f *Forest) Entries() int { return f.entries.len() }

// Entry gives an entry as it stands in trees: "MODE NAME\0" and an id.
func (f *Forest) Entry(e uint32) []byte { return f.entries.get(e) }

// Settle lets go of all that reading trees by chunks and entries does not need:
// commits, what NewEntries has given, and room to grow. Nothing is visited after it.
func (f *Forest) Settle() {
	f.commits, f.taken = nil, 0
	f.doneEntry, f.doneChunk = nil, nil
	f.lists = slices.Clone(f.lists)
	f.entries.settle()
	f.chunks.settle()
}

// settle makes a table one that is only read by number.
func (t *table[T]) settle() {
	t.all, t.ends, t.slots = slices.Clone(t.all), slices.Clone(t.ends), nil
}

// Size is about what it takes, in bytes.
func (f *Forest) Size() int {
	return f.taken + f.entries.size() + f.chunks.size() + 4*len(f.lists) + 32*(len(f.trees)+len(f.commits))
}

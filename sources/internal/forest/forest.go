// Package forest keeps the commits and trees of a history in little memory, as a
// walk over packs gives them, so that each is read once and not once more for
// every question.
//
// A tree is mostly what the version before it was. Entries of trees are kept once
// each, and a tree is a list of chunks of entries that are kept once too: cut
// where an entry's number says so, trees that differ in one entry share all chunks
// but one. Which entry is new in a history is then asked of a few entries for each
// tree and not of all.
//
// It knows nothing of what entries and commits mean, beyond where each ends. What
// is malformed is not kept, and is read and told as if there were no forest. Start
// reading at Forest.Visit.
package forest

import (
	"bytes"
	"iter"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/quench-dev/quench/sources/internal/pack"
)

// maxCommits bounds the bytes of commits kept: 64 MB are 150,000 commits. Those
// beyond are read again when they are needed.
const maxCommits = 64 << 20

// maxTrees bounds what trees take, in bytes: 40,000 commits to a project of 1,000
// files take 20 MB. Trees beyond are read again when they are needed.
const maxTrees = 256 << 20

// Forest is the commits and trees of a history. Visit is safe for concurrent use;
// the rest is for one goroutine, when all is visited.
type Forest struct {
	scratch sync.Pool // of *tree

	commitMu sync.Mutex
	commits  map[pack.ID][]byte
	taken    int

	entryMu sync.Mutex
	entries table[byte] // "MODE NAME\0" and the object's id

	treeMu sync.Mutex
	chunks table[uint32] // entries
	trees  map[pack.ID]span
	lists  []uint32 // chunks of all trees
	full   atomic.Bool

	// Of reading:
	doneEntry, doneChunk []bool
}

// span is a stretch of lists.
type span struct{ at, n uint32 }

// New gives an empty forest.
func New() *Forest {
	f := &Forest{commits: map[pack.ID][]byte{}, trees: map[pack.ID]span{}}
	f.scratch.New = func() any { return new(tree) }
	return f
}

// Visit takes an object of a pack.Store's Walk over commits and trees, and gives
// what the walk hands to those made of it.
func (f *Forest) Visit(id pack.ID, v *pack.Visit) any {
	switch v.Kind {
	case pack.Commit:
		f.commitMu.Lock()
		defer f.commitMu.Unlock()
		n := len(v.Data)
		if f.taken += n; f.taken > maxCommits {
			return nil
		}
		f.commits[id] = bytes.Clone(v.Data)
	case pack.Tree:
		if s := f.tree(id, v); s != nil {
			return s
		}
	}
	return nil
}

// shape is where the entries of a tree end, and which they are.
type shape struct {
	ends []int32
	ids  []uint32
}

// tree is the scratch of one visit.
type tree struct {
	shape
	fresh  []int32  // places of entries to be looked up
	bounds []int32  // where chunks end, counted in entries
	list   []uint32 // chunks
}

func (f *Forest) tree(id pack.ID, v *pack.Visit) *shape {
	if f.full.Load() {
		return nil
	}
	t := f.scratch.Get().(*tree)
	defer f.scratch.Put(t)
	base, _ := v.Base.(*shape)
	if !t.split(v.Data, base, v.Copies) {
		return nil
	}
	if len(t.fresh) > 0 {
		f.entryMu.Lock()
		for _, i := range t.fresh {
			from := int32(0)
			if i > 0 {
				from = t.ends[i-1]
			}
			t.ids[i] = f.entries.intern(v.Data[from:t.ends[i]])
		}
		if f.entries.size() > maxTrees/2 {
			f.full.Store(true)
		}
		f.entryMu.Unlock()
	}
	t.cut()
	f.treeMu.Lock()
	from := 0
	t.list = t.list[:0]
	for _, to := range t.bounds {
		t.list = append(t.list, f.chunks.intern(t.ids[from:to]))
		from = int(to)
	}
	f.trees[id] = span{uint32(len(f.lists)), uint32(len(t.list))}
	f.lists = append(f.lists, t.list...)
	if f.chunks.size()+4*len(f.lists) > maxTrees/2 {
		f.full.Store(true)
	}
	f.treeMu.Unlock()
	if v.Leaf {
		return nil
	}
	return &shape{slices.Clone(t.ends), slices.Clone(t.ids)}
}

// split finds the entries of a tree; those that lie in a stretch copied from the
// base are taken over from it. It reports whether the tree is well-formed.
func (t *tree) split(data []byte, base *shape, copies []pack.Copy) bool {
	t.ends, t.ids, t.fresh = t.ends[:0], t.ids[:0], t.fresh[:0]
	for pos := 0; pos < len(data); {
		for len(copies) > 0 && copies[0].Dst+copies[0].Len <= pos {
			copies = copies[1:]
		}
		if base != nil && len(copies) > 0 && copies[0].Dst <= pos {
			if to := t.take(base, copies[0], pos); to > pos {
				pos = to
				continue
			}
		}
		n := entryLen(data[pos:])
		if n == 0 {
			return false
		}
		pos += n
		t.fresh = append(t.fresh, int32(len(t.ends)))
		t.ends, t.ids = append(t.ends, int32(pos)), append(t.ids, 0)
	}
	return true
}

// take takes the entries over that the base has from where pos was copied from on,
// as far as the copy goes, and gives where they end.
func (t *tree) take(base *shape, c pack.Copy, pos int) int {
	src, i := int32(pos-c.Dst+c.Src), 0
	if src > 0 {
		i = sort.Search(len(base.ends), func(i int) bool { return base.ends[i] >= src })
		if i == len(base.ends) || base.ends[i] != src {
			return pos
		}
		i++
	}
	from, limit := i, int32(c.Src+c.Len)
	shift := int32(pos) - src
	for ; i < len(base.ends) && base.ends[i] <= limit; i++ {
		t.ends = append(t.ends, base.ends[i]+shift)
	}
	t.ids = append(t.ids, base.ids[from:i]...)
	if i == from {
		return pos
	}
	return int(t.ends[len(t.ends)-1])
}

// entryLen is the length of the first entry of a tree, "MODE NAME\0" and an id; 0
// when it is malformed.
func entryLen(data []byte) int {
	sp := 0
	for sp < len(data) && data[sp] >= '0' && data[sp] <= '7' {
		sp++
	}
	if sp < 1 || sp > 7 || sp == len(data) || data[sp] != ' ' {
		return 0
	}
	nul := bytes.IndexByte(data[sp+1:], 0)
	if n := sp + 1 + nul + 1 + len(pack.ID{}); nul > 0 && n <= len(data) {
		return n
	}
	return 0
}

// A chunk ends after an entry whose number says so, one in eight, or after 32.
const longestChunk = 32

func (t *tree) cut() {
	t.bounds = t.bounds[:0]
	from := 0
	for i, e := range t.ids {
		if e*0x9e3779b1>>29 == 0 || i+1-from == longestChunk || i+1 == len(t.ids) {
			t.bounds, from = append(t.bounds, int32(i+1)), i+1
		}
	}
}

// Commit gives a commit's bytes.
func (f *Forest) Commit(id pack.ID) ([]byte, bool) {
	data, ok := f.commits[id]
	return data, ok
}

// Take is Commit for the last time: its bytes are let go, as a walk goes on, and not
// kept to its end, when most else is held.
func (f *Forest) Take(id pack.ID) ([]byte, bool) {
	data, ok := f.commits[id]
	if ok {
		delete(f.commits, id)
		f.taken -= len(data)
	}
	return data, ok
}

// NewEntries gives the entries of a tree that no earlier call gave to its end, each
// as it stands in the tree; ok is false when the forest has no such tree. again
// says of an entry that it is to be given every time.
func (f *Forest) NewEntries(id pack.ID, again func(entry []byte) bool) (entries iter.Seq[[]byte], ok bool) {
	s, ok := f.trees[id]
	if !ok {
		return nil, false
	}
	if f.doneChunk == nil {
		f.doneEntry, f.doneChunk = make([]bool, f.entries.len()), make([]bool, f.chunks.len())
	}
	return func(yield func([]byte) bool) {
		for _, c := range f.lists[s.at : s.at+s.n] {
			if f.doneChunk[c] {
				continue
			}
			done := true
			for _, e := range f.chunks.get(c) {
				if f.doneEntry[e] {
					continue
				}
				entry := f.entries.get(e)
				if !yield(entry) {
					return
				}
				if again(entry) {
					done = false
				} else {
					f.doneEntry[e] = true
				}
			}
			f.doneChunk[c] = done
		}
	}, true
}

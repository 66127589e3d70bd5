package attrib

import (
	"bytes"
	"context"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/pack"
)

// refs fills in which refs hold each leak that stands for itself.
//
// Whether a ref holds a blob is asked of its commits' trees, and not of the commit
// that brought the blob first: a cherry-picked commit brings it to another branch.
// Trees become a graph of those parts alone that lead to a wanted blob, made once;
// then 64 leaks at a time are carried through it, and from parents to children, as
// the bits of a word.
func (h *History) refs(ctx context.Context, leaks []Leak, places []Place, tips []gitrepo.Tip, at map[plumbing.Hash]int32) error {
	w := newWanted(leaks, places, at)
	t := &trees{h: h, want: w.number, known: map[treeKey]int32{}}
	if h.Near {
		t.dirs = dirsOf(leaks)
	}
	if h.Forest != nil {
		t.chunks, t.single = make([]int32, h.Forest.Chunks()), make([]int32, h.Forest.Entries())
	}
	roots := make([]int32, len(h.commits))
	for i, id := range h.trees {
		if i%1024 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		roots[i] = t.tree(id, "", 0)
	}
	ends := h.tipEnds(tips, at, t)
	if err := h.carry(ctx, w, t, roots, ends, places, tips); err != nil {
		return err
	}
	for _, same := range w.leaks {
		for _, i := range same[1:] {
			places[i].Refs, places[i].RefCount = places[same[0]].Refs, places[same[0]].RefCount
		}
	}
	return nil
}

// carry carries leaks from blobs to refs: blocks of 64 on as many goroutines as there
// are processors, each with words of its own.
func (h *History) carry(ctx context.Context, w *wanted, t *trees, roots []int32, ends []tipEnd, places []Place, tips []gitrepo.Tip) error {
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), (len(w.leaks)+63)/64) {
		wg.Go(func() {
			node, commit := make([]uint64, len(t.ends)), make([]uint64, len(h.commits))
			for ctx.Err() == nil {
				base := int(next.Add(64)) - 64
				if base >= len(w.leaks) {
					return
				}
				h.block(w, t, base, node, commit, roots, ends, places, tips)
			}
		})
	}
	wg.Wait()
	return ctx.Err()
}

// block carries the 64 leaks from base on, by words for each node and commit.
func (h *History) block(w *wanted, t *trees, base int, node, commit []uint64, roots []int32, ends []tipEnd, places []Place, tips []gitrepo.Tip) {
	blob := w.block(base, commit)
	value := func(ref int32) uint64 {
		switch {
		case ref == nothing:
			return 0
		case ref < 0:
			return blob[^ref]
		}
		return node[ref]
	}
	from := int32(0)
	for n, to := range t.ends {
		b := uint64(0)
		for _, r := range t.refs[from:to] {
			b |= value(r)
		}
		node[n], from = b, to
	}
	for i := range commit {
		b := commit[i] | value(roots[i])
		for _, p := range h.parentsOf(int32(i)) {
			b |= commit[p]
		}
		commit[i] = b
	}
	for i, tip := range tips {
		var b uint64
		if ends[i].isCommit {
			b = commit[ends[i].ref]
		} else {
			b = value(ends[i].ref)
		}
		for ; b != 0; b &= b - 1 {
			p := &places[w.leaks[base+bits.TrailingZeros64(b)][0]]
			if p.RefCount++; len(p.Refs) < MaxRefs {
				p.Refs = append(p.Refs, tip.Name)
			}
		}
	}
}

// tipEnd is what a ref leads to: a commit, by its place in the history, or what
// stands for a tree or blob.
type tipEnd struct {
	ref      int32
	isCommit bool
}

func (h *History) tipEnds(tips []gitrepo.Tip, at map[plumbing.Hash]int32, t *trees) []tipEnd {
	ends := make([]tipEnd, len(tips))
	for i, tip := range tips {
		ends[i].ref = nothing
		c, ok := at[tip.ID]
		if !ok {
			kind, id, err := h.Peel(tip.ID)
			switch {
			case err != nil:
			case kind == plumbing.CommitObject:
				c, ok = at[id]
			case kind == plumbing.TreeObject:
				ends[i].ref = t.tree(id, "", 0)
			case kind == plumbing.BlobObject:
				if n, ok := t.want[id]; ok {
					ends[i].ref = ^n
				}
			}
		}
		if ok {
			ends[i] = tipEnd{c, true}
		}
	}
	return ends
}

// wanted is which blobs and commits hold which leaks. Those that the same ones
// hold are on the same refs, and are asked for once.
type wanted struct {
	leaks   [][]int                 // those that stand for themselves, by what holds them
	number  map[plumbing.Hash]int32 // of blobs
	holds   [][]int32               // of each blob, places in leaks
	commits []held
}

// held is a commit, by its place in the history, and a leak in its text.
type held struct{ commit, leak int32 }

func newWanted(leaks []Leak, places []Place, at map[plumbing.Hash]int32) *wanted {
	w := &wanted{number: map[plumbing.Hash]int32{}}
	blobs, commits := map[int][]plumbing.Hash{}, map[int][]plumbing.Hash{}
	for i, l := range leaks {
		of := places[i].Of
		blobs[of], commits[of] = append(blobs[of], l.Blobs...), append(commits[of], l.Commits...)
	}
	slots := map[string]int{}
	for i, p := range places {
		if p.Of != i {
			continue
		}
		key := setKey(blobs[i]) + "/" + setKey(commits[i])
		if s, ok := slots[key]; ok {
			w.leaks[s] = append(w.leaks[s], i)
			continue
		}
		s := len(w.leaks)
		slots[key], w.leaks = s, append(w.leaks, []int{i})
		for _, b := range blobs[i] {
			n, ok := w.number[b]
			if !ok {
				n = int32(len(w.holds))
				w.number[b], w.holds = n, append(w.holds, nil)
			}
			w.holds[n] = append(w.holds[n], int32(s))
		}
		for _, c := range commits[i] {
			if n, ok := at[c]; ok {
				w.commits = append(w.commits, held{n, int32(s)})
			}
		}
	}
	return w
}

// setKey is the same for the same ids, which it sorts.
func setKey(ids []plumbing.Hash) string {
	slices.SortFunc(ids, func(a, b plumbing.Hash) int { return bytes.Compare(a[:], b[:]) })
	var key []byte
	for _, id := range slices.Compact(ids) {
		key = append(key, id[:]...)
	}
	return string(key)
}

// block gives the bits of each blob for the 64 leaks from base on, and sets those of
// commits.
func (w *wanted) block(base int, commit []uint64) (blob []uint64) {
	blob = make([]uint64, len(w.holds))
	for n, leaks := range w.holds {
		for _, l := range leaks {
			if l := int(l) - base; l >= 0 && l < 64 {
				blob[n] |= 1 << l
			}
		}
	}
	clear(commit)
	for _, c := range w.commits {
		if l := int(c.leak) - base; l >= 0 && l < 64 {
			commit[c.commit] |= 1 << l
		}
	}
	return blob
}

// nothing is a part of a tree that leads to no wanted blob.
const nothing = math.MinInt32

// treeKey is a tree, and where it lies when that matters.
type treeKey struct {
	id  plumbing.Hash
	dir string
}

// trees are those parts of trees that lead to wanted blobs, as nodes. A node's refs
// are nodes of lower number, or blobs as the complement of their number.
type trees struct {
	h     *History
	want  map[plumbing.Hash]int32
	dirs  map[string]bool // to be looked into; nil for all
	refs  []int32         // of all nodes
	ends  []int32         // of each node, in refs
	known map[treeKey]int32
	// Of the forest's chunks and entries, what stands for each, packed; 0 is not
	// known yet.
	chunks, single []int32
}

// node makes a node of refs, or gives what stands for it.
func (t *trees) node(refs []int32) int32 {
	switch len(refs) {
	case 0:
		return nothing
	case 1:
		return refs[0]
	}
	t.refs = append(t.refs, refs...)
	t.ends = append(t.ends, int32(len(t.refs)))
	return int32(len(t.ends) - 1)
}

// tree gives what stands for a tree.
func (t *trees) tree(id plumbing.Hash, dir string, depth int) int32 {
	key := treeKey{id: id}
	if t.dirs != nil {
		if key.dir = dir; !t.dirs[dir] {
			return nothing
		}
	}
	if n, ok := t.known[key]; ok {
		return n
	}
	var refs []int32
	if chunks, ok := t.ofForest(id); ok {
		for _, c := range chunks {
			refs = add(refs, t.chunk(c, depth))
		}
	} else if data, err := t.h.Tree(id); err == nil && depth < gitrepo.MaxTreeDepth {
		refs = t.entries(nil, data, dir, depth)
	}
	n := t.node(refs)
	t.known[key] = n
	return n
}

func (t *trees) ofForest(id plumbing.Hash) ([]uint32, bool) {
	if t.h.Forest == nil || t.dirs != nil {
		return nil, false
	}
	return t.h.Forest.Tree(pack.ID(id))
}

// chunk gives what stands for a chunk of the forest.
func (t *trees) chunk(c uint32, depth int) int32 {
	if n := t.chunks[c]; n != 0 {
		return unpacked(n)
	}
	var refs []int32
	if depth < gitrepo.MaxTreeDepth {
		for _, e := range t.h.Forest.Chunk(c) {
			if t.single[e] == 0 {
				var one [1]int32
				t.single[e] = packed(t.node(t.entries(one[:0], t.h.Forest.Entry(e), "", depth)))
			}
			refs = add(refs, unpacked(t.single[e]))
		}
	}
	n := t.node(refs)
	t.chunks[c] = packed(n)
	return n
}

// packed moves refs out of the way of 0, which is "not known yet".
func packed(n int32) int32 {
	if n >= 0 {
		return n + 1
	}
	return n
}

func unpacked(n int32) int32 {
	if n > 0 {
		return n - 1
	}
	return n
}

// entries adds what entries of a tree lead to.
func (t *trees) entries(refs []int32, data []byte, dir string, depth int) []int32 {
	for e, err := range gitrepo.TreeEntries(data) {
		if err != nil {
			break
		}
		switch e.Mode & gitrepo.ModeType {
		case gitrepo.ModeTree:
			sub := ""
			if t.dirs != nil {
				sub = gitrepo.Join(dir, e.Name)
			}
			refs = add(refs, t.tree(e.Hash, sub, depth+1))
		case gitrepo.ModeGitlink:
		default:
			if n, ok := t.want[e.Hash]; ok {
				refs = add(refs, ^n)
			}
		}
	}
	return refs
}

func add(refs []int32, r int32) []int32 {
	if r == nothing {
		return refs
	}
	return append(refs, r)
}

// dirsOf are the folders that lead to the leaks.
func dirsOf(leaks []Leak) map[string]bool {
	dirs := map[string]bool{"": true}
	for _, l := range leaks {
		for dir := l.Path; ; {
			i := strings.LastIndexByte(dir, '/')
			if i < 0 {
				break
			}
			dir = dir[:i]
			dirs[dir] = true
		}
	}
	return dirs
}

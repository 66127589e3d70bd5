package attrib

import (
	"context"
	"iter"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/pack"
)

// moves gives for each leak the one that it is part of, or its own number.
//
// A leak was moved when the commit that brought the secret to its path took it from
// another: a parent holds it at a path where the commit does not any more. That is
// a rename, with or without a change, and also the secret's move from one file to
// another. It goes on, too, when a file that came with the secret in it, byte for
// byte, from elsewhere is changed: a blob counts where it was first, so only the
// change is seen at the new path. A secret that is added at a second path while
// the first keeps it is a leak of its own. What has no path belongs to the first
// leak of its secret that has one.
func (h *History) moves(ctx context.Context, leaks []Leak, at map[plumbing.Hash]int32) ([]int, error) {
	of := make([]int, len(leaks))
	same := map[int][]int{}
	for i, l := range leaks {
		of[i] = i
		same[l.Secret] = append(same[l.Secret], i)
	}
	m := &mover{h: h, blobs: map[plumbing.Hash]bool{}, known: map[[2]int32][]change{}}
	for _, is := range same {
		if len(is) > 1 {
			for _, i := range is {
				for _, b := range leaks[i].Blobs {
					m.blobs[b] = true
				}
			}
		}
	}
	for _, is := range same {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if len(is) > 1 {
			m.secret(leaks, is, of, at)
		}
	}
	return of, nil
}

// mover compares commits with their parents.
type mover struct {
	h     *History
	blobs map[plumbing.Hash]bool // those that matter
	known map[[2]int32][]change
}

// change is a path whose blob, one that matters, was taken away or replaced.
type change struct {
	path     string
	old, new plumbing.Hash
}

// secret joins the leaks of one secret, which is points at, earliest first.
func (m *mover) secret(leaks []Leak, is []int, of []int, at map[plumbing.Hash]int32) {
	holder := map[plumbing.Hash]int{}
	for _, i := range is {
		for _, b := range leaks[i].Blobs {
			if _, ok := holder[b]; !ok {
				holder[b] = i
			}
		}
	}
	root := func(i int) int {
		for of[i] != i {
			i = of[i]
		}
		return i
	}
	join := func(i, j int) { // the earlier one stands for both
		i, j = root(i), root(j)
		of[max(i, j)] = min(i, j)
	}
	pathed := -1
	for _, i := range is {
		l := leaks[i]
		if l.Path != "" && pathed < 0 {
			pathed = i
		}
		c, ok := at[l.First]
		if l.Path == "" || !ok {
			continue
		}
		for _, p := range m.h.parentsOf(c) {
			for _, ch := range m.changes(p, c) {
				from, held := holder[ch.old]
				_, holds := holder[ch.new]
				if held && (!holds || ch.path == l.Path) {
					join(from, i)
				}
			}
		}
	}
	for _, i := range is {
		if l := leaks[i]; l.Path == "" && len(l.Commits) == 0 && pathed >= 0 {
			// The one with a path has something to show, even where it is later.
			of[root(i)] = root(pathed)
		}
	}
	for _, i := range is {
		of[i] = root(i)
	}
}

func (m *mover) changes(p, c int32) []change {
	key := [2]int32{p, c}
	list, known := m.known[key]
	if !known {
		m.diff(m.h.trees[p], m.h.trees[c], "", 0, &list)
		m.known[key] = list
	}
	return list
}

// diff lists the blobs that matter which before holds and after does not hold at the
// same path. A zero after holds nothing.
func (m *mover) diff(before, after plumbing.Hash, dir string, depth int, list *[]change) {
	if before == after || depth > gitrepo.MaxTreeDepth {
		return
	}
	old, new := m.differing(before, after)
	now := map[string]gitrepo.TreeEntry{}
	for data := range new {
		for e, err := range gitrepo.TreeEntries(data) {
			if err == nil {
				now[string(e.Name)] = e
			}
		}
	}
	for data := range old {
		for e, err := range gitrepo.TreeEntries(data) {
			if err != nil {
				return
			}
			n := now[string(e.Name)]
			if n.Hash == e.Hash {
				continue
			}
			switch e.Mode & gitrepo.ModeType {
			case gitrepo.ModeTree:
				if n.Mode&gitrepo.ModeType != gitrepo.ModeTree {
					n.Hash = plumbing.ZeroHash
				}
				m.diff(e.Hash, n.Hash, gitrepo.Join(dir, e.Name), depth+1, list)
			case gitrepo.ModeGitlink:
			default:
				if m.blobs[e.Hash] {
					*list = append(*list, change{gitrepo.Join(dir, e.Name), e.Hash, n.Hash})
				}
			}
		}
	}
}

// differing gives the entries of two trees in pieces, without pieces that both have
// where the forest knows them.
func (m *mover) differing(before, after plumbing.Hash) (old, new iter.Seq[[]byte]) {
	f := m.h.Forest
	if f == nil {
		return m.whole(before), m.whole(after)
	}
	b, ok1 := f.Tree(pack.ID(before))
	a, ok2 := f.Tree(pack.ID(after))
	if after.IsZero() {
		ok2 = true
	}
	if !ok1 || !ok2 {
		return m.whole(before), m.whole(after)
	}
	without := func(chunks, other []uint32) iter.Seq[[]byte] {
		in := make(map[uint32]bool, len(other))
		for _, c := range other {
			in[c] = true
		}
		return func(yield func([]byte) bool) {
			for _, c := range chunks {
				if in[c] {
					continue
				}
				for _, e := range f.Chunk(c) {
					if !yield(f.Entry(e)) {
						return
					}
				}
			}
		}
	}
	return without(b, a), without(a, b)
}

func (m *mover) whole(tree plumbing.Hash) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		if tree.IsZero() {
			return
		}
		if data, err := m.h.Tree(tree); err == nil {
			yield(data)
		}
	}
}

// Package attrib tells of a few blobs of a history what is not worth knowing of
// all: which refs hold them, and which paths a secret was moved along.
//
// It knows commits, trees and refs, and of secrets only which blobs hold the same
// one. What it needs it is given: a history in order, a way to read trees, and,
// where there is one, the forest of them. Start reading at History.Attribute, then
// holds.go and moves.go.
package attrib

import (
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/graph"
)

// History is the commits of a walk, in little memory.
type History struct {
	// Tree reads a tree. One that it cannot read holds nothing: the walk has told.
	Tree func(plumbing.Hash) ([]byte, error)
	// Peel follows annotated tags to what they are about.
	Peel func(plumbing.Hash) (plumbing.ObjectType, plumbing.Hash, error)
	// Forest holds most trees; nil reads each by Tree.
	Forest *forest.Forest
	// Near looks for blobs in the folders of the leaks' paths only, for a few
	// commits of a big repository without a forest.
	Near bool

	commits []plumbing.Hash // parents before children
	trees   []plumbing.Hash
	parents []int32 // of all commits
	ends    []int32 // of each commit, in parents
}

// New keeps what is needed of a graph. Parents that were not walked are no parents.
func New(g *graph.Graph) *History {
	h := &History{commits: g.Order}
	at := h.index()
	for _, id := range g.Order {
		n := g.Commits[id]
		h.trees = append(h.trees, n.Tree)
		for _, p := range n.Parents {
			if i, ok := at[p]; ok {
				h.parents = append(h.parents, i)
			}
		}
		h.ends = append(h.ends, int32(len(h.parents)))
	}
	h.commits, h.trees, h.parents, h.ends = slices.Clip(h.commits), slices.Clip(h.trees), slices.Clip(h.parents), slices.Clip(h.ends)
	return h
}

// Len is how many commits there are.
func (h *History) Len() int { return len(h.commits) }

func (h *History) index() map[plumbing.Hash]int32 {
	at := make(map[plumbing.Hash]int32, len(h.commits))
	for i, id := range h.commits {
		at[id] = int32(i)
	}
	return at
}

func (h *History) parentsOf(i int32) []int32 {
	from := int32(0)
	if i > 0 {
		from = h.ends[i-1]
	}
	return h.parents[from:h.ends[i]]
}

// Leak is one secret at one path.
type Leak struct {
	// Secret is the same number for the same secret.
	Secret int
	// Path is empty for what has none: messages, and blobs that no tree names.
	Path string
	// First is the commit that brought it there; zero where there is none.
	First plumbing.Hash
	// Blobs are all that hold it there, Commits those whose text does.
	Blobs, Commits []plumbing.Hash
}

// Place is what is known of a leak.
type Place struct {
	// Of is the leak, in what was asked, that this one is part of: the secret was
	// moved from there. It is the leak's own number where it stands for itself.
	Of int
	// Refs are the names of the refs from which any commit that holds it is
	// reachable, in the order of the tips and at most MaxRefs of them. RefCount is
	// how many there are. Both are those of Of.
	Refs     []string
	RefCount int
}

// MaxRefs bounds the names of refs told of each leak: a public project has 10,000
// refs of pull requests, and a secret of its early days is on all of them.
const MaxRefs = 100

// Attribute tells of each leak. They are given in the order of the history, the
// earliest first. The error is ctx's.
func (h *History) Attribute(ctx context.Context, leaks []Leak, tips []gitrepo.Tip) ([]Place, error) {
	at := h.index()
	places := make([]Place, len(leaks))
	of, err := h.moves(ctx, leaks, at)
	if err != nil {
		return nil, err
	}
	for i := range places {
		places[i].Of = of[i]
	}
	if err := h.refs(ctx, leaks, places, tips, at); err != nil {
		return nil, err
	}
	for i := range places {
		places[i].Refs, places[i].RefCount = places[of[i]].Refs, places[of[i]].RefCount
	}
	return places, nil
}

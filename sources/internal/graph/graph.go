// Package graph puts the commits of a history in order.
//
// It knows commits by their parents, trees and times, which its caller reads, and
// nothing of what lies in them. Start reading at Graph.Walk.
package graph

import (
	"container/heap"
	"context"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// Node is a commit.
type Node struct {
	Tree      plumbing.Hash
	Parents   []plumbing.Hash
	Committed int64 // seconds since 1970
	Excluded  bool

	walk int // the walk that added it
}

// Graph is the commits of one or more walks, in their order.
type Graph struct {
	// Read gives a commit's links. Failed is told of a wanted one that cannot be
	// read, once; its error ends the walk.
	Read   func(plumbing.Hash) (gitrepo.Commit, error)
	Failed func(plumbing.Hash, error) error
	// Shallow are the commits whose parents a shallow clone does not have.
	Shallow map[plumbing.Hash]struct{}

	Commits  map[plumbing.Hash]*Node
	Order    []plumbing.Hash // wanted ones, parents before children
	Boundary []plumbing.Hash // excluded parents of wanted ones
	Cut      []plumbing.Hash // wanted ones that are shallow

	failed map[plumbing.Hash]struct{}
	walks  int
}

// Walk adds the commits reachable from tips and not from stops to the order, those
// that no earlier walk has added.
//
// Without stops it reads everything. With stops it goes back in time from both
// ends at once and ends when only excluded commits are left to look at, so that
// a range of one commit costs no more. Exclusion spreads to all known ancestors
// whenever it is met, whatever the order; a clock that was wrong by years can
// leave a commit wanted that is reachable from a stop: more is scanned, not less.
//
// Commits older than e.Since are as stops; of what is left, the e.Max newest are
// wanted. A graph with stops, Since or Max is of one walk.
func (g *Graph) Walk(ctx context.Context, tips, stops []plumbing.Hash, e scope.Ends) error {
	if g.Commits == nil {
		g.Commits, g.failed = map[plumbing.Hash]*Node{}, map[plumbing.Hash]struct{}{}
	}
	g.walks++
	w := &walk{Graph: g, since: e.Since, waiting: map[plumbing.Hash]struct{}{}}
	for _, s := range stops {
		if err := w.add(s, true); err != nil {
			return err
		}
	}
	for _, t := range tips {
		if err := w.add(t, false); err != nil {
			return err
		}
	}
	for w.wanted > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		id := heap.Pop(&w.queue).(scope.Queued).ID
		n := g.Commits[id]
		if !n.Excluded {
			w.wanted--
		}
		delete(w.waiting, id)
		for _, p := range n.Parents {
			if err := w.add(p, n.Excluded); err != nil {
				return err
			}
		}
	}
	order := w.sort()
	if e.Max > 0 && len(order) > e.Max {
		for _, id := range order[:len(order)-e.Max] {
			g.Commits[id].Excluded = true
		}
		order = w.sort()
	}
	g.Order = append(g.Order, order...)
	g.Cut = slices.DeleteFunc(g.Cut, func(id plumbing.Hash) bool { return g.Commits[id].Excluded })
	return nil
}

// walk is the state of one Walk.
type walk struct {
	*Graph
	since   int64
	queue   scope.Queue // latest first
	waiting map[plumbing.Hash]struct{}
	wanted  int             // commits in the queue that are not excluded
	fresh   []plumbing.Hash // what this walk has added
}

func (w *walk) add(id plumbing.Hash, excluded bool) error {
	if n := w.Commits[id]; n != nil {
		if excluded && !n.Excluded {
			w.exclude(id)
		}
		return nil
	}
	if _, told := w.failed[id]; told {
		return nil
	}
	c, err := w.Read(id)
	if err != nil {
		w.failed[id] = struct{}{}
		if excluded {
			return nil
		}
		return w.Failed(id, err)
	}
	if _, cut := w.Shallow[id]; cut {
		c.Parents = nil
		w.Cut = append(w.Cut, id)
	}
	excluded = excluded || c.Committed < w.since
	w.Commits[id] = &Node{Tree: c.Tree, Parents: c.Parents, Committed: c.Committed, Excluded: excluded, walk: w.walks}
	w.fresh = append(w.fresh, id)
	w.waiting[id] = struct{}{}
	heap.Push(&w.queue, scope.Queued{ID: id, When: c.Committed})
	if !excluded {
		w.wanted++
	}
	return nil
}

// exclude marks a known commit and its known ancestors.
func (w *walk) exclude(id plumbing.Hash) {
	stack := []plumbing.Hash{id}
	for len(stack) > 0 {
		n := w.Commits[stack[len(stack)-1]]
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == nil || n.Excluded {
			continue
		}
		n.Excluded = true
		if _, ok := w.waiting[id]; ok {
			w.wanted--
		}
		stack = append(stack, n.Parents...)
	}
}

// sort orders the wanted commits of this walk: parents first; among those whose
// parents are all done, the oldest first, then by id.
func (w *walk) sort() (order []plumbing.Hash) {
	left := map[plumbing.Hash]int{}
	children := map[plumbing.Hash][]plumbing.Hash{}
	bounds := map[plumbing.Hash]struct{}{}
	ready := scope.Queue{Oldest: true}
	for _, id := range w.fresh {
		n := w.Commits[id]
		if n.Excluded {
			continue
		}
		for _, p := range n.Parents {
			switch pn := w.Commits[p]; {
			case pn == nil:
			case pn.Excluded:
				bounds[p] = struct{}{}
			case pn.walk == n.walk:
				left[id]++
				children[p] = append(children[p], id)
			}
		}
		if left[id] == 0 {
			ready.Items = append(ready.Items, scope.Queued{ID: id, When: n.Committed})
		}
	}
	heap.Init(&ready)
	for ready.Len() > 0 {
		id := heap.Pop(&ready).(scope.Queued).ID
		order = append(order, id)
		for _, c := range children[id] {
			if left[c]--; left[c] == 0 {
				heap.Push(&ready, scope.Queued{ID: c, When: w.Commits[c].Committed})
			}
		}
	}
	w.Boundary = w.Boundary[:0]
	for b := range bounds {
		w.Boundary = append(w.Boundary, b)
	}
	slices.SortFunc(w.Boundary, scope.CompareHash)
	return order
}

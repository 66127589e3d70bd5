package sources

import (
	"container/heap"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// node is a commit of the graph.
type node struct {
	tree      plumbing.Hash
	parents   []plumbing.Hash
	committed int64
	excluded  bool
}

// graph is the commits of one walk, in its order.
type graph struct {
	commits  map[plumbing.Hash]*node
	order    []plumbing.Hash // wanted ones, parents before children
	boundary []plumbing.Hash // excluded parents of wanted ones
}

// graph reads the commits reachable from tips and not from stops.
//
// Without stops it reads everything. With stops it goes back in time from both
// ends at once and ends when only excluded commits are left to look at, so that
// a range of one commit costs no more. Exclusion spreads to all known ancestors
// whenever it is met, whatever the order; a clock that was wrong by years can
// leave a commit wanted that is reachable from a stop: more is scanned, not less.
//
// Commits older than the scope.Ends' since are as stops; of what is left, the scope.Ends' max
// newest are wanted.
func (h *history) graph(tips, stops []plumbing.Hash, e scope.Ends) (*graph, error) {
	g := &graph{commits: map[plumbing.Hash]*node{}}
	b := &graphBuilder{history: h, graph: g, since: e.Since}
	for _, s := range stops {
		if err := b.add(s, true); err != nil {
			return nil, err
		}
	}
	for _, t := range tips {
		if err := b.add(t, false); err != nil {
			return nil, err
		}
	}
	for b.wanted > 0 {
		if err := h.ctx.Err(); err != nil {
			return nil, err
		}
		id := heap.Pop(&b.queue).(scope.Queued).ID
		n := g.commits[id]
		if !n.excluded {
			b.wanted--
		}
		delete(b.waiting, id)
		for _, p := range n.parents {
			if err := b.add(p, n.excluded); err != nil {
				return nil, err
			}
		}
	}
	g.sort()
	if e.Max > 0 && len(g.order) > e.Max {
		for _, id := range g.order[:len(g.order)-e.Max] {
			g.commits[id].excluded = true
		}
		g.order, g.boundary = nil, nil
		g.sort()
	}
	return g, b.tellShallow()
}

type graphBuilder struct {
	*history
	*graph
	since   int64       // seconds since 1970
	queue   scope.Queue // latest first
	waiting map[plumbing.Hash]struct{}
	wanted  int // commits in the queue that are not excluded
	cut     []plumbing.Hash
	failed  map[plumbing.Hash]struct{}
}

func (b *graphBuilder) add(id plumbing.Hash, excluded bool) error {
	if b.waiting == nil {
		b.waiting, b.failed = map[plumbing.Hash]struct{}{}, map[plumbing.Hash]struct{}{}
	}
	if n := b.commits[id]; n != nil {
		if excluded && !n.excluded {
			b.exclude(id)
		}
		return nil
	}
	if _, told := b.failed[id]; told {
		return nil
	}
	var c gitrepo.Commit
	data, err := b.readCommit(id)
	if err == nil {
		c, err = gitrepo.ParseLinks(data)
	}
	if err != nil {
		b.failed[id] = struct{}{}
		if excluded {
			return nil
		}
		o := b.s.origin()
		o.Commit = id.String()
		return b.yield(Item{Origin: o, Size: -1, Skip: objectSkip(err)})
	}
	if _, cut := b.repo.Shallow[id]; cut {
		c.Parents = nil
		b.cut = append(b.cut, id)
	}
	excluded = excluded || c.Committed < b.since
	b.commits[id] = &node{tree: c.Tree, parents: c.Parents, committed: c.Committed, excluded: excluded}
	b.waiting[id] = struct{}{}
	heap.Push(&b.queue, scope.Queued{ID: id, When: c.Committed})
	if !excluded {
		b.wanted++
	}
	return nil
}

// exclude marks a known commit and its known ancestors.
func (b *graphBuilder) exclude(id plumbing.Hash) {
	stack := []plumbing.Hash{id}
	for len(stack) > 0 {
		n := b.commits[stack[len(stack)-1]]
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if n == nil || n.excluded {
			continue
		}
		n.excluded = true
		if _, ok := b.waiting[id]; ok {
			b.wanted--
		}
		stack = append(stack, n.parents...)
	}
}

// tellShallow yields one Skip for all wanted commits whose parents are cut off.
func (b *graphBuilder) tellShallow() error {
	cut := slices.DeleteFunc(b.cut, func(id plumbing.Hash) bool { return b.commits[id].excluded })
	if len(cut) == 0 {
		return nil
	}
	o := b.s.origin()
	o.Commit = cut[0].String()
	return b.yield(b.s.skip(o, SkipShallow, fmt.Errorf("history is cut off below %d commit(s) by a shallow clone; get the rest with: git fetch --unshallow", len(cut))))
}

// sort orders the wanted commits: parents first; among those whose parents are
// all done, the oldest first, then by id.
func (g *graph) sort() {
	left := map[plumbing.Hash]int{}
	children := map[plumbing.Hash][]plumbing.Hash{}
	bounds := map[plumbing.Hash]struct{}{}
	ready := scope.Queue{Oldest: true}
	for id, n := range g.commits {
		if n.excluded {
			continue
		}
		for _, p := range n.parents {
			switch pn := g.commits[p]; {
			case pn == nil:
			case pn.excluded:
				bounds[p] = struct{}{}
			default:
				left[id]++
				children[p] = append(children[p], id)
			}
		}
		if left[id] == 0 {
			ready.Items = append(ready.Items, scope.Queued{ID: id, When: n.committed})
		}
	}
	heap.Init(&ready)
	for ready.Len() > 0 {
		id := heap.Pop(&ready).(scope.Queued).ID
		g.order = append(g.order, id)
		for _, c := range children[id] {
			if left[c]--; left[c] == 0 {
				heap.Push(&ready, scope.Queued{ID: c, When: g.commits[c].committed})
			}
		}
	}
	for b := range bounds {
		g.boundary = append(g.boundary, b)
	}
	slices.SortFunc(g.boundary, scope.CompareHash)
}

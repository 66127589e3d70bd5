package graph_test

import (
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/graph"
	"github.com/quench-dev/quench/sources/internal/scope"
)

func id(n int) (h plumbing.Hash) {
	binary.BigEndian.PutUint32(h[:], uint32(n+1))
	return h
}

// drawCommits makes a history: each commit's parents are earlier ones; clocks go
// wrong.
func drawCommits(t *rapid.T) map[plumbing.Hash]gitrepo.Commit {
	commits := map[plumbing.Hash]gitrepo.Commit{}
	for n := range rapid.IntRange(1, 30).Draw(t, "commits") {
		c := gitrepo.Commit{Tree: id(n), Committed: int64(rapid.IntRange(0, 50).Draw(t, "when"))}
		for range rapid.IntRange(0, min(n, 3)).Draw(t, "parents") {
			if p := id(rapid.IntRange(0, n-1).Draw(t, "parent")); !slices.Contains(c.Parents, p) {
				c.Parents = append(c.Parents, p)
			}
		}
		commits[id(n)] = c
	}
	return commits
}

func reach(commits map[plumbing.Hash]gitrepo.Commit, tips []plumbing.Hash) map[plumbing.Hash]bool {
	seen := map[plumbing.Hash]bool{}
	for stack := slices.Clone(tips); len(stack) > 0; {
		h := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !seen[h] {
			seen[h] = true
			stack = append(stack, commits[h].Parents...)
		}
	}
	return seen
}

var errNone = errors.New("no such commit")

func newGraph(t *rapid.T, commits map[plumbing.Hash]gitrepo.Commit) *graph.Graph {
	return &graph.Graph{
		Read: func(h plumbing.Hash) (gitrepo.Commit, error) {
			c, ok := commits[h]
			if !ok {
				return c, errNone
			}
			return c, nil
		},
		Failed: func(h plumbing.Hash, err error) error {
			t.Errorf("%s: %v", h, err)
			return nil
		},
	}
}

// Several walks give each reachable commit once, what the earlier tips reach
// first, parents before children throughout.
func TestWalks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commits := drawCommits(t)
		g := newGraph(t, commits)
		var tips []plumbing.Hash
		for range rapid.IntRange(1, 4).Draw(t, "walks") {
			var more []plumbing.Hash
			for range rapid.IntRange(0, 3).Draw(t, "tips") {
				more = append(more, id(rapid.IntRange(0, len(commits)-1).Draw(t, "tip")))
			}
			if err := g.Walk(t.Context(), more, nil, scope.Ends{Since: -1 << 62}); err != nil {
				t.Fatal(err)
			}
			tips = append(tips, more...)
			if want := reach(commits, tips); len(want) != len(g.Order) {
				t.Fatalf("%d commits in order, %d are reachable", len(g.Order), len(want))
			}
		}
		at := map[plumbing.Hash]int{}
		for i, h := range g.Order {
			for _, p := range commits[h].Parents {
				if _, ok := at[p]; !ok {
					t.Fatalf("%s comes before its parent", h)
				}
			}
			if _, twice := at[h]; twice {
				t.Fatalf("%s comes twice", h)
			}
			at[h] = i
		}
	})
}

// With stops, nothing is left out that they do not reach; with honest clocks,
// nothing they reach is left in.
func TestStops(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commits := drawCommits(t)
		honest := rapid.Bool().Draw(t, "honest")
		if honest {
			for n := range len(commits) {
				c := commits[id(n)]
				c.Committed = int64(n)
				commits[id(n)] = c
			}
		}
		tip, stop := id(rapid.IntRange(0, len(commits)-1).Draw(t, "tip")), id(rapid.IntRange(0, len(commits)-1).Draw(t, "stop"))
		g := newGraph(t, commits)
		if err := g.Walk(t.Context(), []plumbing.Hash{tip}, []plumbing.Hash{stop}, scope.Ends{Since: -1 << 62}); err != nil {
			t.Fatal(err)
		}
		in, out := reach(commits, []plumbing.Hash{tip}), reach(commits, []plumbing.Hash{stop})
		got := map[plumbing.Hash]bool{}
		for _, h := range g.Order {
			got[h] = true
		}
		for h := range in {
			if !got[h] && !out[h] {
				t.Fatalf("%s is left out", h)
			}
			if honest && got[h] && out[h] {
				t.Fatalf("%s is left in", h)
			}
		}
	})
}

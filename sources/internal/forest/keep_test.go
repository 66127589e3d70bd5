package forest_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/pack"
)

// all gives what a tree holds, by its chunks.
func all(f *forest.Forest, id pack.ID) (data []byte, ok bool) {
	chunks, ok := f.Tree(id)
	for _, c := range chunks {
		for _, e := range f.Chunk(c) {
			data = append(data, f.Entry(e)...)
		}
	}
	return data, ok
}

// A forest of which a part was kept, and the rest visited after, is the forest of all.
func TestRestore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var trees [][]byte
		for range rapid.IntRange(1, 12).Draw(t, "trees") {
			var data []byte
			for i, o := range rapid.SliceOfN(rapid.IntRange(0, 9), 0, 60).Draw(t, "files") {
				data = append(data, entry(i, o)...)
			}
			trees = append(trees, data)
		}
		first := rapid.IntRange(0, len(trees)).Draw(t, "kept")
		old, f := forest.New(), forest.New()
		for n, data := range trees[:first] {
			old.Visit(treeID(n), &pack.Visit{Kind: pack.Tree, Data: data})
		}
		if rapid.Bool().Draw(t, "settled") {
			old.Settle()
		}
		if err := f.Restore(old.Trees()); err != nil {
			t.Fatal(err)
		}
		if f.Len() != first || !f.Whole() {
			t.Fatalf("%d trees of %d", f.Len(), first)
		}
		for n, data := range trees[first:] {
			if f.Has(treeID(first + n)) {
				t.Fatal("it has what was not visited")
			}
			f.Visit(treeID(first+n), &pack.Visit{Kind: pack.Tree, Data: data})
		}
		seen := map[string]bool{}
		for n, data := range trees {
			if got, ok := all(f, treeID(n)); !ok || !bytes.Equal(got, data) {
				t.Fatalf("tree %d of %d, %d of them kept, differs", n, len(trees), first)
			}
			entries, _ := f.NewEntries(treeID(n), never)
			for e := range entries {
				if seen[string(e)] || !bytes.Contains(data, e) {
					t.Fatalf("%q is given twice, or is of another tree", e)
				}
				seen[string(e)] = true
			}
		}
	})
}

// Whatever the bytes, they are refused, or make a forest all of whose trees can be
// read and that gives the same bytes again.
func FuzzRestore(f *testing.F) {
	g := forest.New()
	for n := range 3 {
		g.Visit(treeID(n), &pack.Visit{Kind: pack.Tree, Data: slices.Concat(entry(1, 1), entry(2, n))})
	}
	f.Add(g.Trees())
	f.Add(forest.New().Trees())
	f.Fuzz(func(t *testing.T, data []byte) {
		f := forest.New()
		if f.Restore(data) != nil {
			if f.Len() > 0 {
				t.Fatal("what was refused is there")
			}
			return
		}
		for n := range 3 {
			all(f, treeID(n))
		}
		f.Visit(treeID(9), &pack.Visit{Kind: pack.Tree, Data: entry(1, 1)})
		again := forest.New()
		if err := again.Restore(f.Trees()); err != nil || again.Len() != f.Len() {
			t.Fatalf("%d trees, then %d: %v", f.Len(), again.Len(), err)
		}
	})
}

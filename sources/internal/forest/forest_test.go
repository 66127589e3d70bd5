package forest_test

import (
	"bytes"
	"crypto/sha1"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/pack"
)

func never([]byte) bool { return false }

// entry is one of a tree: its name and what its object is named after.
func entry(name, object int) []byte {
	id := sha1.Sum(fmt.Append(nil, object))
	return append(fmt.Appendf(nil, "100644 f%d\x00", name), id[:]...)
}

func treeID(n int) pack.ID { return pack.ID(sha1.Sum(fmt.Append(nil, "tree ", n))) }

// copiesOf are stretches that data has from base, wherever they begin and end.
func copiesOf(t *rapid.T, base, data []byte) (copies []pack.Copy) {
	at := 0
	for at < len(data) {
		src := rapid.IntRange(0, len(base)).Draw(t, "src")
		if i := bytes.Index(base, data[at:min(len(data), at+9)]); i >= 0 {
			src = i
		}
		n := 0
		for src+n < len(base) && at+n < len(data) && base[src+n] == data[at+n] {
			n++
		}
		n = min(n, rapid.IntRange(1, 200).Draw(t, "len"))
		if n > 0 {
			copies = append(copies, pack.Copy{Dst: at, Src: src, Len: n})
		}
		at += n + rapid.IntRange(0, 30).Draw(t, "gap")
	}
	return copies
}

// Over versions of a tree, each made of the one before, a call gives the entries
// that no earlier call gave, each once and in order.
func TestNewEntries(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := forest.New()
		var versions [][][]byte
		var state any
		var base []byte
		files := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 60).Draw(t, "files")
		for n := range rapid.IntRange(1, 8).Draw(t, "versions") {
			i := rapid.IntRange(0, len(files)-1).Draw(t, "changed")
			switch rapid.IntRange(0, 3).Draw(t, "how") {
			case 0:
				files = slices.Insert(slices.Clone(files), i, 7)
			case 1:
				files[i] += 10
			case 2:
				files = slices.Delete(slices.Clone(files), i, i+1)
				if len(files) == 0 {
					files = []int{1}
				}
			}
			var entries [][]byte
			for i, o := range files {
				entries = append(entries, entry(i, o))
			}
			data := bytes.Join(entries, nil)
			v := &pack.Visit{Kind: pack.Tree, Data: data, Leaf: rapid.Bool().Draw(t, "leaf")}
			if state != nil {
				v.Base, v.BaseLen, v.Copies = state, len(base), copiesOf(t, base, data)
			}
			state, base = f.Visit(treeID(n), v), data
			versions = append(versions, entries)
		}
		seen := map[string]bool{}
		for _, n := range rapid.Permutation(indexes(len(versions))).Draw(t, "order") {
			var want, got []string
			for _, e := range versions[n] {
				if !seen[string(e)] {
					seen[string(e)] = true
					want = append(want, string(e))
				}
			}
			entries, ok := f.NewEntries(treeID(n), never)
			if !ok {
				t.Fatalf("version %d is not kept", n)
			}
			for e := range entries {
				got = append(got, string(e))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("version %d: got %q, want %q", n, got, want)
			}
		}
	})
}

func indexes(n int) (out []int) {
	for i := range n {
		out = append(out, i)
	}
	return out
}

// What is to be given again is; an entry that was not given to the end is too.
func TestAgain(t *testing.T) {
	f := forest.New()
	data := slices.Concat(entry(1, 1), entry(2, 2))
	f.Visit(treeID(1), &pack.Visit{Kind: pack.Tree, Data: data})
	count := func(again func([]byte) bool, stop int) (n int) {
		entries, _ := f.NewEntries(treeID(1), again)
		for range entries {
			if n++; n == stop {
				break
			}
		}
		return n
	}
	first := func(e []byte) bool { return bytes.Equal(e, entry(1, 1)) }
	for _, c := range []struct {
		stop, want int
	}{{1, 1}, {0, 2}, {0, 1}} {
		if got := count(first, c.stop); got != c.want {
			t.Errorf("got %d entries, want %d", got, c.want)
		}
	}
}

// A malformed tree is not kept, and gives nothing to those made of it.
func TestMalformed(t *testing.T) {
	whole := entry(1, 1)
	for _, data := range [][]byte{
		whole[:len(whole)-1], []byte("x"), []byte("100644"), []byte("100844 f\x0012345678901234567890"),
		[]byte("100644 \x0012345678901234567890"), []byte("12345678 f\x0012345678901234567890"),
	} {
		f := forest.New()
		if s := f.Visit(treeID(1), &pack.Visit{Kind: pack.Tree, Data: data}); s != nil {
			t.Errorf("%q gives %v", data, s)
		}
		if _, ok := f.NewEntries(treeID(1), never); ok {
			t.Errorf("%q is kept", data)
		}
	}
	f := forest.New()
	f.Visit(treeID(1), &pack.Visit{Kind: pack.Tree})
	if _, ok := f.NewEntries(treeID(1), never); !ok {
		t.Error("the empty tree is not kept")
	}
}

func TestCommit(t *testing.T) {
	f := forest.New()
	f.Visit(treeID(1), &pack.Visit{Kind: pack.Commit, Data: []byte("tree")})
	if data, ok := f.Commit(treeID(1)); !ok || string(data) != "tree" {
		t.Errorf("got %q", data)
	}
	if _, ok := f.Commit(treeID(2)); ok {
		t.Error("a commit that was never visited is there")
	}
}

// Whatever a tree and its base hold, and whatever copies are told, the entries are
// those of the tree read alone, or it is not kept.
func FuzzTree(f *testing.F) {
	two := slices.Concat(entry(1, 1), entry(2, 2))
	f.Add(two, slices.Concat(entry(0, 0), two), 0, 30, len(two))
	f.Fuzz(func(t *testing.T, base, data []byte, src, dst, n int) {
		alone := forest.New()
		alone.Visit(treeID(1), &pack.Visit{Kind: pack.Tree, Data: data})
		v := &pack.Visit{Kind: pack.Tree, Data: data}
		made := forest.New()
		v.Base = made.Visit(treeID(0), &pack.Visit{Kind: pack.Tree, Data: base})
		if src >= 0 && dst >= 0 && n > 0 && src <= len(base)-n && dst <= len(data)-n && bytes.Equal(base[src:src+n], data[dst:dst+n]) {
			v.Copies = []pack.Copy{{Dst: dst, Src: src, Len: n}}
		}
		made.Visit(treeID(1), v)
		want, ok1 := alone.NewEntries(treeID(1), never)
		got, ok2 := made.NewEntries(treeID(1), never)
		if ok1 != ok2 {
			t.Fatalf("kept alone: %v; with a base: %v", ok1, ok2)
		}
		if ok1 && !slices.EqualFunc(slices.Collect(want), slices.Collect(got), bytes.Equal) {
			t.Fatal("the entries differ")
		}
	})
}

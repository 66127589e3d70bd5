package attrib_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources/internal/attrib"
	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/graph"
	"github.com/quench-dev/quench/sources/internal/pack"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// files is a commit's content by path.
type files map[string]string

func blobID(text string) plumbing.Hash {
	return plumbing.ComputeHash(plumbing.BlobObject, []byte(text))
}

// repo is a history in memory.
type repo struct {
	trees   map[plumbing.Hash][]byte
	commits map[plumbing.Hash]gitrepo.Commit
	content map[plumbing.Hash]files
	order   []plumbing.Hash
}

func newRepo() *repo {
	return &repo{map[plumbing.Hash][]byte{}, map[plumbing.Hash]gitrepo.Commit{}, map[plumbing.Hash]files{}, nil}
}

func (r *repo) tree(fs files) plumbing.Hash {
	subs := map[string]files{}
	type entry struct{ sort, text string }
	var entries []entry
	for name, text := range fs {
		if dir, rest, deep := strings.Cut(name, "/"); deep {
			if subs[dir] == nil {
				subs[dir] = files{}
			}
			subs[dir][rest] = text
			continue
		}
		id := blobID(text)
		entries = append(entries, entry{name, "100644 " + name + "\x00" + string(id[:])})
	}
	for dir, fs := range subs {
		id := r.tree(fs)
		entries = append(entries, entry{dir + "/", "40000 " + dir + "\x00" + string(id[:])})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.sort, b.sort) })
	var data []byte
	for _, e := range entries {
		data = append(data, e.text...)
	}
	id := plumbing.ComputeHash(plumbing.TreeObject, data)
	r.trees[id] = data
	return id
}

// commit adds one; parents are places in the order.
func (r *repo) commit(fs files, parents ...int) plumbing.Hash {
	c := gitrepo.Commit{Tree: r.tree(fs), Committed: int64(len(r.order))}
	for _, p := range parents {
		c.Parents = append(c.Parents, r.order[p])
	}
	id := plumbing.ComputeHash(plumbing.CommitObject, fmt.Append(nil, len(r.order), c))
	r.commits[id], r.content[id] = c, fs
	r.order = append(r.order, id)
	return id
}

func (r *repo) history(t interface {
	Fatal(...any)
}) *attrib.History {
	g := &graph.Graph{
		Read:   func(id plumbing.Hash) (gitrepo.Commit, error) { return r.commits[id], nil },
		Failed: func(_ plumbing.Hash, err error) error { return err },
	}
	if err := g.Walk(ctx, r.order, nil, scope.Ends{Since: -1 << 62}); err != nil {
		t.Fatal(err)
	}
	h := attrib.New(g)
	h.Tree = func(id plumbing.Hash) ([]byte, error) {
		if data, ok := r.trees[id]; ok {
			return data, nil
		}
		return nil, errors.New("no such tree")
	}
	h.Peel = func(id plumbing.Hash) (plumbing.ObjectType, plumbing.Hash, error) {
		if _, ok := r.trees[id]; ok {
			return plumbing.TreeObject, id, nil
		}
		return plumbing.BlobObject, id, nil
	}
	return h
}

// reach gives the content of all commits reachable from one.
func (r *repo) reach(tip plumbing.Hash) (out []files) {
	seen := map[plumbing.Hash]bool{}
	for stack := []plumbing.Hash{tip}; len(stack) > 0; {
		id := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if !seen[id] {
			seen[id] = true
			out = append(out, r.content[id])
			stack = append(stack, r.commits[id].Parents...)
		}
	}
	return out
}

var ctx = context.Background()

// Refs are those from which a commit that holds a blob is reachable, with a forest of
// all trees, of some, and with none.
func TestRefs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := newRepo()
		names := []string{"a", "b", "d/a", "d/e/a", "d/e/b", "f/a"}
		for n := range rapid.IntRange(1, 12).Draw(t, "commits") {
			fs := files{}
			var parents []int
			for range rapid.IntRange(0, min(n, 2)).Draw(t, "parents") {
				p := rapid.IntRange(0, n-1).Draw(t, "parent")
				if !slices.Contains(parents, p) {
					parents = append(parents, p)
				}
			}
			for _, name := range names {
				if v := rapid.IntRange(-3, 4).Draw(t, "version"); v >= 0 {
					fs[name] = fmt.Sprint("v", v)
				}
			}
			r.commit(fs, parents...)
		}
		h := r.history(t)
		switch rapid.IntRange(0, 2).Draw(t, "forest") {
		case 0:
			h.Near = true
		case 1:
			h.Forest = forest.New()
			for id, data := range r.trees {
				if rapid.IntRange(0, 3).Draw(t, "kept") > 0 {
					h.Forest.Visit(pack.ID(id), &pack.Visit{Kind: pack.Tree, Data: data})
				}
			}
		}
		var tips []gitrepo.Tip
		for i, id := range r.order {
			if rapid.Bool().Draw(t, "tip") {
				tips = append(tips, gitrepo.Tip{Name: fmt.Sprint("r", i), ID: id})
			}
		}
		if !h.Near {
			tips = append(tips, gitrepo.Tip{Name: "tree", ID: r.commits[r.order[0]].Tree},
				gitrepo.Tip{Name: "blob", ID: blobID("v1")})
		}
		var leaks []attrib.Leak
		var text []string
		for i := range rapid.IntRange(1, 140).Draw(t, "leaks") { // more than two words of bits
			v := fmt.Sprint("v", rapid.IntRange(0, 5).Draw(t, "leaked"))
			l := attrib.Leak{Secret: i, Path: rapid.SampledFrom(names).Draw(t, "path"), Blobs: []plumbing.Hash{blobID(v)}}
			leaks, text = append(leaks, l), append(text, v)
		}
		places, err := h.Attribute(ctx, leaks, tips)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range places {
			var want []string
			for _, tip := range tips {
				reached := r.reach(tip.ID)
				if tip.Name == "tree" {
					reached = []files{r.content[r.order[0]]}
				}
				held := tip.Name == "blob" && text[i] == "v1"
				for _, fs := range reached {
					for name, v := range fs {
						held = held || v == text[i] && (!h.Near || slices.ContainsFunc(leaks, func(l attrib.Leak) bool { return strings.HasPrefix(l.Path, name[:strings.LastIndexByte(name, '/')+1]) }))
					}
				}
				if held {
					want = append(want, tip.Name)
				}
			}
			if d := cmp.Diff(want, p.Refs); d != "" || p.RefCount != len(want) {
				t.Fatalf("%s (%d): %s", text[i], p.RefCount, d)
			}
		}
	})
}

// A message is held by the refs that reach its commit.
func TestMessages(t *testing.T) {
	r := newRepo()
	one := r.commit(files{"a": "1"})
	two := r.commit(files{"a": "1"}, 0)
	other := r.commit(files{"b": "1"})
	tips := []gitrepo.Tip{{Name: "one", ID: one}, {Name: "two", ID: two}, {Name: "other", ID: other}}
	places, err := r.history(t).Attribute(ctx, []attrib.Leak{{Commits: []plumbing.Hash{two}}, {Secret: 1, Commits: []plumbing.Hash{one}}}, tips)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([][]string{{"two"}, {"one", "two"}}, [][]string{places[0].Refs, places[1].Refs}); d != "" {
		t.Error(d)
	}
}

func TestManyRefs(t *testing.T) {
	r := newRepo()
	id := r.commit(files{"a": "1"})
	tips := make([]gitrepo.Tip, 3*attrib.MaxRefs)
	for i := range tips {
		tips[i] = gitrepo.Tip{Name: fmt.Sprint(i), ID: id}
	}
	places, err := r.history(t).Attribute(ctx, []attrib.Leak{{Blobs: []plumbing.Hash{blobID("1")}}}, tips)
	if err != nil {
		t.Fatal(err)
	}
	if p := places[0]; len(p.Refs) != attrib.MaxRefs || p.RefCount != len(tips) || p.Refs[0] != "0" {
		t.Errorf("%d refs told of %d", len(p.Refs), p.RefCount)
	}
}

// A secret that a commit takes from one path to another is one leak; one that is
// added while the first stays is another.
func TestMoves(t *testing.T) {
	type step struct {
		fs      files
		parents []int
	}
	leak := func(path string, first int, blobs ...string) (l attrib.Leak) {
		l.Path = path
		for _, b := range blobs {
			l.Blobs = append(l.Blobs, blobID(b))
		}
		l.First = plumbing.Hash{byte(first)}
		return l
	}
	for name, c := range map[string]struct {
		steps []step
		leaks []attrib.Leak // First is the number of the step
		want  []int
	}{
		"renamed and changed": {
			[]step{{files{"a": "s1"}, nil}, {files{"d/b": "s2"}, []int{0}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("d/b", 1, "s2")}, []int{0, 0},
		},
		"renamed, then changed": {
			[]step{{files{"a": "s1"}, nil}, {files{"b": "s1"}, []int{0}}, {files{"b": "s2"}, []int{1}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 2, "s2")}, []int{0, 0},
		},
		"renamed twice": {
			[]step{{files{"a": "s1"}, nil}, {files{"x/b": "s1"}, []int{0}}, {files{"c": "s2"}, []int{1}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("c", 2, "s2")}, []int{0, 0},
		},
		"a chain": {
			[]step{{files{"a": "s1"}, nil}, {files{"b": "s2"}, []int{0}}, {files{"c": "s3"}, []int{1}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 1, "s2"), leak("c", 2, "s3")}, []int{0, 0, 0},
		},
		"moved to another file": {
			[]step{{files{"a": "s1", "b": "x"}, nil}, {files{"a": "y", "b": "s2"}, []int{0}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 1, "s2")}, []int{0, 0},
		},
		"copied and changed": {
			[]step{{files{"a": "s1"}, nil}, {files{"a": "s1", "b": "s2"}, []int{0}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 1, "s2")}, []int{0, 1},
		},
		"deleted, and back elsewhere later": {
			[]step{{files{"a": "s1", "k": "k"}, nil}, {files{"k": "k"}, []int{0}}, {files{"b": "s2", "k": "k"}, []int{1}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 2, "s2")}, []int{0, 1},
		},
		"in a merge": {
			[]step{{files{"a": "s1"}, nil}, {files{"k": "k"}, nil}, {files{"b": "s2", "k": "k"}, []int{1, 0}}},
			[]attrib.Leak{leak("a", 0, "s1"), leak("b", 2, "s2")}, []int{0, 0},
		},
		"without a path": {
			[]step{{files{"a": "s1"}, nil}},
			[]attrib.Leak{leak("", 9, "s0"), leak("a", 0, "s1")}, []int{1, 1},
		},
		"a folder renamed": {
			[]step{{files{"old/a": "s1", "old/b": "s2", "k": "k"}, nil}, {files{"new/a": "s3", "new/b": "s4", "k": "k"}, []int{0}}},
			[]attrib.Leak{leak("old/a", 0, "s1"), leak("new/a", 1, "s3")}, []int{0, 0},
		},
	} {
		r := newRepo()
		for _, s := range c.steps {
			r.commit(s.fs, s.parents...)
		}
		for i := range c.leaks {
			if n := int(c.leaks[i].First[0]); n < len(r.order) {
				c.leaks[i].First = r.order[n]
			}
		}
		for _, how := range []string{"trees", "forest", "part of a forest"} {
			h := r.history(t)
			if how != "trees" {
				h.Forest = forest.New()
				n := 0
				for id, data := range r.trees {
					if n++; how == "forest" || n%2 == 0 {
						h.Forest.Visit(pack.ID(id), &pack.Visit{Kind: pack.Tree, Data: data})
					}
				}
			}
			places, err := h.Attribute(ctx, c.leaks, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []int
			for _, p := range places {
				got = append(got, p.Of)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("%s, by %s: got %v, want %v", name, how, got, c.want)
			}
		}
	}
}

// Chunks give back what the trees hold.
func TestForestRead(t *testing.T) {
	r := newRepo()
	fs := files{}
	for i := range 100 {
		fs[fmt.Sprintf("f%02d", i)] = "x"
	}
	id := r.tree(fs)
	f := forest.New()
	f.Visit(pack.ID(id), &pack.Visit{Kind: pack.Tree, Data: r.trees[id]})
	f.Settle()
	chunks, ok := f.Tree(pack.ID(id))
	var got []byte
	for _, c := range chunks {
		for _, e := range f.Chunk(c) {
			got = append(got, f.Entry(e)...)
		}
	}
	if !ok || !bytes.Equal(got, r.trees[id]) {
		t.Error("the tree differs")
	}
}

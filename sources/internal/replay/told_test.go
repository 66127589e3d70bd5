package replay_test

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/replay"
)

// know walks as a scan does that keeps told, and gives what it knew before; lost says
// that the walk could not read something that was wanted.
func (r repo) know(n notebook, rules, root, told string, lost bool) (known string) {
	r.t.Helper()
	l, err := gitrepo.Find(r.dir, false)
	if err != nil {
		r.t.Fatal(err)
	}
	g, err := gitrepo.Open(l, 0)
	if err != nil {
		r.t.Fatal(err)
	}
	defer g.Objects.Close()
	p := replay.Open(n, "walk", g)
	p.Known = &replay.Known{Name: rules, Use: func(b []byte, _ func(item.Item) func(context.Context) (io.ReadCloser, error)) (item.Counts, bool) {
		known = string(b)
		return item.Counts{Refs: 3}, true
	}}
	var counts item.Counts
	yield := func(item.Item) error { return nil }
	done, err := p.Items(r.t.Context(), root, nil, nil, func(c item.Counts) { counts = c }, yield)
	if err != nil || known != "" && (!done || counts.Refs != 3) {
		r.t.Fatalf("%v, counted %+v: %v", done, counts, err)
	}
	if !done {
		it := item.Item{Object: item.ObjectID{1}}
		if lost {
			it.Skip = &item.Skip{Reason: item.SkipUnreadable}
		}
		if err := p.Recording(yield)(it); err != nil {
			r.t.Fatal(err)
		}
		p.Keep(item.Counts{Refs: 1})
	}
	if known == "" {
		p.Known.Keep([]byte(told))
	}
	p.Save()
	return known
}

// What is known is known again while the repository is as it was, by its name and for
// one target alone; it is sealed, and lost where it is damaged or the repository has
// changed.
func TestKnown(t *testing.T) {
	r, n := newRepo(t), notebook{}
	r.commit("a", "1")
	step := func(what, rules, root, told, want string) {
		t.Helper()
		if got := r.know(n, rules, root, told, false); got != want {
			t.Errorf("%s: known is %q, want %q", what, got, want)
		}
	}
	step("first", "r", "/x", "hunter2 in a", "")
	step("again", "r", "/x", "", "hunter2 in a")
	step("with other rules", "s", "/x", "other", "")
	step("by another name", "r", "/y", "another", "")
	step("once more", "r", "/x", "", "hunter2 in a")
	for _, b := range n {
		if bytes.Contains(b, []byte("hunter2")) {
			t.Error("what is known lies there in clear")
		}
	}
	before := notebook{}
	for name, b := range n {
		before[name] = bytes.Clone(b)
	}
	r.commit("b", "2")
	step("grown", "r", "/x", "hunter2 in a, b", "")
	step("grown, again", "r", "/x", "", "hunter2 in a, b")
	r.git("reset", "-q", "--hard", "HEAD~1")
	step("cut", "r", "/x", "cut", "")

	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "-q", "--prune=now")
	for name, b := range before {
		n[name] = b
	}
	step("of a state before", "r", "/x", "now", "")
	for at := range 60 { // past the head and into what is sealed
		for name, b := range n {
			if bytes.HasPrefix(b, []byte("told\n")) {
				n[name] = bytes.Clone(b)
				n[name][at] ^= 4
			}
		}
		step("damaged", "r", "/x", "now", "")
	}
	step("mended", "r", "/x", "", "now")
}

// Nothing is kept of a walk that is not.
func TestNotKnown(t *testing.T) {
	r, n := newRepo(t), notebook{}
	r.commit("a", "1")
	for range 2 {
		if got := r.know(n, "r", "/x", "told", true); got != "" {
			t.Errorf("known is %q, of a walk that lacked something", got)
		}
	}
}

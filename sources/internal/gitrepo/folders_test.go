package gitrepo_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// Removed is what git diff says was deleted, against any parent.
func TestRemoved(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	write := func(name string) {
		p := filepath.Join(dir, filepath.FromSlash(name))
		os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "keep", "d/b", "d/e/c", "f/only"} {
		write(name)
	}
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "-m", "1")
	run(t, dir, "rm", "-q", "-r", "a", "d/e", "f")
	write("f") // a file where a folder was
	write("d/new")
	run(t, dir, "add", "-A")
	run(t, dir, "commit", "-q", "-m", "2")
	r := open(t, dir)
	var f gitrepo.Folders
	if d := cmp.Diff([]string{"a", "d/e/c", "f/only"}, f.Removed(r, r.Head, "x")); d != "" {
		t.Error(d)
	}
	first := plumbing.NewHash(run(t, dir, "rev-parse", "HEAD~1"))
	if got := f.Removed(r, first, "x"); len(got) > 0 {
		t.Errorf("the first commit removed %v", got)
	}
	c, err := r.Commit(first)
	if err != nil {
		t.Fatal(err)
	}
	if id, ok := f.Find(r.Objects, c.Tree, "d/e/c"); !ok || id.String() != run(t, dir, "rev-parse", "HEAD~1:d/e/c") {
		t.Errorf("d/e/c is %s, %v", id, ok)
	}
	if _, ok := f.Find(r.Objects, c.Tree, "d/none"); ok {
		t.Error("what is not there is found")
	}
}

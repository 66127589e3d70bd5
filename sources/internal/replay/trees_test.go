package replay_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/replay"
)

// notebook is a Memory in memory.
type notebook map[string][]byte

func (n notebook) Load(name string) ([]byte, bool) { b, ok := n[name]; return b, ok }
func (n notebook) Save(name string, b []byte)      { n[name] = bytes.Clone(b) }

// only gives its one file.
func (n notebook) only(t *testing.T) []byte {
	t.Helper()
	if len(n) != 1 {
		t.Fatalf("%d files are kept", len(n))
	}
	for _, b := range n {
		return b
	}
	return nil
}

type repo struct {
	t   *testing.T
	dir string
}

func newRepo(t *testing.T) repo {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := repo{t, t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r repo) git(args ...string) {
	r.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (r repo) commit(name, text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.dir, name), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.git("add", "-A")
	r.git("commit", "-q", "-m", "adds "+name)
}

// scan makes the forest as a scan does, and gives how many trees it has.
func (r repo) scan(n notebook) int {
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
	f, err := p.Forest(context.Background(), g.Objects, 2)
	if err != nil {
		r.t.Fatal(err)
	}
	f.Settle()
	p.Hold(f)
	p.Save()
	return f.Len()
}

// damageTrees makes the trees in packs unreadable.
func (r repo) damageTrees() {
	packs, err := filepath.Glob(filepath.Join(r.dir, ".git", "objects", "pack", "*.pack"))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, pack := range packs {
		out, err := exec.Command("git", "verify-pack", "-v", pack).Output()
		if err != nil {
			r.t.Fatal(err)
		}
		data, err := os.ReadFile(pack)
		if err != nil {
			r.t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			var id, kind string
			var size, stored, at int
			if n, _ := fmt.Sscan(line, &id, &kind, &size, &stored, &at); n == 5 && kind == "tree" {
				data[at+stored-3] ^= 4
			}
		}
		if err := os.Chmod(pack, 0o600); err != nil {
			r.t.Fatal(err)
		}
		if err := os.WriteFile(pack, data, 0o600); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Trees are kept sealed, once, and those of a repository that grew are used: a tree
// that is kept is not read again.
func TestTreesAreKept(t *testing.T) {
	r, n := newRepo(t), notebook{}
	r.commit("one-name", "1")
	r.git("repack", "-q", "-d")
	if got := r.scan(n); got != 1 {
		t.Fatalf("%d trees", got)
	}
	first := bytes.Clone(n.only(t))
	if bytes.Contains(first, []byte("one-name")) {
		t.Error("a name lies there in clear")
	}
	r.scan(n)
	if !bytes.Equal(first, n.only(t)) {
		t.Error("what has not changed is written again")
	}
	r.commit("another", "2")
	r.git("repack", "-q", "-d")
	if got := r.scan(n); got != 2 {
		t.Fatalf("%d trees of the grown repository", got)
	}
	grown := bytes.Clone(n.only(t))
	if bytes.Equal(first, grown) {
		t.Error("what is new is not kept")
	}

	for at := range min(60, len(grown)) { // past the head and into what is sealed
		bad := bytes.Clone(grown)
		bad[at] ^= 4
		for name := range n {
			n[name] = bad
		}
		if got := r.scan(n); got != 2 {
			t.Fatalf("%d trees with byte %d damaged", got, at)
		}
		if bytes.Equal(n.only(t), bad) {
			t.Fatalf("byte %d damaged: it stays as it is", at)
		}
	}
	r.damageTrees()
	if got := r.scan(n); got != 2 {
		t.Errorf("%d trees: what is kept was read again", got)
	}
	if got := r.scan(notebook{}); got != 0 {
		t.Errorf("%d trees can be read", got)
	}
}

// For one tree more, what is kept of many is not written again.
func TestFewNewTrees(t *testing.T) {
	r, n := newRepo(t), notebook{}
	for i := range 60 {
		if err := os.Mkdir(filepath.Join(r.dir, fmt.Sprint(i)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(r.dir, fmt.Sprint(i), "file"), []byte{byte(i)}, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.commit("first", "1")
	r.git("repack", "-q", "-d")
	if got := r.scan(n); got != 61 {
		t.Fatalf("%d trees", got)
	}
	first := bytes.Clone(n.only(t))
	for i, same := range []bool{true, false} {
		r.commit(fmt.Sprint("more", i), "2")
		r.git("repack", "-q", "-d")
		if got := r.scan(n); got != 62+i {
			t.Fatalf("%d trees, and %d are new", got, i+1)
		}
		if bytes.Equal(first, n.only(t)) != same {
			t.Errorf("with %d new trees, it stays as it was: %v", i+1, !same)
		}
	}
}

// Once a commit is purged, what was kept cannot be opened, and is replaced.
func TestPurgedTrees(t *testing.T) {
	r, n := newRepo(t), notebook{}
	r.commit("stays", "1")
	r.commit("hunter2-is-the-password", "2")
	r.git("repack", "-q", "-d")
	r.scan(n)
	with := len(n.only(t))
	r.git("reset", "-q", "--hard", "HEAD~1")
	r.git("reflog", "expire", "--expire=now", "--all")
	r.git("gc", "-q", "--prune=now")
	if got := r.scan(n); got != 1 {
		t.Fatalf("%d trees", got)
	}
	if now := len(n.only(t)); now >= with || strings.Contains(string(n.only(t)), "hunter2") {
		t.Errorf("%d bytes are kept, and %d were", now, with)
	}
}

package sources_test

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
)

// A repository elsewhere has the history that it has here, packs visited as they are
// here, and leaves nothing behind.
func TestRemote(t *testing.T) {
	r := newRepo(t)
	for i := range 100 { // enough to be visited as packs
		r.write(map[string]string{"f": strings.Repeat("a line of a file\n", i+1)})
		r.git("commit", "-q", "--allow-empty", "-m", "x")
		r.git("add", "f")
	}
	r.commit("last", map[string]string{"g": "new"})
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	var notes []string
	for name, scope := range map[string]sources.Scope{"whole": {}, "range": {Range: "HEAD^!"}} {
		srcs, err := sources.Open("file://"+r.dir, sources.OpenOptions{History: true, Worktree: true, Scope: scope, Note: func(s string) { notes = append(notes, s) }})
		if err != nil || len(srcs) != 1 {
			t.Fatal(srcs, err)
		}
		src := srcs[0]
		items := list(t, src)
		if left, _ := os.ReadDir(tmp); len(left) != 1 {
			t.Errorf("%s: %d folders while it is read", name, len(left))
		}
		local := list(t, sources.Git(r.dir, sources.GitOptions{History: true, Scope: scope}))
		key := func(items []sources.Item) (out []string) {
			for _, it := range items {
				out = append(out, it.Origin.Commit+it.Origin.Path+it.Origin.Blob)
				if root := it.Origin.Root; root != r.dir && root != "file://"+r.dir {
					t.Errorf("%s: root %q", name, root)
				}
			}
			slices.Sort(out)
			return out
		}
		if d := cmp.Diff(key(local), key(items)); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		visited := 0
		left, err := src.(sources.Visitor).Visit(t.Context(), items, 1, func(c *sources.Content) any { visited++; return nil })
		if err != nil || visited+len(left) != len(items) || name == "whole" && visited < 100 {
			t.Errorf("%s: %d visited, %d left of %d, %v", name, visited, len(left), len(items), err)
		}
		if c := src.(sources.Counter).Counts(); c.Repositories != 1 || c.Commits == 0 {
			t.Errorf("%s: %+v", name, c)
		}
		if a, ok := src.(sources.Attributor); !ok {
			t.Errorf("%s: attributes nothing", name)
		} else if seen, err := a.Attribute(t.Context(), []sources.Sighting{{Path: "g", Blobs: []string{items[len(items)-1].Origin.Blob}, Commit: items[len(items)-1].Origin.Commit}}); err != nil || seen[0].RefCount == 0 {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
		if err := src.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
		if left, _ := os.ReadDir(tmp); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
	if !slices.ContainsFunc(notes, func(s string) bool { return strings.Contains(s, "Receiving objects") }) || notes[len(notes)-1] != "" {
		t.Errorf("notes %q", notes)
	}
}

func TestRemoteRefused(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	both := sources.OpenOptions{History: true, Worktree: true}
	for target, say := range map[string]string{"ext://x/y": "not known", "https://ann:hunter22@/x": "no host", "ssh://a:hunter22@example.com/x": "no password"} {
		if _, err := sources.Open(target, both); err == nil || !strings.Contains(err.Error(), say) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: error %v", target, err)
		}
	}
	for _, o := range []sources.OpenOptions{{Worktree: true}, {History: true, Scope: sources.Scope{Staged: true}}} {
		if _, err := sources.Open("https://example.com/x", o); err == nil {
			t.Errorf("%+v is opened", o)
		}
	}
	srcs, err := sources.Open("file://"+filepath.Join(tmp, "none"), both)
	if err != nil {
		t.Fatal(err)
	}
	for _, src := range srcs {
		if err := src.Items(t.Context(), func(sources.Item) error { return nil }); err == nil || !strings.Contains(err.Error(), "none") {
			t.Errorf("error %v", err)
		}
		if err := src.(io.Closer).Close(); err != nil {
			t.Error(err)
		}
	}
	if left, _ := os.ReadDir(tmp); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	for target, want := range map[string]string{"https://ann:hunter22@example.com/x": "https://example.com/x", "./a": "./a", "https://ann:hunter 22@x/y": "an address"} {
		if got := sources.TargetName(target); got != want {
			t.Errorf("%s is called %s", target, got)
		}
	}
}

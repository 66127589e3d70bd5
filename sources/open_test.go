package sources_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
)

func TestOpen(t *testing.T) {
	outer := t.TempDir()
	inner := newRepo(t)
	inner.commit("1", map[string]string{"f": "committed", "sub/g": "below"})
	if err := os.Rename(inner.dir, filepath.Join(outer, "repo")); err != nil {
		t.Fatal(err)
	}
	inner.dir = filepath.Join(outer, "repo")
	write(t, outer, map[string]string{"loose.txt": "outside", "plain/x": "plain", "odd/.git": "gitdir: /nowhere\n", "odd/y": "found"})
	bare := &testRepo{t: t, dir: outer}
	bare.git("clone", "-q", "--bare", inner.dir, "bare.git")
	in := func(p string) string { return filepath.Join(outer, p) }
	history := map[string]string{"git:f": "committed", "git:sub/g": "below", "commit-message": "1\n"}
	tree := map[string]string{"worktree:f": "committed", "worktree:sub/g": "below"}

	for name, c := range map[string]struct {
		target string
		opts   sources.OpenOptions
		want   []map[string]string
	}{
		"stdin":         {"-", sources.OpenOptions{Stdin: strings.NewReader("piped")}, []map[string]string{{"stdin:": "piped"}}},
		"repository":    {in("repo"), sources.OpenOptions{History: true, Worktree: true}, []map[string]string{history, tree}},
		"history only":  {in("repo"), sources.OpenOptions{History: true}, []map[string]string{history}},
		"worktree only": {"git:" + in("repo"), sources.OpenOptions{Worktree: true}, []map[string]string{tree}},
		"bare":          {in("bare.git"), sources.OpenOptions{History: true, Worktree: true}, []map[string]string{history}},
		"subfolder":     {in("repo/sub"), sources.OpenOptions{History: true, Worktree: true}, []map[string]string{{"git:sub/g": "below", "worktree:sub/g": "below"}}},
		"file in it":    {in("repo/f"), sources.OpenOptions{History: true, Worktree: true}, []map[string]string{{"file:" + filepath.ToSlash(in("repo/f")): "committed"}}},
		"files of it":   {"dir:" + in("repo"), sources.OpenOptions{History: true}, []map[string]string{{"file:f": "committed", "file:sub/g": "below"}}},
		"plain folder":  {in("plain"), sources.OpenOptions{History: true, Worktree: true}, []map[string]string{{"file:x": "plain"}}},
		"folder with repos": {outer, sources.OpenOptions{History: true, Worktree: true}, []map[string]string{
			{"commit-message": history["commit-message"]}, below("repo", history), below("repo", tree), below("bare.git", history),
			{"file:loose.txt": "outside", "file:plain/x": "plain", "file:odd/y": "found"}}},
	} {
		t.Run(name, func(t *testing.T) {
			srcs, err := sources.Open(c.target, c.opts)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{}
			for _, m := range c.want {
				for k, v := range m {
					want[k] = v
				}
			}
			got, _ := outcome(t, srcs...)
			if d := cmp.Diff(want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestOpenErrors(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"f": "x", "astray/.git": "gitdir: /nowhere\n"})
	r := newRepo(t)
	for name, c := range map[string]struct {
		target, say string
		opts        sources.OpenOptions
	}{
		"missing":         {filepath.Join(dir, "missing"), "check the spelling", sources.OpenOptions{}},
		"missing file:":   {"file:" + filepath.Join(dir, "missing"), "check the spelling", sources.OpenOptions{}},
		"missing git:":    {"git:" + filepath.Join(dir, "missing"), "check the spelling", sources.OpenOptions{}},
		"empty":           {"", "target is empty", sources.OpenOptions{}},
		"git: on folder":  {"git:" + dir, "not a git repository", sources.OpenOptions{History: true}},
		"git: on file":    {"git:" + filepath.Join(dir, "f"), "not a git repository", sources.OpenOptions{History: true}},
		"range on folder": {dir, "not a git repository", sources.OpenOptions{Scope: sources.Scope{Range: "a..b"}}},
		"astray":          {filepath.Join(dir, "astray"), "not a git repository", sources.OpenOptions{History: true}},
		"no stdin":        {"-", "not available", sources.OpenOptions{}},
		"nothing wanted":  {r.dir, "nothing of", sources.OpenOptions{}},
	} {
		_, err := sources.Open(c.target, c.opts)
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: error %v, want one that says %q", name, err, c.say)
		}
		if strings.HasPrefix(name, "missing") && !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: error %v is not %v", name, err, fs.ErrNotExist)
		}
	}
}

// below tells the paths of content from a folder above it.
func below(dir string, content map[string]string) map[string]string {
	out := map[string]string{}
	for k, v := range content {
		if kind, path, ok := strings.Cut(k, ":"); ok {
			out[kind+":"+dir+"/"+path] = v
		}
	}
	return out
}

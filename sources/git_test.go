package sources_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources"
	"github.com/quench-dev/quench/sources/sourcetest"
)

// testRepo is a repository made with the real git.
type testRepo struct {
	t   testing.TB
	dir string
	now int // seconds added to the clock, so that every commit has a time of its own
}

func newRepo(t testing.TB, args ...string) *testRepo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	r := &testRepo{t: t, dir: dir}
	r.git(append([]string{"init", "-q", "-b", "main"}, args...)...)
	return r
}

func (r *testRepo) git(args ...string) string {
	r.t.Helper()
	out, err := r.tryGit(args...)
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (r *testRepo) tryGit(args ...string) (string, error) {
	r.now++
	date := fmt.Sprintf("%d +0200", 1_700_000_000+r.now)
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "protocol.file.allow=always", "-c", "commit.gpgsign=false", "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Com Mitter", "GIT_COMMITTER_EMAIL=com@example.com", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (r *testRepo) write(files map[string]string) {
	r.t.Helper()
	for name, data := range files {
		p := filepath.Join(r.dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(data), 0o644)); err != nil {
			r.t.Fatal(err)
		}
	}
}

// commit writes files and commits all there is; it gives the commit's id.
func (r *testRepo) commit(msg string, files map[string]string) string {
	r.t.Helper()
	r.write(files)
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", msg)
	return r.git("rev-parse", "HEAD")
}

func (r *testRepo) history(path string) sources.Source {
	return sources.Git(filepath.Join(r.dir, path), sources.GitOptions{History: true})
}

func list(t testing.TB, src sources.Source) []sources.Item {
	t.Helper()
	var items []sources.Item
	if err := src.Items(t.Context(), func(it sources.Item) error { items = append(items, it); return nil }); err != nil {
		t.Fatal(err)
	}
	return items
}

// finds the items whose content is data.
func find(t *testing.T, src sources.Source, data string) sources.Origin {
	t.Helper()
	for _, it := range list(t, src) {
		if it.Skip == nil {
			if got, err := readItem(t, it); err == nil && got == data {
				return it.Origin
			}
		}
	}
	t.Errorf("no item holds %q", data)
	return sources.Origin{}
}

func TestGitConforms(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"a": "first", "gone": "deleted later", "dir/b": "deep", "bin": "\x00"})
	os.Remove(filepath.Join(r.dir, "gone"))
	r.commit("two", map[string]string{"a": "second"})
	r.write(map[string]string{"untracked": "not yet", ".gitignore": "x\n.env\n", ".env": "local", "x": "ignored"})
	r.git("tag", "-a", "v1", "-m", "release")
	want := sourcetest.Want{
		Content: map[string]string{
			"git:a": "second", "git:gone": "deleted later", "git:dir/b": "deep",
			"tag-message": "release\n", "worktree:a": "second", "worktree:dir/b": "deep",
			"worktree:untracked": "not yet", "worktree:.gitignore": "x\n.env\n", "worktree:.env": "local",
		},
		Skips: map[string]sources.Reason{"git:bin": sources.SkipBinary, "worktree:bin": sources.SkipBinary, "worktree:x": sources.SkipIgnored},
	}
	opts := sources.GitOptions{History: true, Worktree: true, Files: sources.FileOptions{Gitignore: true}}
	// "a" has two versions and there are two commit messages: the suite's map
	// holds one of each, so it sees those of a narrowed walk.
	opts.Scope.NewTips, opts.Scope.Exclude = []string{r.git("rev-parse", "v1")}, nil
	all := list(t, sources.Git(r.dir, opts))
	var versions, messages []string
	for _, it := range all {
		if it.Skip != nil || it.Origin.Source != "git" {
			continue
		}
		data, _ := readItem(t, it)
		switch {
		case it.Origin.Path == "a":
			versions = append(versions, data)
		case slices.Contains(it.Origin.Labels, "commit-message"):
			messages = append(messages, data)
		}
	}
	if d := cmp.Diff([]string{"first", "second"}, versions) + cmp.Diff([]string{"one\n", "two\n"}, messages); d != "" {
		t.Error(d)
	}
	newSource := func(*testing.T) sources.Source {
		return only{sources.Git(r.dir, opts), func(it sources.Item) bool {
			return !isHeader(it) && !slices.Contains(it.Origin.Labels, "commit-message") && !(it.Origin.Path == "a" && it.Origin.InHead != nil && !*it.Origin.InHead)
		}}
	}
	t.Run("loose", func(t *testing.T) { sourcetest.Run(t, newSource, want) })
	r.git("gc", "-q")
	t.Run("packed", func(t *testing.T) { sourcetest.Run(t, newSource, want) })
}

// only leaves out items.
type only struct {
	sources.Source
	keep func(sources.Item) bool
}

func (o only) Items(ctx context.Context, yield func(sources.Item) error) error {
	return o.Source.Items(ctx, func(it sources.Item) error {
		if !o.keep(it) {
			return nil
		}
		return yield(it)
	})
}

func TestGitFirstCommit(t *testing.T) {
	r := newRepo(t)
	first := r.commit("one", map[string]string{"old name": "moved about", "temp": "deleted"})
	r.git("mv", "old name", "new name")
	r.git("rm", "-q", "temp")
	r.commit("two", nil)
	r.git("checkout", "-q", "-b", "side", first)
	r.commit("side", map[string]string{"conflict": "ours"})
	r.git("checkout", "-q", "main")
	r.commit("main", map[string]string{"conflict": "theirs"})
	r.tryGit("merge", "-q", "side")
	merge := r.commit("merge", map[string]string{"conflict": "only in the resolution"})
	r.git("branch", "-D", "side")

	src := r.history("")
	o := find(t, src, "moved about")
	if o.Commit != first || o.Path != "old name" || o.Author != "Ann Author" || o.Email != "ann@example.com" || o.Date.Format("-0700") != "+0200" {
		t.Errorf("origin %+v", o)
	}
	if o.InHead == nil || !*o.InHead {
		t.Error("a blob that HEAD holds under another name is in HEAD")
	}
	if o := find(t, src, "deleted"); o.Commit != first || o.InHead == nil || *o.InHead {
		t.Errorf("origin %+v, in head %v", o, o.InHead)
	}
	if o := find(t, src, "only in the resolution"); o.Commit != merge {
		t.Errorf("origin %+v, want the merge %s", o, merge)
	}
	if c := src.(sources.Counter).Counts(); c.Commits != 5 || c.Repositories != 1 || c.Refs != 1 {
		t.Errorf("counts %+v", c)
	}
}

func TestGitAllRefs(t *testing.T) {
	r := newRepo(t)
	base := r.commit("base", map[string]string{"f": "base"})
	r.git("notes", "add", "-m", "in a note")
	for _, s := range []string{"first stash", "second stash"} {
		r.write(map[string]string{"f": s})
		r.git("stash")
	}
	r.git("checkout", "-q", "--detach")
	r.commit("detached", map[string]string{"d": "on no branch"})
	r.git("worktree", "add", "-q", "--detach", filepath.Join(t.TempDir(), "wt"), base)
	blob := filepath.Join(r.dir, "f")
	r.write(map[string]string{"f": "tagged blob"})
	r.git("tag", "ablob", r.git("hash-object", "-w", blob))
	r.git("tag", "-a", "-m", "about a tree", "atree", base+"^{tree}")
	r.git("update-ref", "refs/remotes/origin/x", r.git("commit-tree", "-m", "remote only", base+"^{tree}"))
	src := r.history("")
	for _, want := range []string{"in a note\n", "first stash", "second stash", "on no branch", "tagged blob", "about a tree\n", "remote only\n"} {
		find(t, src, want)
	}
}

func TestGitRange(t *testing.T) {
	r := newRepo(t)
	var ids []string
	for i := range 6 {
		ids = append(ids, r.commit(fmt.Sprint("c", i), map[string]string{"f": fmt.Sprint("v", i), fmt.Sprint("n", i): fmt.Sprint("new", i)}))
		if i == 3 {
			r.git("tag", "-a", "-m", "t", "mid")
			r.git("gc", "-q") // the rest stays loose
		}
	}
	// What stood there before comes along, to compare with.
	for rng, want := range map[string][]string{
		"mid..main":                 {"v4", "new4", "v5", "new5", "before v3"},
		"HEAD~1..":                  {"v5", "new5", "before v4"},
		ids[1] + ".." + ids[2][:12]: {"v2", "new2", "before v1"},
		"main^..@":                  {"v5", "new5", "before v4"},
		"main..mid":                 nil,
		"refs/heads/main..main":     nil,
		ids[0]:                      {"v0", "new0"},
	} {
		var got []string
		for _, it := range list(t, sources.Git(r.dir, sources.GitOptions{Scope: sources.Scope{Range: rng}})) {
			if it.Origin.Blob != "" {
				data, _ := readItem(t, it)
				if it.Origin.Before {
					data = "before " + data
				}
				got = append(got, data)
			}
		}
		slices.Sort(got)
		slices.Sort(want)
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", rng, d)
		}
	}
	for rng, say := range map[string]string{
		"nowhere..main": "no such ref", "main~99..main": "no parent", "a...b": "no such ref", "mid^{tree}..main": "only ~N",
	} {
		err := sources.Git(r.dir, sources.GitOptions{Scope: sources.Scope{Range: rng}}).Items(t.Context(), func(sources.Item) error { return nil })
		if err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: error %v, want one that says %q", rng, err, say)
		}
	}
	var got []string
	tips := sources.GitOptions{Scope: sources.Scope{NewTips: []string{ids[5], ids[4]}, Exclude: []string{ids[3], strings.Repeat("ab", 20)}}}
	for _, it := range list(t, sources.Git(r.dir, tips)) {
		if it.Origin.Blob != "" && !it.Origin.Before {
			got = append(got, it.Origin.Path)
		}
	}
	if d := cmp.Diff([]string{"f", "n4", "f", "n5"}, got); d != "" {
		t.Error(d)
	}
}

func TestGitSubfolder(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"sub/a": "inside", "sub/deep/b": "deeper", "outside": "out", ".gitignore": "*.log\n/sub/x\n"})
	r.write(map[string]string{"sub/new.log": "1", "sub/x": "2", "sub/y": "3"})
	content, skips := outcome(t, sources.Git(filepath.Join(r.dir, "sub"), sources.GitOptions{History: true, Worktree: true, Files: sources.FileOptions{Gitignore: true}}))
	want := map[string]string{
		"git:sub/a": "inside", "git:sub/deep/b": "deeper",
		"worktree:sub/a": "inside", "worktree:sub/deep/b": "deeper", "worktree:sub/y": "3",
	}
	if d := cmp.Diff(want, content); d != "" {
		t.Error(d)
	}
	if skips["worktree:sub/new.log"] != sources.SkipIgnored || skips["worktree:sub/x"] != sources.SkipIgnored {
		t.Errorf("rules above the folder hold in it: skips %v", skips)
	}
}

func TestGitShallow(t *testing.T) {
	r := newRepo(t)
	for i := range 4 {
		r.commit(fmt.Sprint(i), map[string]string{"f": fmt.Sprint("v", i)})
	}
	clone := &testRepo{t: t, dir: t.TempDir()}
	clone.git("clone", "-q", "--depth=2", "file://"+r.dir, ".")
	content, skips := outcome(t, sources.Git(clone.dir, sources.GitOptions{History: true}))
	if skips["git:"] != sources.SkipShallow || len(content) == 0 {
		t.Errorf("content %v, skips %v", content, skips)
	}
	find(t, clone.history(""), "v2")
	if _, skips := outcome(t, sources.Git(clone.dir, sources.GitOptions{Scope: sources.Scope{Range: "HEAD~1..HEAD"}})); len(skips) != 0 {
		t.Errorf("a range above the cut is whole: skips %v", skips)
	}
}

func TestGitPartialClone(t *testing.T) {
	r := newRepo(t)
	r.git("config", "uploadpack.allowFilter", "true")
	r.commit("1", map[string]string{"f": "old"})
	r.commit("2", map[string]string{"f": "new"})
	clone := &testRepo{t: t, dir: t.TempDir()}
	clone.git("clone", "-q", "--filter=blob:none", "file://"+r.dir, ".")
	content, skips := outcome(t, sources.Git(clone.dir, sources.GitOptions{History: true}))
	if content["git:f"] != "new" || skips["git:f"] != sources.SkipPromised {
		t.Errorf("content %v, skips %v", content, skips)
	}
}

func TestGitCorrupt(t *testing.T) {
	r := newRepo(t)
	r.commit("1", map[string]string{"bad": strings.Repeat("to be broken ", 50), "good": "whole", "dir/lost": "x", "dir2/cut": "y"})
	object := func(rev string) string {
		id := r.git("rev-parse", rev)
		return filepath.Join(r.dir, ".git", "objects", id[:2], id[2:])
	}
	other, err := os.ReadFile(object("HEAD:good"))
	if err != nil {
		t.Fatal(err)
	}
	bad := object("HEAD:bad")
	if err := errors.Join(os.Chmod(bad, 0o644), os.WriteFile(bad, other, 0o644), os.Remove(object("HEAD:dir")),
		os.Chmod(object("HEAD:dir2"), 0o644), os.WriteFile(object("HEAD:dir2"), []byte("garbage"), 0o644)); err != nil {
		t.Fatal(err)
	}
	content, skips := outcome(t, r.history(""))
	if content["git:good"] != "whole" {
		t.Errorf("the rest is read: %v", content)
	}
	want := map[string]sources.Reason{"git:bad": sources.SkipCorrupt, "git:dir": sources.SkipMissing, "git:dir2": sources.SkipCorrupt}
	if d := cmp.Diff(want, skips); d != "" {
		t.Error(d)
	}
}

func TestGitCorruptPack(t *testing.T) {
	r := newRepo(t)
	r.commit("1", map[string]string{"a": strings.Repeat("some text\n", 300), "b": "x"})
	r.git("gc", "-q")
	packs, _ := filepath.Glob(filepath.Join(r.dir, ".git/objects/pack/*.pack"))
	data, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for at := 12; at < len(data)-20; at++ {
		broken := bytes.Clone(data)
		broken[at] ^= 0x55
		os.Chmod(packs[0], 0o644)
		if err := os.WriteFile(packs[0], broken, 0o644); err != nil {
			t.Fatal(err)
		}
		content, skips := outcome(t, r.history(""))
		for key, data := range content {
			if (key == "git:a" && data != strings.Repeat("some text\n", 300)) || (key == "git:b" && data != "x") {
				t.Fatalf("byte %d broken: %s reads as %q", at, key, data)
			}
		}
		if len(content) == 3 && len(skips) == 0 {
			continue // a byte that carries nothing, such as a zlib flag
		}
		for key, s := range skips {
			if !s.Wanted() && s != sources.SkipBinary {
				t.Fatalf("byte %d broken: %s is skipped as %s", at, key, s)
			}
		}
		if len(skips) == 0 {
			t.Fatalf("byte %d broken: something is not read and nothing tells: %v", at, content)
		}
	}
}

// A blob over the size that is held whole is streamed, loose and packed, and its
// hash is checked at the end.
func TestGitBigBlob(t *testing.T) {
	r := newRepo(t)
	big := strings.Repeat("a line of a big file\n", 1<<20)
	r.commit("big", map[string]string{"big": big})
	for _, state := range []string{"loose", "packed"} {
		content, skips := outcome(t, r.history(""))
		if content["git:big"] != big || len(skips) > 0 {
			t.Errorf("%s: %d bytes, skips %v", state, len(content["git:big"]), skips)
		}
		r.git("gc", "-q")
	}
	packs, _ := filepath.Glob(filepath.Join(r.dir, ".git/objects/pack/*.pack"))
	data, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 0x10
	if err := errors.Join(os.Chmod(packs[0], 0o644), os.WriteFile(packs[0], data, 0o644)); err != nil {
		t.Fatal(err)
	}
	if _, skips := outcome(t, r.history("")); skips["git:big"] != sources.SkipCorrupt {
		t.Errorf("broken: skips %v", skips)
	}
}

func TestGitEmptyAndBare(t *testing.T) {
	r := newRepo(t)
	if _, skips := outcome(t, r.history("")); skips["git:"] != sources.SkipEmpty {
		t.Errorf("skips %v", skips)
	}
	r.commit("1", map[string]string{"f": "x"})
	bare := &testRepo{t: t, dir: t.TempDir()}
	bare.git("clone", "-q", "--bare", r.dir, ".")
	for _, dir := range []string{bare.dir, filepath.Join(r.dir, ".git")} {
		content, skips := outcome(t, sources.Git(dir, sources.GitOptions{History: true, Worktree: true}))
		if d := cmp.Diff(map[string]string{"git:f": "x", "commit-message": "1\n"}, content); d != "" || len(skips) > 0 {
			t.Errorf("%s%v", d, skips)
		}
	}
}

func TestGitLinkedWorktree(t *testing.T) {
	r := newRepo(t)
	r.commit("1", map[string]string{"f": "x"})
	wt := filepath.Join(t.TempDir(), "linked")
	r.git("worktree", "add", "-q", "-b", "other", wt)
	linked := &testRepo{t: t, dir: wt, now: 100}
	id := linked.commit("2", map[string]string{"g": "y"})
	content, _ := outcome(t, sources.Git(wt, sources.GitOptions{History: true, Worktree: true}))
	if content["worktree:g"] != "y" || content["git:f"] != "x" || content["git:g"] != "y" {
		t.Errorf("content %v", content)
	}
	if o := find(t, sources.Git(wt, sources.GitOptions{History: true}), "y"); o.Commit != id || !*o.InHead {
		t.Errorf("HEAD is the worktree's own: %+v", o)
	}
}

func TestGitUntrusted(t *testing.T) {
	victim := newRepo(t)
	victim.commit("private", map[string]string{"p": "private"})
	for name, lead := range map[string]func(*testRepo) string{
		"dotgit": func(r *testRepo) string {
			dir := t.TempDir()
			os.WriteFile(filepath.Join(dir, ".git"), []byte("gitdir: "+filepath.Join(victim.dir, ".git")+"\n"), 0o644)
			return dir
		},
		"alternates": func(r *testRepo) string {
			os.WriteFile(filepath.Join(r.dir, ".git/objects/info/alternates"), []byte(filepath.Join(victim.dir, ".git/objects")+"\n"), 0o644)
			os.WriteFile(filepath.Join(r.dir, ".git/refs/heads/main"), []byte(victim.git("rev-parse", "HEAD")+"\n"), 0o644)
			return r.dir
		},
		"commondir": func(r *testRepo) string {
			os.WriteFile(filepath.Join(r.dir, ".git/commondir"), []byte(filepath.Join(victim.dir, ".git")+"\n"), 0o644)
			return r.dir
		},
		"objects": func(r *testRepo) string {
			os.RemoveAll(filepath.Join(r.dir, ".git/objects"))
			symlink(t, filepath.Join(victim.dir, ".git/objects"), filepath.Join(r.dir, ".git/objects"))
			os.WriteFile(filepath.Join(r.dir, ".git/refs/heads/main"), []byte(victim.git("rev-parse", "HEAD")+"\n"), 0o644)
			return r.dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := lead(newRepo(t))
			err := sources.Git(dir, sources.GitOptions{History: true}).Items(t.Context(), func(sources.Item) error { t.Error("an item"); return nil })
			if err == nil || !strings.Contains(err.Error(), "--trust-alternates") {
				t.Errorf("error %v", err)
			}
			content, _ := outcome(t, sources.Git(dir, sources.GitOptions{History: true, TrustAlternates: true}))
			if content["git:p"] != "private" {
				t.Errorf("when trusted: %v", content)
			}
		})
	}
}

func TestGitRefusedFormats(t *testing.T) {
	r := newRepo(t, "--object-format=sha256")
	r.commit("1", map[string]string{"f": "x"})
	content, skips := outcome(t, sources.Git(r.dir, sources.GitOptions{History: true, Worktree: true}))
	if skips["git:"] != sources.SkipFormat || content["worktree:f"] != "x" {
		t.Errorf("content %v, skips %v", content, skips)
	}
	r = newRepo(t)
	r.commit("1", map[string]string{"f": "x"})
	r.git("config", "core.repositoryformatversion", "1")
	os.WriteFile(filepath.Join(r.dir, ".git/config"), []byte("[core]\nrepositoryformatversion = 1\n[extensions]\nrefStorage = reftable\n"), 0o644)
	for _, it := range list(t, r.history("")) {
		if it.Skip == nil || it.Skip.Reason != sources.SkipFormat || !strings.Contains(it.Skip.Err.Error(), "reftable") {
			t.Errorf("item %+v", it)
		}
	}
}

func TestGitNotARepository(t *testing.T) {
	dir := t.TempDir()
	err := sources.Git(dir, sources.GitOptions{History: true}).Items(t.Context(), func(sources.Item) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "not a git repository") || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
}

func TestGitSubmodule(t *testing.T) {
	sub := newRepo(t)
	sub.commit("1", map[string]string{"s": "in the submodule"})
	r := newRepo(t)
	r.git("submodule", "--quiet", "add", sub.dir, "lib")
	r.commit("add it", nil)
	content, skips := outcome(t, r.history(""))
	if skips["git:lib"] != sources.SkipSubmodule || content["git:s"] != "" {
		t.Errorf("content %v, skips %v", content, skips)
	}
	srcs, err := sources.Open(r.dir, sources.OpenOptions{History: true, Worktree: true})
	if err != nil {
		t.Fatal(err)
	}
	content, _ = outcome(t, srcs...)
	if content["git:lib/s"] != "in the submodule" || content["worktree:lib/s"] != "in the submodule" || content["git:s"]+content["worktree:s"] != "" {
		t.Errorf("a checked-out submodule is scanned as a repository, once: %v", content)
	}
}

// TestGitCoversWhatGitLists compares with git rev-list --objects --all over random
// histories, loose, packed and mixed.
func TestGitCoversWhatGitLists(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs git some hundred times")
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRepo(t)
		names := []string{"a", "b", "d/a", "d/e/c", "d/b"}
		branches := []string{"main"}
		steps := rapid.IntRange(1, 10).Draw(rt, "steps")
		r.commit("root", map[string]string{"a": "root"})
		for i := range steps {
			switch rapid.SampledFrom([]string{"write", "write", "delete", "branch", "merge", "tag", "gc", "stash"}).Draw(rt, "step") {
			case "write":
				r.commit(fmt.Sprint(i), map[string]string{rapid.SampledFrom(names).Draw(rt, "name"): rapid.StringMatching(`[a-c]{0,3}`).Draw(rt, "data")})
			case "delete":
				os.Remove(filepath.Join(r.dir, rapid.SampledFrom(names).Draw(rt, "name")))
				r.commit(fmt.Sprint(i), nil)
			case "branch":
				b := fmt.Sprint("b", i)
				r.git("checkout", "-q", "-b", b, rapid.SampledFrom(branches).Draw(rt, "from"))
				branches = append(branches, b)
			case "merge":
				r.tryGit("merge", "-q", "-X", "ours", "-m", "merge", rapid.SampledFrom(branches).Draw(rt, "other"))
				r.tryGit("add", "-A")
				r.tryGit("commit", "-q", "-m", "merge")
			case "tag":
				r.git("tag", "-a", "-m", "t", fmt.Sprint("t", i))
			case "gc":
				r.git("gc", "-q")
			case "stash":
				r.write(map[string]string{"a": fmt.Sprint("stashed", i)})
				r.git("add", "a") // where a was deleted it would stay, and be in the way of a checkout
				r.git("stash")
			}
		}
		want := map[string]bool{}
		// The stash's older entries are in its log alone, which --all passes over.
		args := []string{"rev-list", "--objects", "--no-object-names", "--filter=object:type=blob", "--filter-provided-objects", "--all"}
		if stash, err := r.tryGit("rev-list", "-g", "refs/stash", "--"); err == nil {
			args = append(args, strings.Fields(stash)...)
		}
		for id := range strings.FieldsSeq(r.git(args...)) {
			want[id] = true
		}
		got := map[string]bool{}
		for _, it := range list(t, r.history("")) {
			if it.Skip != nil {
				rt.Errorf("skip %+v of %+v", it.Skip, it.Origin)
			}
			if it.Origin.Blob == "" {
				continue
			}
			if got[it.Origin.Blob] {
				rt.Errorf("blob %s twice", it.Origin.Blob)
			}
			got[it.Origin.Blob] = true
			if data, err := readItem(t, it); err != nil || data != r.raw("cat-file", "blob", it.Origin.Blob) {
				rt.Errorf("blob %s reads as %q, %v", it.Origin.Blob, data, err)
			}
			if at := r.git("rev-parse", it.Origin.Commit+":"+it.Origin.Path); at != it.Origin.Blob {
				rt.Errorf("%s:%s is %s, not %s", it.Origin.Commit, it.Origin.Path, at, it.Origin.Blob)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Errorf("blobs (-git +we):\n%s", d)
		}
	})
}

func (r *testRepo) raw(args ...string) string {
	out, err := exec.Command("git", append([]string{"-C", r.dir}, args...)...).Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return string(out)
}

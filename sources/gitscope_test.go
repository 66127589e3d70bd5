package sources_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources"
)

func (r *testRepo) scoped(s sources.Scope) sources.Source {
	return sources.Git(r.dir, sources.GitOptions{Scope: s})
}

// commitsOf gives the commits whose messages a scope gives, sorted.
func commitsOf(t testing.TB, src sources.Source) []string {
	t.Helper()
	var ids []string
	for _, it := range list(t, src) {
		if it.Skip != nil {
			t.Errorf("skip %+v", it.Skip)
		}
		if slices.Contains(it.Origin.Labels, "commit-message") {
			ids = append(ids, it.Origin.Commit)
		}
	}
	slices.Sort(ids)
	return ids
}

// revList is git's own answer, sorted.
func (r *testRepo) revList(args ...string) []string {
	ids := strings.Fields(r.git(append([]string{"rev-list"}, args...)...))
	slices.Sort(ids)
	return ids
}

// imported makes a history of n commits with up to three parents each, and branches
// c0, c1, … at them. The clock goes forward, or where skewed, anywhere.
func imported(t testing.TB, rt *rapid.T, n int, skewed bool) *testRepo {
	t.Helper()
	r := newRepo(t, "--bare")
	var in strings.Builder
	for i := range n {
		when := 1_700_000_000 + 60*i
		if skewed {
			when += rapid.IntRange(-100_000, 100_000).Draw(rt, "skew")
		}
		fmt.Fprintf(&in, "reset refs/heads/c%d\ncommit refs/heads/c%d\nmark :%d\ncommitter c <c@example.com> %d +0000\ndata <<.\nmessage %d\n.\n", i, i, i+1, when, i)
		verb := "from"
		for k := range min(i, rapid.SampledFrom([]int{0, 1, 1, 1, 1, 2, 2, 3}).Draw(rt, "parents")) {
			// Near ones mostly: a history is long rather than wide.
			p := max(1, i-rapid.IntRange(0, 3).Draw(rt, "back")-k)
			fmt.Fprintf(&in, "%s :%d\n", verb, p)
			verb = "merge"
		}
		fmt.Fprintf(&in, "M 644 inline f%d\ndata 1\n%d\n", i%4, i%7)
	}
	cmd := exec.Command("git", "-C", r.dir, "fast-import", "--quiet", "--force")
	cmd.Stdin = strings.NewReader(in.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return r
}

// What a range, a count and a time select is what git rev-list selects, over random
// histories. Where clocks were wrong git itself is not exact: nothing that it gives
// may be left out then.
func TestScopeSelectsWhatGitDoes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		skewed := rapid.Bool().Draw(rt, "skewed")
		n := rapid.IntRange(2, 25).Draw(rt, "commits")
		r := imported(t, rt, n, skewed)
		same := func(what string, want, got []string) {
			rt.Helper()
			if skewed {
				want = slices.DeleteFunc(want, func(id string) bool { return slices.Contains(got, id) })
				got = nil
			}
			if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
				rt.Errorf("%s (-git +we):\n%s", what, d)
			}
		}
		branch := rapid.Custom(func(t *rapid.T) string { return fmt.Sprint("c", rapid.IntRange(0, n-1).Draw(t, "n")) })
		for range 4 {
			rng := branch.Draw(rt, "a") + rapid.SampledFrom([]string{"..", "..."}).Draw(rt, "dots") + branch.Draw(rt, "b")
			same(rng, r.revList(rng), commitsOf(t, r.scoped(sources.Scope{Range: rng})))
		}
		if skewed {
			return // the newest, and what is older than a time, are a matter of opinion
		}
		only := branch.Draw(rt, "only") + "^!"
		same(only, r.revList(only), commitsOf(t, r.scoped(sources.Scope{Range: only})))
		b, k := branch.Draw(rt, "branch"), rapid.IntRange(1, n).Draw(rt, "count")
		same("count", r.revList(b, fmt.Sprint("--max-count=", k)), commitsOf(t, r.scoped(sources.Scope{Branches: []string{b}, MaxCount: k})))
		since := fmt.Sprint("@", 1_700_000_000+60*k-30)
		same("since", r.revList("--all", "--since="+since[1:]), commitsOf(t, r.scoped(sources.Scope{Since: since})))
		same("since a commit", r.revList("--all", "^"+b), commitsOf(t, r.scoped(sources.Scope{Since: b})))
	})
}

// What a range gives of the blobs is what no commit it stops at has: the blobs that
// git rev-list --objects gives.
func TestRangeGivesTheBlobsGitGives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(2, 15).Draw(rt, "commits")
		r := imported(t, rt, n, false)
		rng := fmt.Sprintf("c%d..c%d", rapid.IntRange(0, n-1).Draw(rt, "a"), rapid.IntRange(0, n-1).Draw(rt, "b"))
		want := r.revList("--objects", "--no-object-names", "--filter=object:type=blob", "--filter-provided-objects", rng)
		var got []string
		for _, it := range list(t, r.scoped(sources.Scope{Range: rng})) {
			if it.Origin.Blob != "" && !it.Origin.Before {
				got = append(got, it.Origin.Blob)
			}
		}
		slices.Sort(got)
		if d := cmp.Diff(want, got); d != "" && len(want)+len(got) > 0 {
			rt.Errorf("%s (-git +we):\n%s", rng, d)
		}
	})
}

func TestScopeOfRefs(t *testing.T) {
	r := newRepo(t)
	at := map[string]string{"root": r.commit("root", map[string]string{"f": "0"})}
	r.git("config", "remote.origin.url", "x")
	r.git("config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
	for _, ref := range []string{"heads/dev", "heads/release/1.0", "heads/release/old/0.9", "tags/v1", "tags/x1", "remotes/origin/main", "remotes/origin/far/away"} {
		at[ref] = r.git("commit-tree", "-p", at["root"], "-m", ref, at["root"]+"^{tree}")
		r.git("update-ref", "refs/"+ref, at[ref])
	}
	at["heads/main"] = r.commit("main", map[string]string{"f": "1"})
	r.git("branch", "--set-upstream-to=origin/main", "main")
	for _, c := range []struct {
		scope sources.Scope
		git   []string
	}{
		{sources.Scope{Branches: []string{"dev"}}, []string{"dev"}},
		{sources.Scope{Branches: []string{"main"}}, []string{"main", "origin/main"}},
		{sources.Scope{Branches: []string{"origin/main", "dev"}}, []string{"origin/main", "dev"}},
		{sources.Scope{Branches: []string{"far/away"}}, []string{"origin/far/away"}},
		{sources.Scope{RefGlobs: []string{"heads/release"}}, []string{"--glob=heads/release"}},
		{sources.Scope{RefGlobs: []string{"heads/release/*"}}, []string{"--glob=heads/release/*"}},
		{sources.Scope{RefGlobs: []string{"heads/release/**"}}, []string{"--glob=heads/release/*"}},
		{sources.Scope{RefGlobs: []string{"refs/tags/v?"}}, []string{"--glob=refs/tags/v?"}},
		{sources.Scope{RefGlobs: []string{"tags/[vx]1", "heads/dev"}}, []string{"--tags", "dev"}},
		{sources.Scope{RefGlobs: []string{"remotes/*"}}, []string{"--remotes"}},
		{sources.Scope{RefGlobs: []string{"tags/*"}, MaxCount: 1, Since: at["root"]}, []string{"--tags", "--max-count=1", "^" + at["root"]}},
		{sources.Scope{Range: "@{u}.."}, []string{"@{u}.."}},
		{sources.Scope{Range: "main@{upstream}...dev"}, []string{"main@{upstream}...dev"}},
		{sources.Scope{Range: "..dev"}, []string{"..dev"}},
		{sources.Scope{Range: "dev.."}, []string{"dev.."}},
		{sources.Scope{Range: "...dev"}, []string{"...dev"}},
		{sources.Scope{Range: "v1"}, []string{"v1"}},
		{sources.Scope{Range: "HEAD^!"}, []string{"HEAD^!"}},
	} {
		if d := cmp.Diff(r.revList(c.git...), commitsOf(t, r.scoped(c.scope))); d != "" {
			t.Errorf("%+v (-git +we):\n%s", c.scope, d)
		}
	}
	for _, c := range []struct {
		scope sources.Scope
		say   string
	}{
		{sources.Scope{Branches: []string{"away"}}, `no branch "away"`},
		{sources.Scope{RefGlobs: []string{"tags/z*"}}, "no ref"},
		{sources.Scope{RefGlobs: []string{"tags/[z"}}, "not closed"},
		{sources.Scope{Range: "dev@{u}.."}, "follows none"},
		{sources.Scope{Range: "nosuch^!"}, "no such ref"},
		{sources.Scope{Since: "lately"}, "it is no time"},
		{sources.Scope{Since: "-3 days ago"}, "it is no time"},
		{sources.Scope{MaxCount: -1}, "want 1 or more"},
		{sources.Scope{Staged: true, Range: "dev"}, "in no commit"},
		{sources.Scope{Branches: []string{"dev"}, Range: "dev"}, "where it ends"},
	} {
		err := r.scoped(c.scope).Items(t.Context(), func(sources.Item) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%+v: error %v, want one that says %q", c.scope, err, c.say)
		}
	}
}

// TestScopeSince: every form of a time selects the commits not older than it.
func TestScopeSince(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"f": "0"}) // at 1_700_000_000 and a few seconds
	now := time.Unix(1_700_000_000, 0).UTC().Add(60 * time.Hour)
	for since, want := range map[string]int{
		"61h": 1, "59h": 0, "3d": 1, "2d": 0, "1w": 1, "0w": 0, "3 days ago": 1, "2.days.ago": 0, "1 month ago": 1, "1 year ago": 1,
		"61 hours ago": 1, "3000 minutes ago": 0, "1 second ago": 0, "yesterday": 0, "2023-11-14": 1, "2023-11-15": 0,
		"2023-11-14T22:13:20Z": 1, "2023-11-14T23:13:20+01:00": 1, "2023-11-14 22:13": 1, "2023-11-14 22:14": 0, "@1700000000": 1, "@1700000100": 0,
	} {
		if got := commitsOf(t, r.scoped(sources.Scope{Since: since, Now: func() time.Time { return now }})); len(got) != want {
			t.Errorf("%s: %d commits, want %d", since, len(got), want)
		}
	}
}

// given gives the paths of items with a label, sorted, and of those given to compare
// with.
func given(t testing.TB, src sources.Source, label string) (paths, before []string) {
	t.Helper()
	for _, it := range list(t, src) {
		switch {
		case it.Origin.Before:
			before = append(before, it.Origin.Path)
		case it.Skip == nil && slices.Contains(it.Origin.Labels, label):
			paths = append(paths, it.Origin.Path)
		}
	}
	slices.Sort(paths)
	slices.Sort(before)
	return slices.Compact(paths), slices.Compact(before)
}

// TestStagedIsWhatGitSays compares with git diff --cached, and TestUnstaged… with
// git diff and git ls-files --others, where content is new: a file that is gone, or
// has another mode, holds nothing to scan.
func TestStagedIsWhatGitSays(t *testing.T) {
	t.Parallel()
	names := []string{"a", "b", "dir/a", "dir/deep/c", "z.txt", "with space", "ü\xff"}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRepo(t)
		if rapid.Bool().Draw(rt, "first commit") {
			r.commit("one", map[string]string{"a": "1", "b": "2", "dir/a": "3", "z.txt": "4"})
		}
		r.git("config", "index.skipHash", fmt.Sprint(rapid.Bool().Draw(rt, "skip hash")))
		r.git("update-index", "--index-version", fmt.Sprint(rapid.IntRange(2, 4).Draw(rt, "version")))
		for range rapid.IntRange(0, 8).Draw(rt, "steps") {
			name := rapid.SampledFrom(names).Draw(rt, "name")
			switch rapid.SampledFrom([]string{"write", "write", "add", "add", "remove", "uncache", "intend", "mode", "move"}).Draw(rt, "step") {
			case "write":
				r.write(map[string]string{name: rapid.StringMatching(`[a-c]{1,2}`).Draw(rt, "data")})
			case "add":
				r.tryGit("add", "--", name)
			case "remove":
				os.Remove(filepath.Join(r.dir, name))
			case "uncache":
				r.tryGit("rm", "-q", "--cached", "--", name)
			case "intend":
				r.tryGit("add", "-N", "--", name)
			case "mode":
				r.tryGit("update-index", "--chmod=+x", "--", name)
			case "move":
				r.tryGit("mv", "--", name, name+".moved")
			}
		}
		lines := func(args ...string) (out []string) {
			out = slices.DeleteFunc(zFields(r.git(args...)), func(s string) bool { return s == "" })
			slices.Sort(out)
			return slices.Compact(out)
		}
		// raw keeps what has new content: not deleted, and another blob.
		raw := func(args ...string) (out []string) {
			fields := zFields(r.git(append([]string{"diff", "--raw", "-z", "--no-abbrev", "--no-renames"}, args...)...))
			for i := 0; i+1 < len(fields); i += 2 {
				f := strings.Fields(fields[i])
				if strings.Trim(f[3], "0") == "" && f[4] != "D" { // git has not looked into the file
					f[3] = r.git("hash-object", "--", fields[i+1])
				}
				if f[4] != "D" && f[2] != f[3] {
					out = append(out, fields[i+1])
				}
			}
			slices.Sort(out)
			return slices.Compact(out)
		}
		staged, before := given(t, r.scoped(sources.Scope{Staged: true}), "staged")
		if d := cmp.Diff(raw("--cached"), staged); d != "" && len(staged)+len(raw("--cached")) > 0 {
			rt.Errorf("staged (-git +we):\n%s", d)
		}
		for _, p := range before {
			if _, err := r.tryGit("cat-file", "-e", "HEAD:"+p); err != nil {
				rt.Errorf("%s is given to compare with and is not in HEAD", p)
			}
		}
		want := append(raw(), lines("ls-files", "-z", "--others", "--exclude-standard")...)
		slices.Sort(want)
		unstaged, _ := given(t, r.scoped(sources.Scope{Unstaged: true}), "unstaged")
		if d := cmp.Diff(slices.Compact(want), unstaged); d != "" && len(want)+len(unstaged) > 0 {
			rt.Errorf("unstaged (-git +we):\n%s", d)
		}
	})
}

// zFields splits at NULs.
func zFields(s string) []string { return strings.Split(strings.Trim(s, "\x00"), "\x00") }

// A file that is written with as many bytes in the moment after it was staged has the
// size and time that the index holds.
func TestUnstagedInTheSameMoment(t *testing.T) {
	r := newRepo(t)
	r.write(map[string]string{"f": "before"})
	moment := time.Now().Add(-time.Hour)
	file, index := filepath.Join(r.dir, "f"), filepath.Join(r.dir, ".git", "index")
	touch := func(name string) {
		t.Helper()
		if err := os.Chtimes(name, moment, moment); err != nil {
			t.Fatal(err)
		}
	}
	touch(file)
	r.git("add", "f")
	touch(index)
	r.write(map[string]string{"f": "after!"})
	touch(file)
	if got, _ := given(t, r.scoped(sources.Scope{Unstaged: true}), "unstaged"); !slices.Equal(got, []string{"f"}) {
		t.Errorf("unstaged: %v", got)
	}
}

// Of a merge that stopped at a conflict, what both sides have is staged, and what
// they come from is not.
func TestStagedConflict(t *testing.T) {
	r := newRepo(t)
	base := r.commit("base", map[string]string{"f": "base"})
	r.commit("ours", map[string]string{"f": "ours"})
	r.git("checkout", "-q", "-b", "side", base)
	r.commit("theirs", map[string]string{"f": "theirs"})
	r.git("checkout", "-q", "main")
	r.tryGit("merge", "-q", "side")
	var got []string
	for _, it := range list(t, r.scoped(sources.Scope{Staged: true})) {
		data, err := readItem(t, it)
		got = append(got, fmt.Sprint(data, it.Origin.Before, err))
	}
	if d := cmp.Diff([]string{"ourstrue <nil>", "theirsfalse <nil>"}, got); d != "" {
		t.Error(d)
	}
}

func TestScopePaths(t *testing.T) {
	r := newRepo(t)
	r.commit("one", map[string]string{"a.go": "1", "src/a.go": "2", "src/deep/b.go": "3", "docs/x.md": "4", "docs/y/z.md": "5", "README": "6"})
	r.write(map[string]string{"src/new.go": "7"})
	r.git("add", "src/new.go")
	for _, c := range []struct {
		globs []string
		want  []string
	}{
		{[]string{"*.go"}, []string{"a.go", "src/a.go", "src/deep/b.go"}},
		{[]string{"src"}, []string{"src/a.go", "src/deep/b.go"}},
		{[]string{"/src/"}, []string{"src/a.go", "src/deep/b.go"}},
		{[]string{"src/*.go"}, []string{"src/a.go"}},
		{[]string{"docs/**/*.md", "README"}, []string{"README", "docs/x.md", "docs/y/z.md"}},
		{[]string{"{a,b}.go"}, []string{"a.go", "src/a.go", "src/deep/b.go"}},
		{[]string{"nothing"}, nil},
	} {
		var got []string
		for _, it := range list(t, sources.Git(r.dir, sources.GitOptions{History: true, Scope: sources.Scope{Paths: c.globs}})) {
			got = append(got, it.Origin.Path)
		}
		slices.Sort(got)
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%v: %s", c.globs, d)
		}
	}
	if got, _ := given(t, r.scoped(sources.Scope{Staged: true, Paths: []string{"src"}}), "staged"); !slices.Equal(got, []string{"src/new.go"}) {
		t.Errorf("staged in src: %v", got)
	}
	if got, _ := given(t, r.scoped(sources.Scope{Staged: true, Paths: []string{"docs"}}), "staged"); got != nil {
		t.Errorf("staged in docs: %v", got)
	}
}

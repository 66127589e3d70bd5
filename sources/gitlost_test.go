package sources_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/sources"
)

// origins of all that is read, by content.
func origins(t testing.TB, src sources.Source) map[string]sources.Origin {
	t.Helper()
	out := map[string]sources.Origin{}
	for _, it := range list(t, src) {
		if it.Skip != nil {
			t.Errorf("skip %v (%v) of %+v", it.Skip.Reason, it.Skip.Err, it.Origin)
			continue
		}
		rc, err := it.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		data := new(strings.Builder)
		buf := make([]byte, 1000)
		for {
			n, err := rc.Read(buf)
			data.Write(buf[:n])
			if err != nil {
				break
			}
		}
		rc.Close()
		if _, twice := out[data.String()]; !twice {
			out[data.String()] = it.Origin
		}
	}
	return out
}

// What no ref reaches is found, and labelled by what still names it.
func TestGitUnreachable(t *testing.T) {
	r := newRepo(t)
	r.commit("base", map[string]string{"f": "base", "d/g": "kept"})
	amended := r.commit("amended away", map[string]string{"f": "before the amend"})
	r.write(map[string]string{"f": "after the amend"})
	r.git("commit", "-q", "-a", "--amend", "-m", "amended")
	reset := r.commit("reset away", map[string]string{"d/new": "undone"})
	r.git("reset", "-q", "--hard", "HEAD~1")

	r.write(map[string]string{"f": "kept stash"})
	r.git("stash")
	r.write(map[string]string{"f": "older stash"})
	r.git("stash")
	r.write(map[string]string{"f": "newest stash"})
	r.git("stash")
	r.write(map[string]string{"u": "dropped, untracked"})
	r.git("stash", "-u")
	r.git("stash", "drop", "-q")

	r.git("checkout", "-q", "-b", "gone")
	deleted := r.commit("on a deleted branch", map[string]string{"x/y": "deleted branch"})
	r.git("tag", "-a", "-m", "deleted tag", "oldtag")
	r.git("tag", "-d", "oldtag")
	r.git("checkout", "-q", "main")
	r.git("branch", "-q", "-D", "gone")
	for _, log := range []string{"HEAD", "refs/heads/gone"} { // as where there are none, on servers
		p := filepath.Join(r.dir, ".git", "logs", filepath.FromSlash(log))
		data, _ := os.ReadFile(p)
		var keep []string
		for line := range strings.Lines(string(data)) {
			if !strings.Contains(line, deleted) {
				keep = append(keep, line)
			}
		}
		os.WriteFile(p, []byte(strings.Join(keep, "")), 0o644)
	}

	r.write(map[string]string{"s": "staged and taken back"})
	r.git("add", "s")
	r.git("reset", "-q")
	r.write(map[string]string{"s": "dangling tree"})
	r.git("add", "s")
	r.git("write-tree")
	r.git("reset", "-q")
	os.Remove(filepath.Join(r.dir, "s"))
	r.git("notes", "add", "-m", "a note")
	r.write(map[string]string{"d/s": "staged"})
	r.git("add", "d/s")

	const lost = "unreachable"
	want := map[string]sources.Origin{
		"base":                  {Path: "f"},
		"after the amend":       {Path: "f"},
		"before the amend":      {Path: "f", Commit: amended, Labels: []string{lost, "reflog"}},
		"amended away\n":        {Commit: amended, Labels: []string{lost, "reflog", "commit-message"}},
		"undone":                {Path: "d/new", Commit: reset, Labels: []string{lost, "reflog"}},
		"kept stash":            {Path: "f", Labels: []string{"stash"}},
		"older stash":           {Path: "f", Labels: []string{"stash"}},
		"newest stash":          {Path: "f", Labels: []string{"stash"}},
		"dropped, untracked":    {Path: "u", Labels: []string{lost}},
		"deleted branch":        {Path: "x/y", Commit: deleted, Labels: []string{lost}},
		"deleted tag\n":         {Commit: deleted, Labels: []string{lost, "tag-message"}},
		"staged and taken back": {Labels: []string{lost}},
		"dangling tree":         {Path: "s", Labels: []string{lost}},
		"a note\n":              {Labels: []string{"note"}},
		"staged":                {Path: "d/s", Labels: []string{"staged"}},
	}
	check := func(t *testing.T) {
		src := sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true})
		got := origins(t, src)
		for text, w := range want {
			o, ok := got[text]
			if !ok {
				t.Errorf("%q is not found", text)
				continue
			}
			if w.Path != "" && o.Path != w.Path || w.Commit != "" && o.Commit != w.Commit || !slices.Equal(o.Labels, w.Labels) {
				t.Errorf("%q: %s %s %v, want %s %s %v", text, o.Path, o.Commit, o.Labels, w.Path, w.Commit, w.Labels)
			}
		}
		if c := src.(sources.Counter).Counts(); c.Unreachable == 0 {
			t.Errorf("counts %+v", c)
		}
		for text := range origins(t, sources.Git(r.dir, sources.GitOptions{History: true})) {
			if o, ok := want[text]; ok && (slices.Contains(o.Labels, lost) || text == "staged") {
				t.Errorf("%q is given without being asked for", text)
			}
		}
		sub := origins(t, sources.Git(filepath.Join(r.dir, "d"), sources.GitOptions{History: true, Unreachable: true}))
		if _, ok := sub["undone"]; !ok || len(sub) != 2 {
			t.Errorf("of a folder: %v", sub)
		}
	}
	t.Run("loose", check)
	r.git("repack", "-q", "-a", "-d")
	t.Run("packed in part", check)
	r.git("repack", "-q", "-a", "-d", "-k")
	t.Run("packed", check)
}

// A force push leaves what it pushed over with the clones that fetched it, and with
// the server.
func TestGitForcePushed(t *testing.T) {
	server := newRepo(t, "--bare")
	a := &testRepo{t: t, dir: t.TempDir(), now: 100}
	a.git("clone", "-q", server.dir, ".")
	a.commit("base", map[string]string{"f": "base"})
	pushed := a.commit("oops", map[string]string{"f": "pushed over"})
	a.git("push", "-q", "origin", "HEAD:main")
	b := &testRepo{t: t, dir: t.TempDir(), now: 200}
	b.git("clone", "-q", "-b", "main", server.dir, ".")
	a.git("reset", "-q", "--hard", "HEAD~1")
	a.commit("clean", map[string]string{"f": "clean"})
	a.git("push", "-q", "--force", "origin", "HEAD:main")
	b.git("reset", "-q", "--hard", "HEAD~1")
	b.git("fetch", "-q")
	for dir, labels := range map[string][]string{
		server.dir: {"unreachable"},
		a.dir:      {"unreachable", "reflog"},
		b.dir:      {"unreachable", "reflog", "force-pushed"},
	} {
		o := origins(t, sources.Git(dir, sources.GitOptions{History: true, Unreachable: true}))["pushed over"]
		if o.Commit != pushed || !slices.Equal(o.Labels, labels) {
			t.Errorf("commit %s, labels %v, want %s, %v", o.Commit, o.Labels, pushed, labels)
		}
	}
}

// What lies in an alternate belongs to another repository.
func TestGitUnreachableNotOfAlternates(t *testing.T) {
	other := newRepo(t)
	other.commit("1", map[string]string{"f": "shared"})
	other.write(map[string]string{"g": "theirs alone"})
	other.git("hash-object", "-w", "g")
	clone := &testRepo{t: t, dir: t.TempDir()}
	clone.git("clone", "-q", "-s", other.dir, ".")
	clone.write(map[string]string{"h": "ours"})
	clone.git("hash-object", "-w", "h")
	got := origins(t, sources.Git(clone.dir, sources.GitOptions{History: true, Unreachable: true, TrustAlternates: true}))
	if _, ok := got["ours"]; !ok {
		t.Error("our own is not found")
	}
	if _, ok := got["theirs alone"]; ok {
		t.Error("another repository's is found")
	}
}

// What git has deleted below what no ref reaches leaves the scan complete.
func TestGitPruned(t *testing.T) {
	r := newRepo(t)
	first := r.commit("1", map[string]string{"f": "deleted by git"})
	r.commit("2", map[string]string{"f": "lost"})
	blob := r.git("rev-parse", first+":f")
	r.git("checkout", "-q", "--orphan", "new")
	r.commit("3", map[string]string{"f": "new"})
	r.git("branch", "-q", "-D", "main")
	r.git("reflog", "expire", "--expire=now", "--all")
	for _, id := range []string{blob, first} {
		if err := os.Remove(filepath.Join(r.dir, ".git", "objects", id[:2], id[2:])); err != nil {
			t.Fatal(err)
		}
	}
	content, skips := outcome(t, sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true}))
	if d := cmp.Diff(map[string]sources.Reason{"unreachable": sources.SkipPruned, "git:f": sources.SkipPruned}, skips); d != "" || content["git:f"] != "lost" {
		t.Errorf("content %v, skips: %s", content, d)
	}
}

// A repository whose refs are gone has all its objects unreachable, and is not empty.
func TestGitRefsGone(t *testing.T) {
	r := newRepo(t)
	r.commit("1", map[string]string{"f": "still there"})
	if err := os.Remove(filepath.Join(r.dir, ".git", "refs", "heads", "main")); err != nil {
		t.Fatal(err)
	}
	if content, skips := outcome(t, sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true})); content["git:f"] != "still there" || len(skips) > 0 {
		t.Errorf("content %v, skips %v", content, skips)
	}
}

// The lines above messages are given once each, without times, ids and signatures.
func TestGitHeaders(t *testing.T) {
	r := newRepo(t)
	r.commit("1", map[string]string{"f": "1"})
	r.commit("2", map[string]string{"f": "2"})
	tree := r.git("rev-parse", "HEAD^{tree}")
	raw := "tree " + tree + "\nauthor Eve <eve@example.com> 1700000000 +0000\ncommitter Com Mitter <com@example.com> 1700000001 +0100\n" +
		"gpgsig -----BEGIN PGP SIGNATURE-----\n \n iQAbCd\n -----END PGP SIGNATURE-----\nx-tool told\n this\n\nmessage\n"
	p := filepath.Join(t.TempDir(), "raw")
	if err := os.WriteFile(p, []byte(raw), 0o644); err != nil {
		t.Fatal(err)
	}
	r.git("update-ref", "refs/heads/odd", r.git("hash-object", "-t", "commit", "-w", "--literally", p))
	r.git("tag", "-a", "-m", "t", "v1")
	var got []string
	for _, it := range list(t, r.history("")) {
		if isHeader(it) {
			data, _ := readItem(t, it)
			got = append(got, it.Origin.Labels[0]+": "+data)
		}
	}
	want := []string{
		"commit-header: author Eve <eve@example.com>\ncommitter Com Mitter <com@example.com>\nx-tool told\n this\n",
		"commit-header: author Ann Author <ann@example.com>\n",
		"tag-header: tag v1\ntagger Com Mitter <com@example.com>\n",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestGitCoversAllObjects compares with all objects that git lists, over random
// histories that lose parts of themselves.
func TestGitCoversAllObjects(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs git some hundred times")
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := newRepo(t)
		name := rapid.SampledFrom([]string{"a", "b", "d/a", "d/e/c"})
		r.commit("root", map[string]string{"a": "root"})
		for i := range rapid.IntRange(1, 10).Draw(rt, "steps") {
			text := rapid.StringMatching(`[a-c]{1,3}`).Draw(rt, "text")
			switch rapid.SampledFrom([]string{"write", "amend", "reset", "stage", "stash", "drop", "tag", "tree", "repack", "expire"}).Draw(rt, "step") {
			case "write":
				r.commit(text, map[string]string{name.Draw(rt, "name"): text})
			case "amend":
				r.write(map[string]string{name.Draw(rt, "name"): text})
				r.git("add", "-A")
				r.git("commit", "-q", "--allow-empty", "--amend", "-m", text+"!")
			case "reset":
				r.tryGit("reset", "-q", "--hard", "HEAD~1")
			case "stage":
				r.write(map[string]string{name.Draw(rt, "name"): text})
				r.git("add", "-A")
			case "stash":
				r.write(map[string]string{name.Draw(rt, "name"): text, "u": text})
				r.tryGit("stash", "-u")
			case "drop":
				r.tryGit("stash", "drop", "-q")
			case "tag":
				r.git("tag", "-a", "-m", text, fmt.Sprint("t", i))
				r.git("tag", "-d", fmt.Sprint("t", i))
			case "tree":
				r.write(map[string]string{name.Draw(rt, "name"): text})
				r.git("add", "-A")
				r.git("write-tree")
				r.git("reset", "-q")
			case "repack":
				r.git("repack", "-q", "-a", "-d", "-k")
			case "expire":
				r.git("reflog", "expire", "--expire=now", "--all")
			}
		}
		want := map[string]bool{}
		for line := range strings.Lines(r.git("cat-file", "--batch-all-objects", "--batch-check")) {
			if f := strings.Fields(line); f[1] == "blob" {
				want[f[0]] = true
			}
		}
		reached := map[string]bool{}
		for id := range strings.FieldsSeq(r.git("rev-list", "--objects", "--no-object-names", "--all")) {
			reached[id] = true
		}
		got := map[string]bool{}
		for _, it := range list(t, sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true})) {
			o := it.Origin
			if it.Skip != nil {
				rt.Errorf("skip %+v of %+v", it.Skip, o)
			}
			if o.Blob == "" {
				continue
			}
			if got[o.Blob] {
				rt.Errorf("blob %s twice", o.Blob)
			}
			got[o.Blob] = true
			if lost := slices.Contains(o.Labels, "unreachable"); lost && reached[o.Blob] || !lost && !reached[o.Blob] && !slices.Contains(o.Labels, "stash") && !slices.Contains(o.Labels, "staged") {
				rt.Errorf("blob %s has the labels %v, reached %v", o.Blob, o.Labels, reached[o.Blob])
			}
			if o.Commit != "" && r.git("rev-parse", o.Commit+":"+o.Path) != o.Blob {
				rt.Errorf("blob %s does not lie at %s:%s", o.Blob, o.Commit, o.Path)
			}
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Errorf("blobs (-git +we):\n%s", d)
		}
	})
}

package gitrepo_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// run runs git and gives what it prints.
func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=Ann", "-c", "user.email=ann@example.com"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func open(t *testing.T, dir string) *gitrepo.Repository {
	t.Helper()
	l, err := gitrepo.Find(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	r, err := gitrepo.Open(l, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Objects.Close)
	return r
}

func names(tips []gitrepo.Tip) (out []string) {
	for _, t := range tips {
		out = append(out, t.Name)
	}
	return out
}

// Refs are those that git lists, packed or loose; the loose one wins.
func TestRefs(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	run(t, dir, "commit", "-q", "--allow-empty", "-m", "one")
	run(t, dir, "tag", "-a", "-m", "tag", "v1")
	run(t, dir, "branch", "packed/deep")
	run(t, dir, "notes", "add", "-m", "note")
	run(t, dir, "pack-refs", "--all")
	run(t, dir, "commit", "-q", "--allow-empty", "-m", "two")
	run(t, dir, "branch", "loose")
	run(t, dir, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/heads/main")
	for _, s := range []string{"older", "newer"} {
		if err := os.WriteFile(filepath.Join(dir, "f"), []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
		run(t, dir, "stash", "-u")
	}
	other := filepath.Join(t.TempDir(), "other")
	run(t, dir, "worktree", "add", "-q", "--detach", other, "HEAD~1")

	r := open(t, dir)
	var got []string
	for _, ref := range r.Refs {
		got = append(got, ref.Hash().String()+" "+ref.Name().String())
	}
	want := strings.Split(run(t, dir, "for-each-ref", "--format=%(objectname) %(refname)"), "\n")
	want = slices.DeleteFunc(want, func(s string) bool { return strings.HasSuffix(s, "origin/HEAD") }) // a name of main
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if len(r.Bad) > 0 || r.Detached || r.Head.String() != run(t, dir, "rev-parse", "HEAD") {
		t.Errorf("HEAD is %s, detached %v; bad: %v", r.Head, r.Detached, r.Bad)
	}
	tips := r.TipsByKind()
	for _, c := range []struct {
		got  []gitrepo.Tip
		want []string
	}{
		{tips.Refs, []string{"refs/heads/loose", "refs/heads/main", "refs/heads/packed/deep", "refs/tags/v1", "worktrees/other/HEAD"}},
		{tips.Notes, []string{"refs/notes/commits"}},
		{tips.Stash, []string{"refs/stash", "stash@{1}"}},
	} {
		if d := cmp.Diff(c.want, names(c.got)); d != "" {
			t.Error(d)
		}
	}
	if got, want := tips.Stash[1].ID.String(), run(t, dir, "rev-parse", "stash@{1}"); got != want {
		t.Errorf("stash@{1} is %s, want %s", got, want)
	}
	linked := open(t, other)
	if !linked.Detached || linked.Head.String() != run(t, dir, "rev-parse", "HEAD~1") {
		t.Errorf("the linked worktree's HEAD is %s, detached %v", linked.Head, linked.Detached)
	}
	if got := names(linked.TipsByKind().Refs); !slices.Contains(got, "HEAD") || slices.Contains(got, "worktrees/other/HEAD") {
		t.Errorf("the linked worktree's tips: %v", got)
	}
}

// What is wrong with a ref is told, and the others are read.
func TestBrokenRefs(t *testing.T) {
	for name, c := range map[string]struct {
		file, text, say string
		empty           bool // of refs
	}{
		"garbage":        {file: "refs/heads/bad", text: "no id", say: `"refs/heads/bad"`},
		"empty":          {file: "refs/heads/bad", text: "", say: `"refs/heads/bad"`},
		"short id":       {file: "refs/heads/bad", text: "abcdef", say: "no object id"},
		"packed garbage": {file: "packed-refs", text: "# pack-refs\nxyz refs/heads/bad\n" + strings.Repeat("ab", 20) + " nowhere\n", say: "2 line(s) of it are no refs, the first is line 2"},
		"head garbage":   {file: "HEAD", text: "garbage", say: "HEAD"},
		"head elsewhere": {file: "HEAD", text: "ref: ../../etc/passwd", say: "HEAD"},
		"head in circle": {file: "refs/heads/main", text: "ref: refs/heads/main", say: "circle", empty: true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			run(t, dir, "init", "-q", "-b", "main")
			run(t, dir, "commit", "-q", "--allow-empty", "-m", "one")
			if err := os.WriteFile(filepath.Join(dir, ".git", filepath.FromSlash(c.file)), []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			r := open(t, dir)
			if len(r.Bad) != 1 || !strings.Contains(r.Bad[0].Error(), c.say) {
				t.Errorf("bad: %v, want one that says %q", r.Bad, c.say)
			}
			if len(r.Refs) == 0 != c.empty {
				t.Errorf("refs: %v", r.Refs)
			}
		})
	}
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	if r := open(t, dir); len(r.Bad) > 0 || !r.Head.IsZero() {
		t.Errorf("a branch without a commit yet: %v, %v", r.Head, r.Bad)
	}
}

func TestLogs(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "init", "-q", "-b", "main")
	run(t, dir, "commit", "-q", "--allow-empty", "-m", "one")
	first := run(t, dir, "rev-parse", "HEAD")
	run(t, dir, "commit", "-q", "--amend", "--allow-empty", "-m", "another")
	second := run(t, dir, "rev-parse", "HEAD")
	var got []string
	open(t, dir).Logs(func(e gitrepo.LogEntry) {
		got = append(got, e.Old.String()+" "+e.New.String()+" "+e.Message)
	})
	want := first + " " + second + " commit (amend): another"
	if !slices.Contains(got, want) || len(got) != 4 { // of HEAD and of main
		t.Errorf("got %q, want %q in it", got, want)
	}
}

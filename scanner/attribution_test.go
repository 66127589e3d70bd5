package scanner_test

import (
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

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// gitRepo is a repository made with the real git.
type gitRepo struct {
	t   testing.TB
	dir string
	now int // seconds added to the clock, so that every commit has a time of its own
}

func newGitRepo(t testing.TB) *gitRepo {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	r := &gitRepo{t: t, dir: t.TempDir()}
	r.git("init", "-q", "-b", "main")
	return r
}

func (r *gitRepo) try(args ...string) (string, error) {
	r.now++
	date := fmt.Sprintf("%d +0200", 1_700_000_000+r.now)
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "commit.gpgsign=false", "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ann Author", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Com Mitter", "GIT_COMMITTER_EMAIL=com@example.com", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func (r *gitRepo) git(args ...string) string {
	r.t.Helper()
	out, err := r.try(args...)
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			out += string(ee.Stderr)
		}
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (r *gitRepo) write(name, text string) {
	r.t.Helper()
	p := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o755), os.WriteFile(p, []byte(text), 0o644)); err != nil {
		r.t.Fatal(err)
	}
}

// commit commits all there is, with files written first: name, text, name, text.
func (r *gitRepo) commit(files ...string) string {
	r.t.Helper()
	for i := 0; i < len(files); i += 2 {
		r.write(files[i], files[i+1])
	}
	r.git("add", "-A")
	r.git("commit", "-q", "--allow-empty", "-m", "change")
	return r.git("rev-parse", "HEAD")
}

func (r *gitRepo) scan(o sources.GitOptions) (out []scanner.Finding, cov scanner.Coverage) {
	r.t.Helper()
	e, ok := engines[r.t]
	if !ok {
		e = testEngine(r.t, scanner.Options{})
		engines[r.t] = e
	}
	cov, err := e.Run(r.t.Context(), sources.Git(r.dir, o), scanner.RunOptions{Finding: func(f scanner.Finding) { out = append(out, f) }})
	if err != nil {
		r.t.Fatal(err)
	}
	return out, cov
}

// engines are kept over the repositories of a property test.
var engines = map[testing.TB]*scanner.Engine{}

// Every finding is what git itself tells of it: the first commit that brings a blob
// that holds it by git log --find-object, its refs by git for-each-ref --contains,
// its author, line and column by git show of that commit; on histories with
// branches, merges, cherry-picks and renames, loose and packed.
func TestAttributionIsWhatGitTells(t *testing.T) {
	if testing.Short() {
		t.Skip("runs git some thousand times")
	}
	rapid.Check(t, func(rt *rapid.T) {
		r := newGitRepo(t)
		drawHistory(rt, r)
		findings, cov := r.scan(sources.GitOptions{History: true})
		if !cov.Complete() {
			rt.Fatalf("not complete: %v", cov.Skipped)
		}
		told := map[string][]scanner.Finding{}
		for _, f := range findings {
			told[shownBy(r, f)] = append(told[shownBy(r, f)], f)
		}
		for n := range 3 {
			checkSecret(rt, r, tst(n), told[tst(n)])
		}
		sameBeside(rt, r)
	})
}

// sameBeside holds what is scanned beside the walk, by more than one worker, to what
// is scanned after it, by one, and to what is scanned blob by blob.
func sameBeside(rt *rapid.T, r *gitRepo) {
	if rapid.Bool().Draw(rt, "packed") {
		r.git("repack", "-q", "-a", "-d")
	}
	var want []string
	for _, o := range []scanner.RunOptions{{Workers: 1, Full: true}, {Workers: 1}, {Workers: 2}, {Workers: 3}} {
		var got []string
		workers := o.Workers
		o.Finding = func(f scanner.Finding) {
			head := "unknown"
			if f.Origin.InHead != nil {
				head = fmt.Sprint(*f.Origin.InHead)
			}
			f.Origin.InHead = nil
			got = append(got, fmt.Sprintf("%s %d:%d %+v in head %s, %d blobs, moved to %q", f.ID, f.Line, f.Column, f.Origin, head, f.Blobs, f.MovedTo))
		}
		cov, err := engines[r.t].Run(r.t.Context(), sources.Git(r.dir, sources.GitOptions{History: true, Unreachable: true}), o)
		if err != nil {
			rt.Fatal(err)
		}
		cov.Elapsed = 0
		if got = append(got, fmt.Sprintf("%+v", cov)); want == nil {
			want = got
		}
		if d := cmp.Diff(want, got); d != "" {
			rt.Errorf("%d workers: %s", workers, d)
		}
	}
}

func drawHistory(rt *rapid.T, r *gitRepo) {
	names := []string{"a", "d/a", "d/e/b", "z"}
	name := rapid.SampledFrom(names)
	text := func() string {
		s := strings.Repeat("line\n", rapid.IntRange(0, 3).Draw(rt, "before"))
		if n := rapid.IntRange(-2, 2).Draw(rt, "secret"); n >= 0 {
			s += "key = " + tst(n) + ";\n"
		}
		return s + fmt.Sprint("end ", rapid.IntRange(0, 1).Draw(rt, "end"), "\n")
	}
	r.commit("root", "root\n")
	branches := []string{"main"}
	for i := range rapid.IntRange(2, 9).Draw(rt, "steps") {
		switch rapid.SampledFrom([]string{"write", "write", "write", "rename", "delete", "branch", "merge", "pick", "tag", "gc"}).Draw(rt, "step") {
		case "write":
			r.commit(name.Draw(rt, "name"), text())
		case "rename":
			from, to := name.Draw(rt, "from"), name.Draw(rt, "to")
			os.MkdirAll(filepath.Dir(filepath.Join(r.dir, to)), 0o755)
			if os.Rename(filepath.Join(r.dir, from), filepath.Join(r.dir, to)) == nil {
				if rapid.Bool().Draw(rt, "changed") {
					old, _ := os.ReadFile(filepath.Join(r.dir, to))
					r.write(to, "more\n"+string(old))
				}
				r.commit()
			}
		case "delete":
			os.Remove(filepath.Join(r.dir, name.Draw(rt, "name")))
			r.commit()
		case "branch":
			b := fmt.Sprint("b", i)
			r.git("checkout", "-q", "-b", b, rapid.SampledFrom(branches).Draw(rt, "from"))
			branches = append(branches, b)
		case "merge":
			r.try("merge", "-q", "-X", "ours", "-m", "merge", rapid.SampledFrom(branches).Draw(rt, "other"))
			r.git("add", "-A")
			r.try("commit", "-q", "-m", "merge")
		case "pick":
			if _, err := r.try("cherry-pick", rapid.SampledFrom(branches).Draw(rt, "picked")); err != nil {
				r.try("cherry-pick", "--abort")
			}
		case "tag":
			r.git("tag", "-a", "-m", "t", fmt.Sprint("t", i))
		case "gc":
			r.git("gc", "-q")
		}
	}
	r.git("reset", "-q", "--hard")
}

// shownBy is the text at the finding's place in its commit, by git.
func shownBy(r *gitRepo, f scanner.Finding) string {
	text := r.git("cat-file", "blob", f.Origin.Commit+":"+f.Origin.Path)
	lines := strings.Split(text, "\n")
	if f.Line > len(lines) || f.EndColumn > len(lines[f.Line-1]) {
		return "nothing there"
	}
	return lines[f.Line-1][f.Column-1 : f.EndColumn]
}

func checkSecret(rt *rapid.T, r *gitRepo, secret string, told []scanner.Finding) {
	var blobs []string
	for line := range strings.Lines(r.git("cat-file", "--batch-all-objects", "--batch-check")) {
		if f := strings.Fields(line); f[1] == "blob" && strings.Contains(r.git("cat-file", "blob", f[0]), secret) {
			blobs = append(blobs, f[0])
		}
	}
	var first string
	refs := map[string]bool{}
	held := 0
	for _, b := range blobs {
		// Commits that change how often the blob occurs; -m asks each parent.
		log := r.git("log", "--all", "-m", "--format=%ct %H", "--find-object="+b)
		if log != "" {
			held++
		}
		for line := range strings.Lines(log) {
			line = strings.TrimSpace(line)
			if line == "" {
				continue
			}
			_, c, _ := strings.Cut(line, " ")
			if !strings.Contains(r.git("ls-tree", "-r", c), b) {
				continue // takes it away
			}
			if first == "" || line < first {
				first = line
			}
			for name := range strings.FieldsSeq(r.git("for-each-ref", "--format=%(refname)", "--contains", c)) {
				refs[name] = true
			}
		}
	}
	if held == 0 {
		if len(told) > 0 {
			rt.Fatalf("%s: %d findings of what no commit holds", secret, len(told))
		}
		return
	}
	if len(told) == 0 {
		rt.Fatalf("%s: not found", secret)
	}
	_, want, _ := strings.Cut(first, " ")
	got := map[string]bool{}
	sum, isFirst := 0, false
	for _, f := range told {
		sum += f.Blobs
		isFirst = isFirst || f.Origin.Commit == want
		if f.Origin.Author != "Ann Author" || f.Origin.Email != "ann@example.com" || fmt.Sprint(f.Origin.Date.Unix()) != r.git("log", "-1", "--format=%at", f.Origin.Commit) {
			rt.Errorf("%s: by %s <%s> at %s", secret, f.Origin.Author, f.Origin.Email, f.Origin.Date)
		}
		for _, ref := range f.Origin.Refs {
			got[ref] = true
		}
		if f.Origin.RefCount != len(f.Origin.Refs) {
			rt.Errorf("%s: %d refs told of %d", secret, len(f.Origin.Refs), f.Origin.RefCount)
		}
		_, err := r.try("grep", "-q", secret, "HEAD")
		if inHead := f.Origin.InHead != nil && *f.Origin.InHead; inHead && err != nil {
			rt.Errorf("%s: HEAD does not hold it", secret)
		}
	}
	if !isFirst {
		rt.Errorf("%s: no finding names its first commit %s: %+v", secret, want, told)
	}
	if sum != held {
		rt.Errorf("%s: %d blobs told, %d hold it", secret, sum, held)
	}
	if d := cmp.Diff(refs, got); d != "" {
		rt.Errorf("%s: refs (-git +we): %s", secret, d)
	}
}

// What HEAD still holds is blamed on the commit that the finding names, over edits
// around it and over renames.
func TestAttributionIsWhatGitBlames(t *testing.T) {
	r := newGitRepo(t)
	body := strings.Repeat("some line of a file\n", 30)
	r.commit("plain.txt", body, "old/name.txt", body)
	r.commit("plain.txt", body+"k = "+tst(1)+"\n")
	r.commit("old/name.txt", "k = "+tst(2)+"\n"+body)
	r.commit("plain.txt", "first\n"+body+"k = "+tst(1)+"\nlast\n")
	r.git("gc", "-q")
	if err := os.Mkdir(filepath.Join(r.dir, "new"), 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("mv", "old/name.txt", "new/name.txt")
	r.commit("new/name.txt", "head\nk = "+tst(2)+"\n"+body)
	r.commit("new/name.txt", "head\nmore\nk = "+tst(2)+"\n"+body+"end\n")
	findings, _ := r.scan(sources.GitOptions{History: true})
	if len(findings) != 2 {
		t.Fatalf("%d findings", len(findings))
	}
	for _, f := range findings {
		path := f.Origin.Path
		if n := len(f.MovedTo); n > 0 {
			path = f.MovedTo[n-1]
		}
		blame := ""
		for line := range strings.Lines(r.git("blame", "-s", "-l", "HEAD", "--", path)) {
			if strings.Contains(line, shownBy(r, f)) {
				blame = strings.Fields(line)[0]
			}
		}
		if f.Origin.Commit != blame || f.Origin.InHead == nil || !*f.Origin.InHead {
			t.Errorf("%s: first in %s, git blames %s", path, f.Origin.Commit, blame)
		}
	}
	if f := findings[0]; f.Origin.Path != "old/name.txt" || !slices.Equal(f.MovedTo, []string{"new/name.txt"}) || f.Blobs != 3 {
		t.Errorf("the renamed file: %+v", f)
	}
}

// A copy is a leak of its own; the refs are those of each.
func TestAttributionOfCopies(t *testing.T) {
	r := newGitRepo(t)
	r.commit("a", "k = "+tst(1)+"\n")
	r.git("checkout", "-q", "-b", "side")
	r.commit("b", "# copied\nk = "+tst(1)+"\n")
	r.git("tag", "v1")
	r.git("checkout", "-q", "main")
	findings, _ := r.scan(sources.GitOptions{History: true})
	var got []string
	for _, f := range findings {
		got = append(got, fmt.Sprint(f.Origin.Path, " ", f.Origin.Refs))
	}
	if d := cmp.Diff([]string{"a [refs/heads/main refs/heads/side refs/tags/v1]", "b [refs/heads/side refs/tags/v1]"}, got); d != "" {
		t.Error(d)
	}
	// A folder's scan and one narrowed to paths know the same refs; a range knows
	// those among its commits.
	r.commit("d/a", "k = "+tst(2)+"\n")
	for _, o := range []sources.GitOptions{{History: true}, {History: true, Scope: sources.Scope{Paths: []string{"d"}}}, {Scope: sources.Scope{Range: "HEAD~1.."}}} {
		findings, _ := r.scan(o)
		i := slices.IndexFunc(findings, func(f scanner.Finding) bool { return f.Origin.Path == "d/a" })
		if i < 0 || !slices.Equal(findings[i].Origin.Refs, []string{"refs/heads/main"}) {
			t.Errorf("%+v: %+v", o, findings)
		}
	}
}

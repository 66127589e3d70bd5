package fuzz

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

// notebook is a sources.Memory in memory.
type notebook map[string][]byte

func (n notebook) Load(name string) ([]byte, bool) { b, ok := n[name]; return b, ok }
func (n notebook) Save(name string, b []byte)      { n[name] = bytes.Clone(b) }

// repository is one that git itself makes.
type repository struct {
	t   *rapid.T
	dir string
	now int // seconds, for dates that are the same in each run
}

func (r *repository) git(args ...string) string {
	out, err := r.try(args...)
	if err != nil {
		r.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return out
}

func (r *repository) try(args ...string) (string, error) {
	date := fmt.Sprintf("%d +0130", 1_700_000_000+r.now)
	cmd := exec.Command("git", append([]string{"-C", r.dir, "-c", "gc.auto=0", "-c", "commit.gpgsign=false", "-c", "protocol.file.allow=always"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.com", "GIT_AUTHOR_DATE="+date,
		"GIT_COMMITTER_NAME=Com", "GIT_COMMITTER_EMAIL=com@example.com", "GIT_COMMITTER_DATE="+date)
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (r *repository) write(name, text string) {
	p := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// text is what messages hold: secrets of several kinds, or none.
func (r *repository) text() string {
	secrets := []string{"ghp_{30:alnum}{6:crc32}", "password = \"{14:alnum}\"", "glpat-{20:alnum}", "nothing to see", "-----BEGIN RSA PRIVATE KEY-----\n{64:b64}\n{64:b64}\n-----END RSA PRIVATE KEY-----"}
	var b strings.Builder
	for range rapid.IntRange(0, 4).Draw(r.t, "lines") {
		text, err := rules.Expand(rapid.SampledFrom(secrets).Draw(r.t, "secret"), uint64(rapid.IntRange(1, 3).Draw(r.t, "seed")))
		if err != nil {
			r.t.Fatal(err)
		}
		fmt.Fprintf(&b, "some words;\n%s;\n", text)
	}
	return b.String()
}

// content is what files hold: text, archives, and what is not to be read.
func (r *repository) content() string {
	text := r.text()
	switch rapid.IntRange(0, 9).Draw(r.t, "as") {
	case 0:
		return "\x00" + text
	case 1:
		var z bytes.Buffer
		w := zip.NewWriter(&z)
		if f, err := w.Create("in.txt"); err == nil {
			io.WriteString(f, text)
		}
		w.Close()
		return z.String()
	}
	return strings.Repeat("a line that stays;\n", rapid.IntRange(0, 40).Draw(r.t, "stays")) + text
}

// step does to the repository one of the things that happen to them.
func (r *repository) step() {
	r.now += rapid.IntRange(-3, 20).Draw(r.t, "time")
	switch rapid.SampledFrom([]string{"commit", "commit", "commit", "branch", "merge", "tag", "amend", "reset", "gc", "prune", "repack", "move", "delete branch", "stash", "nothing", "lose", "shallow", "delete ref"}).Draw(r.t, "step") {
	case "commit":
		r.write(rapid.SampledFrom([]string{"a.txt", "b/c.env", "b/d_test.go", "e"}).Draw(r.t, "path"), r.content())
		r.git("add", "-A")
		r.git("commit", "-q", "--allow-empty", "-m", "change "+rapid.SampledFrom([]string{"", r.text()}).Draw(r.t, "message"))
	case "branch":
		r.git("checkout", "-q", "-B", rapid.SampledFrom([]string{"one", "two"}).Draw(r.t, "branch"))
	case "merge":
		if _, err := r.try("merge", "-q", "-X", "ours", "--no-edit", rapid.SampledFrom([]string{"one", "two", "main"}).Draw(r.t, "from")); err != nil {
			r.try("merge", "--abort")
		}
	case "tag":
		r.git("tag", "-f", "-a", "v1", "-m", "a tag "+r.text())
	case "amend":
		r.write("a.txt", r.content())
		r.git("add", "-A")
		r.git("commit", "-q", "--amend", "--allow-empty", "-m", "amended")
	case "reset":
		r.try("reset", "-q", "--hard", "HEAD~1")
	case "gc":
		r.git("gc", "-q")
	case "prune":
		r.git("reflog", "expire", "--expire=now", "--all")
		r.git("gc", "-q", "--prune=now")
	case "repack":
		r.git("repack", "-q", "-d")
	case "move":
		r.try("mv", "-f", "a.txt", "b/moved.txt")
		r.git("commit", "-q", "--allow-empty", "-m", "moved")
	case "delete branch":
		r.git("checkout", "-q", "-B", "main")
		r.try("branch", "-D", "one")
	case "shallow":
		r.shallow()
	case "delete ref":
		r.try("tag", "-d", "v1")
		r.try("update-ref", "-d", "refs/stash")
	case "stash":
		r.write("a.txt", r.content())
		r.try("stash", "push", "-q")
	case "lose":
		loose, _ := filepath.Glob(filepath.Join(r.dir, ".git", "objects", "??", "*"))
		if len(loose) > 0 && rapid.Bool().Draw(r.t, "really") {
			name := rapid.SampledFrom(loose).Draw(r.t, "lost")
			away := filepath.Join(r.dir, "lost")
			if os.Rename(name, away) == nil {
				r.compare()
				if err := os.Rename(away, name); err != nil {
					r.t.Fatal(err)
				}
			}
		}
	}
}

// shallow cuts the history off for one scan, as a shallow clone is, and has it back.
func (r *repository) shallow() {
	file := filepath.Join(r.dir, ".git", "shallow")
	if err := os.WriteFile(file, []byte(r.git("rev-parse", "HEAD")+"\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	r.compare()
	if err := os.Remove(file); err != nil {
		r.t.Fatal(err)
	}
}

var whenAndCached = regexp.MustCompile(`"(elapsed_ms|cached)":\d+,?`)

// told is what a scan reports, but for how long it took and what it did not read.
func told(t *rapid.T, e *scanner.Engine, dir string, o sources.GitOptions, m *scanner.Memory) string {
	var out bytes.Buffer
	w, err := report.New("jsonl", &out, report.Options{ShowSecrets: true})
	if err != nil {
		t.Fatal(err)
	}
	src := sources.Git(dir, o)
	cov, err := e.Run(context.Background(), src, scanner.RunOptions{Memory: m, Finding: func(f scanner.Finding) {
		if err := w.Finding(f); err != nil {
			t.Fatal(err)
		}
	}})
	if err != nil {
		fmt.Fprintln(&out, err)
	}
	if err := src.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(cov, report.Totals{}); err != nil {
		t.Fatal(err)
	}
	if m != nil {
		subject.cached += cov.Cached
	}
	if !json.Valid(out.Bytes()[bytes.LastIndexByte(bytes.TrimSpace(out.Bytes()), '\n')+1:]) {
		t.Fatalf("no JSON: %s", out.String())
	}
	return whenAndCached.ReplaceAllString(out.String(), "")
}

// subject is what the steps are done to and compared.
var subject struct {
	engine *scanner.Engine
	memory *scanner.Memory
	walks  notebook
	cached int64
}

func (r *repository) compare() {
	o := sources.GitOptions{History: true, Unreachable: true}
	fresh := told(r.t, subject.engine, r.dir, o, nil)
	o.Walks = subject.walks
	for _, which := range []string{"a cached scan", "a cached scan of what has not changed"} {
		if got := told(r.t, subject.engine, r.dir, o, subject.memory); got != fresh {
			r.t.Fatalf("%s says\n%s\nand a fresh one\n%s", which, got, fresh)
		}
		if subject.memory.Failed {
			r.t.Fatal("the memory proved wrong")
		}
		c, err := cache.Parse(subject.memory.Cache.Bytes())
		if err != nil {
			r.t.Fatal(err)
		}
		subject.memory.Cache = c
	}
}

// Whatever happens to a repository between scans, a scan with what earlier ones left
// reports, byte for byte, what one without reports: it grows, is packed and repacked,
// merged, amended, pushed over, pruned, loses an object and has it back.
func TestCachedIsFresh(t *testing.T) {
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	if subject.engine, err = scanner.New(set, scanner.Options{}); err != nil {
		t.Fatal(err)
	}
	checks := 0
	rapid.Check(t, func(t *rapid.T) {
		if checks++; testing.Short() && checks > 8 {
			return // each runs git some thirty times
		}
		dir, err := os.MkdirTemp("", "quench-cache-")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		r := &repository{t: t, dir: dir}
		r.git("init", "-q", "-b", "main")
		r.git("commit", "-q", "--allow-empty", "-m", "first")
		subject.memory, subject.walks = &scanner.Memory{Cache: &cache.Cache{}}, notebook{}
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			r.step()
			r.compare()
		}
	})
	if subject.cached == 0 {
		t.Error("nothing was ever taken from the cache")
	}
}

package scanner_test

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/sources"
)

// walks keeps what a source keeps from scan to scan.
type walks map[string][]byte

func (w walks) Load(name string) ([]byte, bool)  { b, ok := w[name]; return b, ok }
func (w walks) Save(name string, content []byte) { w[name] = content }

// again scans a repository, history and working tree, with what is remembered.
func (r *gitRepo) again(t interface{ Fatal(...any) }, e *scanner.Engine, m *scanner.Memory, w sources.Memory) told {
	src := sources.Git(r.dir, sources.GitOptions{History: true, Worktree: true, Unreachable: true, Walks: w})
	out := tell(t, e, src, m)
	if err := src.(io.Closer).Close(); err != nil {
		t.Fatal(err)
	}
	return out
}

// Whatever happens to a repository and its working tree between two scans, one with the
// memory of those before tells what one without tells.
func TestGrown(t *testing.T) {
	if testing.Short() {
		t.Skip("makes repositories")
	}
	line := rapid.SampledFrom([]string{"a line\n", tst(1) + "\n", tst(2) + " quench:allow\n", "k = " + tst(3) + ";\n", "p = \"" + hex[1:] + "Zq\"\n", "known-" + hex[:12] + "\n",
		"b64 " + base64.StdEncoding.EncodeToString([]byte("x "+tst(4))) + "\n", "\x00", strings.Repeat("wide ", 100) + "\n"})
	tb, files := t, 0
	defer func() {
		if files == 0 && !tb.Failed() {
			tb.Error("no file of a working tree was told again")
		}
	}()
	rapid.Check(t, func(t *rapid.T) {
		r := newGitRepo(tb)
		m, w := &scanner.Memory{Cache: &cache.Cache{}, Name: "these rules"}, walks{}
		tokens := knownSet{}
		registry := rapid.Bool().Draw(t, "registry")
		for range rapid.IntRange(2, 6).Draw(t, "scans") {
			for range rapid.IntRange(0, 3).Draw(t, "changes") {
				name := rapid.SampledFrom([]string{"a", "b/c.env", "d/e/f"}).Draw(t, "file")
				switch rapid.IntRange(0, 12).Draw(t, "change") {
				case 0, 1, 2, 3:
					r.write(name, strings.Join(rapid.SliceOfN(line, 0, 4).Draw(t, "text"), ""))
				case 4, 5:
					r.commit()
				case 6:
					_, _ = r.try("commit", "-q", "--amend", "--allow-empty", "-m", rapid.SampledFrom([]string{"other", tst(5)}).Draw(t, "message"))
				case 7:
					_, _ = r.try("mv", "-k", name, name+"2")
				case 8:
					_ = os.Remove(filepath.Join(r.dir, name))
				case 9: // a branch that is older than what is known
					_, _ = r.try("checkout", "-q", "-B", "side", "HEAD~1")
					r.commit(name, tst(6)+"\n")
				case 10:
					_, _ = r.try("merge", "-q", "-s", "ours", "-m", "merge", "main")
					_, _ = r.try("branch", "-f", "main", "HEAD")
				case 11:
					_, _ = r.try("reset", "-q", "--hard", "HEAD~1")
				case 12:
					_, _ = r.try("tag", "-f", "-m", tst(7), "v1")
					if rapid.Bool().Draw(t, "gc") {
						r.git("gc", "-q")
					}
				}
			}
			if registry && rapid.IntRange(0, 4).Draw(t, "import") == 0 {
				tokens["known-"+hex[:12]] = "7"
			}
			engine := func() *scanner.Engine {
				if registry {
					return testEngine(tb, scanner.Options{Known: keyed{knownSet: tokens, key: "one"}})
				}
				return testEngine(tb, scanner.Options{})
			}
			fresh := tell(t, engine(), sources.Git(r.dir, sources.GitOptions{History: true, Worktree: true, Unreachable: true}), nil)
			for i := range 2 {
				got := r.again(t, engine(), m, w)
				if d := cmp.Diff(fresh, got, same); d != "" {
					t.Fatal(fmt.Sprint("scan ", i), d)
				}
				if m.Failed {
					t.Fatal("the memory is wrong")
				}
				if i == 1 && got.Cov.Files > 0 && got.Cov.Cached > got.Cov.Blobs {
					files++
				}
			}
		}
	})
}

// A file of the working tree is told again while its bytes and its path are what they
// were, and the history is; what changed is read.
func TestFilesToldAgain(t *testing.T) {
	r := newGitRepo(t)
	r.commit("a", tst(1)+"\n", "same", tst(1)+"\n")
	r.write("a", "first\n"+tst(1)+"\n"+tst(2)+" quench:allow\n")
	r.write("untracked", tst(3)+"\n")
	r.write("large", strings.Repeat("words and words\n", 1<<16)+tst(4)+"\n") // is read each time
	e := testEngine(t, scanner.Options{})
	m, w := &scanner.Memory{Cache: &cache.Cache{}, Name: "these rules"}, walks{}
	cached := func(want int64) {
		t.Helper()
		fresh := tell(t, e, sources.Git(r.dir, sources.GitOptions{History: true, Worktree: true, Unreachable: true}), nil)
		got := r.again(t, e, m, w)
		if d := cmp.Diff(fresh, got, same); d != "" || m.Failed {
			t.Error(d, m.Failed)
		}
		if got.Cov.Cached != want {
			t.Errorf("%d were told again, want %d", got.Cov.Cached, want)
		}
	}
	cached(0)
	const history = 3 // a blob, a message and the lines above it
	cached(history + 3)
	r.write("a", tst(2)+"\n")
	cached(history + 2)
	r.write("large", "words\n")
	cached(history + 2)
	r.write("untracked", "")
	cached(history + 1)
	r.commit() // another history
	cached(3)
}

package sources_test

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/quench-dev/quench/sources"
)

// manyVersions commits files that change a little each time.
func manyVersions(t testing.TB, n int) *testRepo {
	r := newRepo(t)
	rnd := rand.New(rand.NewPCG(1, 2))
	lines := make([]string, 80)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d %x", i, rnd.Uint64())
	}
	var in strings.Builder
	for v := range n {
		lines[rnd.IntN(len(lines))] = fmt.Sprintf("version %d %x", v, rnd.Uint64())
		data := strings.Join(lines[rnd.IntN(9):], "\n")
		if v%10 == 3 {
			data = "\x00" + data // binary
		}
		fmt.Fprintf(&in, "commit refs/heads/main\ncommitter a <a@example.com> %d +0000\ndata 1\nx\nM 644 inline dir%d/f%d\ndata %d\n%s\n", v+1, v%2, v%4, len(data), data)
	}
	name := filepath.Join(r.dir, "in")
	if err := os.WriteFile(name, []byte(in.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	r.sh("git fast-import --quiet --force < in && rm in && git gc -q && git reset -q --hard")
	return r
}

// Visited content is what opening gives, each item once or left, whatever the
// number of workers, and a base is visited before what is made of it.
func TestGitVisit(t *testing.T) {
	r := manyVersions(t, 150)
	r.commit("loose", map[string]string{"loose": "not packed"})
	src := r.history("")
	var items []sources.Item
	for _, it := range list(t, src) {
		if it.Skip == nil && it.Origin.Blob != "" {
			items = append(items, it)
		}
	}
	for _, workers := range []int{1, 4} {
		var mu sync.Mutex
		visited, bases, binary := map[int]bool{}, 0, 0
		left, err := src.(sources.Visitor).Visit(t.Context(), items, workers, func(c *sources.Content) any {
			mu.Lock()
			defer mu.Unlock()
			if visited[c.Index] {
				t.Errorf("item %d is visited twice", c.Index)
			}
			visited[c.Index] = true
			want, err := readItem(t, items[c.Index])
			if c.Skip != nil {
				binary++
				var s *sources.SkipError
				if !errors.As(err, &s) || s.Reason != c.Skip.Reason {
					t.Errorf("item %d is skipped as %s and opens with %v", c.Index, c.Skip.Reason, err)
				}
				return nil
			}
			if err != nil || want != string(c.Data) {
				t.Errorf("item %d: %d bytes, opening gives %d and %v", c.Index, len(c.Data), len(want), err)
			}
			if c.Base != nil {
				bases++
				for _, k := range c.Copies {
					if !bytes.Equal(c.Data[k.Dst:k.Dst+k.Len], c.Base.([]byte)[k.Src:k.Src+k.Len]) {
						t.Errorf("item %d: %+v is no copy", c.Index, k)
					}
				}
			}
			return bytes.Clone(c.Data)
		})
		if err != nil || len(left) != 1 || items[left[0]].Origin.Path != "loose" || len(visited)+len(left) != len(items) {
			t.Errorf("%d workers: visited %d, left %v of %d: %v", workers, len(visited), left, len(items), err)
		}
		if bases < len(items)/2 || binary != 15 {
			t.Errorf("%d of %d had a base, %d are binary", bases, len(items), binary)
		}
	}
}

// Of a few items, of broken packs and of a source that was not listed nothing is
// visited.
func TestGitVisitLeaves(t *testing.T) {
	r := manyVersions(t, 100)
	src := r.history("")
	items := list(t, src)
	visit := func(src sources.Source, items []sources.Item) (n, left int) {
		var mu sync.Mutex
		l, err := src.(sources.Visitor).Visit(context.Background(), items, 2, func(*sources.Content) any {
			mu.Lock()
			defer mu.Unlock()
			n++
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		return n, len(l)
	}
	if n, left := visit(src, items[:20]); n != 0 || left != 20 {
		t.Errorf("few: %d, left %d", n, left)
	}
	if n, left := visit(r.history(""), items); n != 0 || left != len(items) {
		t.Errorf("not listed: %d, left %d", n, left)
	}
	packs, _ := filepath.Glob(filepath.Join(r.dir, ".git/objects/pack/*.pack"))
	data, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := len(data) / 2; i < len(data)-20; i++ {
		data[i] ^= 0x55
	}
	if err := errors.Join(os.Remove(packs[0]), os.WriteFile(packs[0], data, 0o644)); err != nil {
		t.Fatal(err)
	}
	broken := r.history("")
	list(t, broken)
	if n, left := visit(broken, items); n+left != len(items) || left == 0 {
		t.Errorf("broken: %d, left %d", n, left)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := src.(sources.Visitor).Visit(ctx, items, 2, func(*sources.Content) any { return nil }); !errors.Is(err, context.Canceled) {
		t.Error("cancelled:", err)
	}
}

func (r *testRepo) sh(script string) {
	r.t.Helper()
	cmd := exec.Command("sh", "-c", script)
	cmd.Dir = r.dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	if out, err := cmd.CombinedOutput(); err != nil {
		r.t.Fatalf("%s: %v\n%s", script, err, out)
	}
}

// What is visited ahead are blobs as they are, each once, and those that are listed
// and packed are among them; a walk that is narrowed visits none.
func TestForetell(t *testing.T) {
	r := manyVersions(t, 80)
	for _, narrow := range []bool{false, true} {
		o := sources.GitOptions{History: true, Unreachable: true}
		if narrow {
			o.Scope.MaxCount = 3
		}
		src := sources.Git(r.dir, o).(sources.Foreteller)
		var mu sync.Mutex
		visited, skipped := map[sources.ObjectID]int{}, sources.ObjectID{}
		src.Foretell(&sources.Ahead{Workers: 2, Most: 1 << 20,
			Wanted: func(id sources.ObjectID) bool {
				if skipped == (sources.ObjectID{}) {
					skipped = id
				}
				return id != skipped
			},
			Visit: func(id sources.ObjectID, c *sources.Content) any {
				mu.Lock()
				defer mu.Unlock()
				visited[id]++
				if c.Skip == nil {
					if sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(c.Data)), c.Data...)); sum != [20]byte(id) {
						t.Errorf("%x is visited as other bytes", id)
					}
				}
				return nil
			}})
		listed := 0
		if err := src.Items(t.Context(), func(it sources.Item) error {
			if it.Origin.Blob != "" {
				listed++
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := listed - 1
		if narrow {
			want = 0
		}
		if len(visited) != want || visited[skipped] != 0 {
			t.Errorf("narrowed %v: %d visited of %d listed", narrow, len(visited), listed)
		}
		for id, n := range visited {
			if n != 1 {
				t.Errorf("%x is visited %d times", id, n)
			}
		}
	}
}

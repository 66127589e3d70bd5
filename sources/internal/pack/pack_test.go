package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	gitcache "github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

func git(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git is not installed")
	}
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "gc.auto=0"}, args...)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			t.Fatalf("git %v: %v\n%s", args, err, ee.Stderr)
		}
		t.Fatal(err)
	}
	return string(out)
}

// gitRepo makes a bare repository of blobs whose versions delta well, in several
// packs and loose, and gives its object folder.
func gitRepo(t testing.TB) (objects string) {
	t.Helper()
	dir := t.TempDir()
	git(t, dir, "", "init", "-q", "--bare")
	r := rand.New(rand.NewPCG(7, 8))
	for part := range 3 {
		var in strings.Builder
		lines := make([]string, 60)
		for i := range lines {
			lines[i] = fmt.Sprintf("file %d, line %d: %x", part, i, r.Uint64())
		}
		for v := range 60 {
			lines[r.IntN(len(lines))] = fmt.Sprintf("version %d: %x", v, r.Uint64())
			text := strings.Join(lines[:len(lines)-r.IntN(20)], "\n")
			fmt.Fprintf(&in, "commit refs/heads/b%d\ncommitter a <a@example.com> %d +0000\ndata 4\ntext\nM 644 inline f%d\ndata %d\n%s\n", part, v, v%3, len(text), text)
		}
		git(t, dir, in.String(), "fast-import", "--quiet")
		git(t, dir, "", "repack", "-q", "-d", "--depth=200", "--window=80")
	}
	git(t, dir, "only loose", "hash-object", "-w", "--stdin")
	git(t, dir, "", "hash-object", "-w", "--stdin")
	return filepath.Join(dir, "objects")
}

// every gives what git cat-file says of all objects of a repository.
func every(t testing.TB, objects string) map[ID]string {
	t.Helper()
	out := git(t, objects+"/..", "", "cat-file", "--batch-all-objects", "--batch")
	all := map[ID]string{}
	for len(out) > 0 {
		head, rest, _ := strings.Cut(out, "\n")
		var hex, kind string
		var n int
		if _, err := fmt.Sscanf(head, "%s %s %d", &hex, &kind, &n); err != nil {
			t.Fatalf("%q: %v", head, err)
		}
		all[ID(plumbing.NewHash(hex))] = kind + " " + rest[:n]
		out = rest[n+1:]
	}
	return all
}

// walkAll visits everything in ids and gives what the visitor saw, having proven
// copies against their bases.
func walkAll(t testing.TB, s *Store, ids []ID, workers int) (got map[ID]string, left []int) {
	t.Helper()
	var mu sync.Mutex
	got = map[ID]string{}
	left, err := s.Walk(context.Background(), ids, workers, func(v *Visit) any {
		if v.Base != nil {
			base := v.Base.([]byte)
			if len(base) != v.BaseLen {
				t.Errorf("base of %d bytes, told %d", len(base), v.BaseLen)
			}
			end := 0
			for _, c := range v.Copies {
				if c.Dst < end || c.Len <= 0 || !bytes.Equal(v.Data[c.Dst:c.Dst+c.Len], base[c.Src:c.Src+c.Len]) {
					t.Errorf("a copy is none: %+v", c)
				}
				end = c.Dst + c.Len
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if _, twice := got[ids[v.Index]]; twice {
			t.Errorf("%s is visited twice", ids[v.Index])
		}
		got[ids[v.Index]] = v.Kind.String() + " " + string(v.Data)
		return bytes.Clone(v.Data)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, left
}

// Our objects are those of git cat-file and of go-git, read one by one and walked,
// by one worker and by several, mapped and not, with much memory and with little.
func TestSameAsGit(t *testing.T) {
	objects := gitRepo(t)
	t.Run("indexes", func(t *testing.T) { same(t, objects) })
	git(t, objects+"/..", "", "multi-pack-index", "write")
	idx, err := filepath.Glob(filepath.Join(objects, "pack", "*.idx"))
	if err != nil || len(idx) < 3 {
		t.Fatal(idx, err)
	}
	all := every(t, objects)
	for _, f := range idx {
		os.Remove(f)
	}
	t.Run("multi-pack-index", func(t *testing.T) { sameAs(t, objects, all) })
	for _, p := range idx {
		git(t, objects+"/..", "", "index-pack", "--index-version=1", "-o", p, strings.TrimSuffix(p, "idx")+"pack")
	}
	// go-git does not know this version.
	t.Run("version 1", func(t *testing.T) { sameAs(t, objects, all) })
	git(t, objects+"/..", "", "repack", "-q", "-a", "-d", "-f", "--depth=4000", "--window=200")
	t.Run("one deep pack", func(t *testing.T) { same(t, objects) })
}

func same(t *testing.T, objects string) {
	all := every(t, objects)
	sameAs(t, objects, all)
	oracle := filesystem.NewStorage(osfs.New(objects+"/.."), gitcache.NewObjectLRUDefault())
	for id, want := range all {
		o, err := oracle.EncodedObject(plumbing.AnyObject, plumbing.Hash(id))
		if err != nil {
			t.Fatal(err)
		}
		rc, err := o.Reader()
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(rc)
		if got := o.Type().String() + " " + string(data); err != nil || got != want {
			t.Errorf("go-git and git differ on %s", id)
		}
	}
}

func sameAs(t *testing.T, objects string, all map[ID]string) {
	var ids []ID
	for id := range all {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	defer func() { noMap = false }()
	for _, noMap = range []bool{false, true} {
		for _, memory := range []int64{0, 20 << 10} {
			s, bad := Open([]string{objects}, Options{Memory: memory})
			if len(bad) > 0 {
				t.Fatal(bad)
			}
			loose := 0
			for id, want := range all {
				k, data, err := s.Read(id)
				if got := k.String() + " " + string(data); err != nil || got != want {
					t.Fatalf("%s: %v; %q, want %q", id, err, got, want)
				}
				if _, err := os.Stat(loosePath(objects, id)); err == nil {
					loose++
				}
				if k == Blob {
					rc, err := s.OpenBlob(id)
					if err != nil {
						t.Fatal(err)
					}
					data, err := io.ReadAll(rc)
					rc.Close()
					if err != nil || "blob "+string(data) != want {
						t.Fatalf("%s opens as %q: %v", id, data, err)
					}
				}
			}
			for _, workers := range []int{1, 4} {
				got, left := walkAll(t, s, ids, workers)
				if len(left) != loose || len(got)+loose != len(all) {
					t.Errorf("walked %d, left %d, of %d with %d loose", len(got), len(left), len(all), loose)
				}
				for id, text := range got {
					if all[id] != text {
						t.Errorf("%s is walked as %q, want %q", id, text, all[id])
					}
				}
			}
			// Some of them: the others are read when they are bases.
			some := slices.DeleteFunc(slices.Clone(ids), func(id ID) bool { return id[3]%5 != 0 })
			got, left := walkAll(t, s, some, 3)
			if len(got)+len(left) != len(some) {
				t.Errorf("walked %d and left %d of %d", len(got), len(left), len(some))
			}
			s.Close()
			if _, _, err := s.Read(ids[0]); err != nil {
				t.Error("after Close:", err)
			}
			s.Close()
		}
	}
}

// Deltas against bases in another pack, loose, and by id in their own pack, later
// in it than themselves.
func TestThinPacks(t *testing.T) {
	dir := t.TempDir()
	texts := [][]byte{[]byte("the first text"), []byte("the second text"), []byte("the third text"), []byte("the loose text"), []byte("the late text")}
	var ids []ID
	for _, b := range texts {
		ids = append(ids, objectID(Blob, b))
	}
	a, b := newMaker(t), newMaker(t)
	a.whole(Blob, texts[0])
	saveLoose(t, dir, Blob, texts[3])
	b.ref(ids[1], ids[0], deltaTo(texts[0], texts[1]))
	b.ref(ids[2], ids[3], deltaTo(texts[3], texts[2]))
	late := []byte("made of the late text")
	ids = append(ids, objectID(Blob, late))
	texts = append(texts, late)
	b.ref(ids[5], ids[4], deltaTo(texts[4], late))
	b.whole(Blob, texts[4])
	a.save(dir, "a", 2)
	b.save(dir, "b", 2)
	s, bad := Open([]string{dir}, Options{})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	defer s.Close()
	for i, id := range ids {
		if k, data, err := s.Read(id); err != nil || k != Blob || !bytes.Equal(data, texts[i]) {
			t.Errorf("%d: %q, %v", i, data, err)
		}
	}
	got, left := walkAll(t, s, ids, 2)
	if len(got) != len(ids)-1 || !slices.Equal(left, []int{3}) {
		t.Errorf("walked %v, left %v", got, left)
	}
}

// A chain of 10,000 deltas takes no stack, and memory for two of its objects.
func TestDeepChain(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	text := bytes.Repeat([]byte("some lines of a text that is not short\n"), 500)
	id, off := m.whole(Blob, text)
	ids := []ID{id}
	for i := range 10_000 {
		next := append([]byte(fmt.Sprintf("change %d\n", i)), text[11:]...)
		id = objectID(Blob, next)
		off = m.ofs(id, off, deltaTo(text, next))
		ids, text = append(ids, id), next
	}
	m.save(dir, "deep", 2)
	s, bad := Open([]string{dir}, Options{Memory: 1 << 20})
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	defer s.Close()
	if _, data, err := s.Read(id); err != nil || !bytes.Equal(data, text) {
		t.Error("the last one:", err)
	}
	var peak, n int64
	left, err := s.Walk(t.Context(), ids, 1, func(v *Visit) any {
		if n++; n%1000 == 0 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			peak = max(peak, int64(m.HeapAlloc))
		}
		return n
	})
	if err != nil || len(left) > 0 || n != int64(len(ids)) {
		t.Errorf("%d visits, %d left, %v", n, len(left), err)
	}
	if peak > 40<<20 {
		t.Errorf("a heap of %d MB for texts of 20 KB", peak>>20)
	}
}

// One tree of deltas is split over the workers: with one root only, several of
// them visit.
func TestTreeIsSplit(t *testing.T) {
	dir := t.TempDir()
	m := newMaker(t)
	base := bytes.Repeat([]byte("base text\n"), 100)
	id, root := m.whole(Blob, base)
	ids := []ID{id}
	for i := range 40 {
		text := append([]byte(fmt.Sprintf("child %d\n", i)), base...)
		ids = append(ids, objectID(Blob, text))
		off := m.ofs(ids[len(ids)-1], root, deltaTo(base, text))
		for j := range 10 {
			below := append([]byte(fmt.Sprintf("grandchild %d\n", j)), text...)
			ids = append(ids, objectID(Blob, below))
			m.ofs(ids[len(ids)-1], off, deltaTo(text, below))
		}
	}
	m.save(dir, "wide", 2)
	s, _ := Open([]string{dir}, Options{})
	defer s.Close()
	// Each visit waits a moment for another one to run beside it.
	var active, met atomic.Int32
	left, err := s.Walk(t.Context(), ids, 2, func(v *Visit) any {
		active.Add(1)
		for until := time.Now().Add(20 * time.Millisecond); met.Load() == 0 && time.Now().Before(until); runtime.Gosched() {
			if active.Load() > 1 {
				met.Add(1)
			}
		}
		active.Add(-1)
		return nil
	})
	if err != nil || len(left) > 0 || met.Load() == 0 {
		t.Errorf("left %v, %v; two workers at once: %v", left, err, met.Load() > 0)
	}
}

func TestWalkEndsWithContext(t *testing.T) {
	objects := gitRepo(t)
	s, _ := Open([]string{objects}, Options{})
	defer s.Close()
	var ids []ID
	for id := range every(t, objects) {
		ids = append(ids, id)
	}
	ctx, cancel := context.WithCancel(t.Context())
	left, err := s.Walk(ctx, ids, 3, func(v *Visit) any { cancel(); return nil })
	if !errors.Is(err, context.Canceled) || len(left) < len(ids)/2 {
		t.Errorf("%d left, %v", len(left), err)
	}
}

// A repack moves objects into a new pack and takes the old ones away.
func TestRepackedMeanwhile(t *testing.T) {
	objects := gitRepo(t)
	for _, noMap = range []bool{false, true} {
		s, bad := Open([]string{objects}, Options{Memory: 1}) // nothing is cached
		if len(bad) > 0 {
			t.Fatal(bad)
		}
		git(t, objects+"/..", "new object "+fmt.Sprint(noMap), "hash-object", "-w", "--stdin")
		all := every(t, objects)
		git(t, objects+"/..", "", "repack", "-q", "-a", "-d", "-f", "-k")
		git(t, objects+"/..", "", "prune-packed")
		for id, want := range all {
			if k, data, err := s.Read(id); err != nil || k.String()+" "+string(data) != want {
				t.Errorf("%s: %v", id, err)
			}
		}
		s.Close()
	}
	noMap = false
}

// Version 3 differs from 2 in its number alone; others are refused.
func TestPackVersions(t *testing.T) {
	for version := range byte(5) {
		m := newMaker(t)
		m.pack.Bytes()[7] = version
		id, _ := m.whole(Blob, []byte("a"))
		dir := t.TempDir()
		m.save(dir, "x", 2)
		s, bad := Open([]string{dir}, Options{})
		_, data, err := s.Read(id)
		if known := version == 2 || version == 3; known != (err == nil && string(data) == "a" && len(bad) == 0) || !known && len(bad) != 1 {
			t.Errorf("version %d: %q, %v, %v", version, data, err, bad)
		}
		s.Close()
	}
}

func TestWithin(t *testing.T) {
	if o := Within(0); o != (Options{}) {
		t.Errorf("%+v", o)
	}
	if o := Within(64 << 20); o.Memory != 8<<20 || o.MaxObject != 16<<20 {
		t.Errorf("%+v", o)
	}
	if o := Within(1 << 40); o.Memory != 32<<20 || o.MaxObject != 512<<20 {
		t.Errorf("%+v", o)
	}
}

// A prefix of an id gives all objects whose ids begin so, packed and loose, each once.
func TestWithPrefix(t *testing.T) {
	objects := gitRepo(t)
	s, _ := Open([]string{objects}, Options{})
	defer s.Close()
	all := every(t, objects)
	for id := range all {
		for _, n := range []int{2, 3, 4, 7, 40} {
			prefix := id.String()[:n]
			var want []string
			for other := range all {
				if strings.HasPrefix(other.String(), prefix) {
					want = append(want, other.String())
				}
			}
			slices.Sort(want)
			var got []string
			for _, id := range s.WithPrefix(prefix) {
				got = append(got, id.String())
			}
			if !slices.Equal(got, want) {
				t.Fatalf("%s: %q, want %q", prefix, got, want)
			}
		}
	}
	for _, bad := range []string{"", "a", "xyz", strings.Repeat("0", 41)} {
		if got := s.WithPrefix(bad); got != nil {
			t.Errorf("%q: %v", bad, got)
		}
	}
}

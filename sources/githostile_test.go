package sources_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
)

// object writes an object that git itself would not make, and gives its id.
func (r *testRepo) object(kind string, data io.Reader) string {
	r.t.Helper()
	cmd := exec.Command("git", "-C", r.dir, "-c", "core.compression=1", "hash-object", "-t", kind, "--literally", "-w", "--stdin")
	cmd.Stdin = data
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func treeEntry(mode, name, id string) []byte {
	raw, err := hex.DecodeString(id)
	if err != nil {
		panic(err)
	}
	return append([]byte(mode+" "+name+"\x00"), raw...)
}

// Names that git would not check out are told as they are, and what is under them is
// scanned.
func TestGitHostilePaths(t *testing.T) {
	r := newRepo(t)
	want := map[string]string{}
	var tree []byte
	for i, name := range []string{"..", ".", ".git", "a\nb", "\xff\xfe", "../../etc/passwd", "/abs", "C:\\x", " ", "con", "\x1b[2J", strings.Repeat("long", 2000), "-rf"} {
		id := r.object("blob", strings.NewReader(fmt.Sprint("content ", i)))
		tree = append(tree, treeEntry("100644", name, id)...)
		want["git:"+name] = fmt.Sprint("content ", i)
		sub := r.object("tree", bytes.NewReader(treeEntry("100644", "f", r.object("blob", strings.NewReader(fmt.Sprint("below ", i))))))
		tree = append(tree, treeEntry("40000", name+"d", sub)...)
		want["git:"+name+"d/f"] = fmt.Sprint("below ", i)
	}
	r.git("update-ref", "refs/heads/main", r.git("commit-tree", "-m", "x", r.object("tree", bytes.NewReader(tree))))
	want["commit-message"] = "x\n"
	for _, state := range []string{"loose", "packed"} {
		content, skips := outcome(t, r.history(""))
		if d := cmp.Diff(want, content); d != "" || len(skips) > 0 {
			t.Errorf("%s: %s%v", state, d, skips)
		}
		r.git("repack", "-q", "-a", "-d")
	}
	// An entry without a name ends the tree, and that is told.
	id := r.object("blob", strings.NewReader("before it"))
	bad := r.object("tree", bytes.NewReader(slices.Concat(treeEntry("100644", "a", id), treeEntry("100644", "", id), treeEntry("100644", "z", id))))
	r.git("update-ref", "refs/tags/bad", bad)
	if content, skips := outcome(t, r.history("")); content["git:a"] != "before it" || skips["git:"] != sources.SkipCorrupt {
		t.Errorf("without a name: %q, skips %v", content["git:a"], skips)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "..", "etc")); err == nil {
		t.Error("something was written outside")
	}
}

// entries are n tree entries that name one blob, made as they are read.
type entries struct {
	n, at int
	id    string
	buf   []byte
}

func (e *entries) Read(p []byte) (int, error) {
	for len(e.buf) == 0 {
		if e.at == e.n {
			return 0, io.EOF
		}
		for range min(1000, e.n-e.at) {
			e.buf = append(e.buf, treeEntry("100644", fmt.Sprintf("%08d", e.at), e.id)...)
			e.at++
		}
	}
	n := copy(p, e.buf)
	e.buf = e.buf[n:]
	return n, nil
}

// peakHeap runs f and gives the most that the heap held at the times it called back.
func peakHeap(f func(look func())) (peak uint64) {
	runtime.GC() // what a test before has left is not counted
	f(func() {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	})
	return peak
}

// A tree of ten million entries takes the memory of its bytes twice, and no more for
// what is in it.
func TestGitTreeOfTenMillion(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes and compresses 370 MB")
	}
	r := newRepo(t)
	id := r.object("blob", strings.NewReader("the one"))
	tree := r.object("tree", &entries{n: 10_000_000, id: id})
	r.git("update-ref", "refs/heads/main", r.git("commit-tree", "-m", "x", tree))
	blobs := 0
	peak := peakHeap(func(look func()) {
		err := r.history("").Items(t.Context(), func(it sources.Item) error {
			if it.Skip != nil {
				t.Errorf("skip %+v", it.Skip)
			}
			if it.Origin.Blob == id {
				blobs++
				look()
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
	if blobs != 1 || peak > 2<<30 {
		t.Errorf("%d blobs, a heap of %d MB", blobs, peak>>20)
	}
	// With less memory it is passed over, and that is told.
	_, skips := outcome(t, sources.Git(r.dir, sources.GitOptions{History: true, Memory: 256 << 20}))
	if skips["git:"] != sources.SkipTooLarge {
		t.Errorf("skips %v", skips)
	}
}

// A blob of a gigabyte is streamed, loose and packed.
func TestGitGigabyteBlob(t *testing.T) {
	if testing.Short() {
		t.Skip("hashes and compresses a gigabyte")
	}
	r := newRepo(t)
	line := strings.Repeat("x", 999) + "\n"
	big := io.LimitReader(&repeated{line: line}, 1_000_000_000)
	id := r.object("blob", io.MultiReader(big, strings.NewReader("the end")))
	r.git("update-ref", "refs/heads/main", r.git("commit-tree", "-m", "x", r.object("tree", bytes.NewReader(treeEntry("100644", "big", id)))))
	for _, state := range []string{"loose", "packed"} {
		var n int64
		var tail []byte
		peak := peakHeap(func(look func()) {
			for _, it := range list(t, r.history("")) {
				if it.Origin.Blob != id {
					continue
				}
				rc, err := it.Open(t.Context())
				if err != nil {
					t.Fatal(state, err)
				}
				buf := make([]byte, 1<<20)
				for {
					k, err := rc.Read(buf)
					n += int64(k)
					if tail = append(tail, buf[:k]...); len(tail) > 7 {
						tail = append(tail[:0], tail[len(tail)-7:]...)
					}
					if n>>27 != (n-int64(k))>>27 {
						look()
					}
					if err != nil {
						if err != io.EOF {
							t.Error(state, err)
						}
						break
					}
				}
				rc.Close()
			}
		})
		if n != 1_000_000_007 || string(tail) != "the end" || peak > 256<<20 {
			t.Errorf("%s: %d bytes, end %q, a heap of %d MB", state, n, tail, peak>>20)
		}
		if state == "loose" {
			r.git("repack", "-q", "-a", "-d")
		}
	}
}

type repeated struct {
	line string
	at   int
}

func (r *repeated) Read(p []byte) (n int, err error) {
	for n < len(p) {
		k := copy(p[n:], r.line[r.at:])
		n += k
		r.at = (r.at + k) % len(r.line)
	}
	return n, nil
}

// A repository that is repacked between the listing and the reading, and between two
// reads, loses nothing.
func TestGitRepackedWhileScanned(t *testing.T) {
	r := newRepo(t)
	want := map[string]string{}
	for i := range 150 {
		text := strings.Repeat("a line that stays\n", 20) + fmt.Sprint("version ", i)
		r.write(map[string]string{"f": text})
		r.git("add", "f")
		r.git("commit", "-q", "-m", "x")
		want[r.git("rev-parse", "HEAD:f")] = text
		if i == 50 || i == 100 {
			r.git("repack", "-q", "-d")
		}
	}
	src := r.history("")
	items := list(t, src)
	r.git("repack", "-q", "-a", "-d", "-f")
	r.git("prune-packed")
	got := map[string]string{}
	left, err := src.(sources.Visitor).Visit(t.Context(), items, 1, func(c *sources.Content) any {
		if got[items[c.Index].Origin.Blob] = string(c.Data); len(got) == 20 {
			r.git("repack", "-q", "-a", "-d", "-f", "--depth=3")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for k, i := range left {
		if k%40 == 20 {
			r.git("repack", "-q", "-a", "-d", "-f", fmt.Sprint("--window=", k))
		}
		if it := items[i]; it.Origin.Blob != "" {
			data, err := readItem(t, it)
			if err != nil {
				t.Errorf("%s: %v", it.Origin.Blob, err)
			}
			got[it.Origin.Blob] = data
		}
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Indexes and packs that were exchanged, and packs and indexes that are cut, give what
// is right or say what is wrong.
func TestGitIndexOfAnotherPack(t *testing.T) {
	r := newRepo(t)
	want := map[string]string{}
	for i := range 6 {
		want[fmt.Sprint("git:f", i)] = fmt.Sprint("content ", i)
		r.commit("x", map[string]string{fmt.Sprint("f", i): fmt.Sprint("content ", i)})
		if i%3 == 2 {
			r.git("repack", "-q", "-d")
		}
	}
	packs, err := filepath.Glob(filepath.Join(r.dir, ".git/objects/pack/*.pack"))
	if err != nil || len(packs) != 2 {
		t.Fatal(packs, err)
	}
	files := map[string][]byte{}
	for _, p := range packs {
		for _, name := range []string{p, strings.TrimSuffix(p, "pack") + "idx"} {
			b, err := os.ReadFile(name)
			if err := errors.Join(err, os.Chmod(name, 0o644)); err != nil {
				t.Fatal(err)
			}
			files[name] = b
		}
	}
	write := func(name string, b []byte) {
		t.Helper()
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	idx := func(i int) string { return strings.TrimSuffix(packs[i], "pack") + "idx" }
	for name, spoil := range map[string]func(){
		"exchanged":    func() { write(idx(0), files[idx(1)]); write(idx(1), files[idx(0)]) },
		"one for both": func() { write(idx(0), files[idx(1)]) },
		"cut pack":     func() { write(packs[0], files[packs[0]][:len(files[packs[0]])/2]) },
		"cut index":    func() { write(idx(0), files[idx(0)][:len(files[idx(0)])/2]) },
		"empty pack":   func() { write(packs[1], nil) },
		"empty index":  func() { write(idx(1), nil) },
		"no index":     func() { os.Remove(idx(0)) },
	} {
		for f, b := range files {
			write(f, b)
		}
		spoil()
		content, skips := outcome(t, r.history(""))
		for key, data := range content {
			if w, known := want[key]; known && w != data {
				t.Errorf("%s: %s reads as %q", name, key, data)
			}
		}
		wanted := slices.ContainsFunc(slices.Collect(func(yield func(sources.Reason) bool) {
			for _, s := range skips {
				if !yield(s) {
					return
				}
			}
		}), sources.Reason.Wanted)
		if len(content) < len(want) && !wanted {
			t.Errorf("%s: %d of %d are read, and nothing tells why: %v", name, len(content), len(want), skips)
		}
	}
}

// Replace refs change what git shows, in the user's own view and nobody else's: the
// originals are what a push carries. Both are scanned, each under its own name.
func TestGitReplaced(t *testing.T) {
	r := newRepo(t)
	first := r.commit("one", map[string]string{"f": "original", "g": "stays"})
	r.commit("two", map[string]string{"f": "later"})
	tree := r.object("tree", bytes.NewReader(treeEntry("100644", "f", r.object("blob", strings.NewReader("in the replacement")))))
	r.git("replace", first, r.git("commit-tree", "-m", "replacement", tree))
	r.git("replace", r.git("rev-parse", "HEAD:f"), r.object("blob", strings.NewReader("instead of later")))
	for _, state := range []string{"loose", "packed"} {
		src := r.history("")
		for data, commit := range map[string]string{"original": first, "stays": first, "later": r.git("rev-parse", "HEAD"), "in the replacement": r.git("rev-parse", "refs/replace/"+first), "instead of later": ""} {
			if o := find(t, src, data); o.Commit != commit {
				t.Errorf("%s: %q is in commit %s, want %s", state, data, o.Commit, commit)
			}
		}
		r.git("repack", "-q", "-a", "-d")
	}
}

// Alternates of alternates are followed, within the repository or when trusted, in
// circles too, as deep as git goes.
func TestGitAlternatesRecursive(t *testing.T) {
	root := t.TempDir()
	var repos []*testRepo
	for i := range 4 {
		r := newRepo(t)
		repos = append(repos, r)
		r.commit("x", map[string]string{fmt.Sprint("f", i): fmt.Sprint("content ", i)})
		if i > 0 {
			rel, err := filepath.Rel(filepath.Join(r.dir, ".git/objects"), filepath.Join(repos[i-1].dir, ".git/objects"))
			if err != nil {
				t.Fatal(err)
			}
			r.write(map[string]string{".git/objects/info/alternates": "# a comment\n" + rel + "\n"})
			r.git("update-ref", "refs/heads/other", repos[i-1].git("rev-parse", "HEAD"))
		}
	}
	// The last one sees the first through two others, which see the last again.
	last := repos[3]
	repos[0].write(map[string]string{".git/objects/info/alternates": filepath.Join(last.dir, ".git/objects") + "\n"})
	last.git("update-ref", "refs/heads/far", repos[0].git("rev-parse", "HEAD"))
	trusted := sources.GitOptions{History: true, TrustAlternates: true}
	content, skips := outcome(t, sources.Git(last.dir, trusted))
	if content["git:f3"] != "content 3" || content["git:f2"] != "content 2" || content["git:f0"] != "content 0" || len(skips) > 0 {
		t.Errorf("content %v, skips %v", content, skips)
	}
	if err := last.history("").Items(t.Context(), func(sources.Item) error { return nil }); err == nil || !strings.Contains(err.Error(), "--trust-alternates") {
		t.Errorf("error %v", err)
	}
	// One within the repository needs no trust.
	inner := newRepo(t)
	id := inner.commit("x", map[string]string{"f": "content"})
	if err := errors.Join(os.MkdirAll(filepath.Join(inner.dir, ".git/more"), 0o755), os.Rename(filepath.Join(inner.dir, ".git/objects", id[:2]), filepath.Join(inner.dir, ".git/more", id[:2]))); err != nil {
		t.Fatal(err)
	}
	inner.write(map[string]string{".git/objects/info/alternates": "../more\n"})
	if _, skips := outcome(t, inner.history("")); len(skips) > 0 {
		t.Errorf("skips %v", skips)
	}
	// A long chain is refused, not followed for ever.
	prev := ""
	for i := range 9 {
		dir := filepath.Join(root, fmt.Sprint(i))
		if err := os.MkdirAll(filepath.Join(dir, "info"), 0o755); err != nil {
			t.Fatal(err)
		}
		if prev != "" {
			if err := os.WriteFile(filepath.Join(dir, "info/alternates"), []byte(prev+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		prev = dir
	}
	inner.write(map[string]string{".git/objects/info/alternates": prev + "\n"})
	if err := sources.Git(inner.dir, trusted).Items(t.Context(), func(sources.Item) error { return nil }); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("error %v", err)
	}
}

package cachedir

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/sources"
)

// place is a source that lies somewhere and has nothing.
type place string

func (p place) Items(context.Context, func(sources.Item) error) error { return nil }
func (p place) Places() []string                                      { return []string{string(p)} }

// opened is a Dir with what it has told.
type opened struct {
	*Dir
	told *[]string
}

func open(t *testing.T, path string) opened {
	t.Helper()
	var told []string
	d, err := Open(path, func(s string) { told = append(told, s) })
	if err != nil {
		t.Fatal(err)
	}
	return opened{d, &told}
}

func (o opened) found(t *testing.T, set []*rules.Rule, options string) *Found {
	t.Helper()
	f, err := o.Found(set, options)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestSaveLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "deep", "cache")
	d := open(t, path)
	if _, ok := d.Load("a"); ok {
		t.Error("an empty folder has something")
	}
	d.Save("a", []byte("first"))
	d.Save("b", nil)
	d.Save("a", []byte("second"))
	again := open(t, path)
	for name, want := range map[string]string{"a": "second", "b": ""} {
		if got, ok := again.Load(name); !ok || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, ok)
		}
	}
	again.build = "another"
	if _, ok := again.Load("a"); ok {
		t.Error("another build remembers the same")
	}
	if len(*d.told)+len(*again.told) > 0 {
		t.Errorf("told: %q %q", *d.told, *again.told)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
		t.Errorf("the folder: %v %v", info.Mode(), err)
	}
	files, err := filepath.Glob(filepath.Join(path, "*"))
	if err != nil || len(files) != 2 {
		t.Errorf("files %q %v", files, err)
	}
	for _, f := range files {
		if info, err := os.Stat(f); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", f, info.Mode(), err)
		}
	}
}

// A file that is not whole, or another's, is told and not used, and can be replaced.
func TestDamage(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.Save("a", []byte("content"))
	d.Save("b", []byte("other"))
	file, other := filepath.Join(dir, d.file("a")), filepath.Join(dir, d.file("b"))
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	strange, err := os.ReadFile(other)
	if err != nil {
		t.Fatal(err)
	}
	bad := map[string][]byte{"nothing": nil, "of another name": strange, "more at its end": append(bytes.Clone(good), 0)}
	for i := range good {
		flipped := bytes.Clone(good)
		flipped[i] ^= 4
		bad[fmt.Sprintf("bit flipped in byte %d", i)] = flipped
		bad[fmt.Sprintf("cut to %d bytes", i)] = good[:i]
	}
	for name, data := range bad {
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		d := open(t, dir)
		if got, ok := d.Load("a"); ok || len(*d.told) != 1 {
			t.Errorf("%s: loaded %q, told %q", name, got, *d.told)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(file, 0o700); err != nil {
		t.Fatal(err)
	}
	folder := open(t, dir)
	if _, ok := folder.Load("a"); ok || len(*folder.told) != 1 {
		t.Errorf("a folder in its place: told %q", *folder.told)
	}
	if folder.Save("a", []byte("new")); len(*folder.told) != 2 {
		t.Errorf("what cannot be written is not told: %q", *folder.told)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	d.Save("a", []byte("new"))
	if got, ok := d.Load("a"); !ok || string(got) != "new" {
		t.Errorf("after all: %q %v", got, ok)
	}
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if d, err := Open(file, nil); err == nil {
		t.Errorf("a file is opened as a folder: %v", d)
	}
	inside := filepath.Join(dir, "scanned", "cache")
	if err := open(t, inside).Outside([]sources.Source{place("elsewhere"), place(filepath.Join(dir, "scanned"))}); err == nil || !strings.Contains(err.Error(), "lies in") {
		t.Errorf("a cache in what is scanned: %v", err)
	}
	if err := open(t, inside).Outside([]sources.Source{place(filepath.Join(dir, "scanned-too"))}); err != nil {
		t.Error(err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "scanned"), link); err != nil {
		t.Fatal(err)
	}
	if err := open(t, filepath.Join(link, "cache")).Outside([]sources.Source{place(filepath.Join(dir, "scanned"))}); err == nil {
		t.Error("a link leads into what is scanned")
	}
	if err := os.MkdirAll(inside, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o777, 0o720, 0o702} {
		if err := os.Chmod(inside, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(inside, nil); err == nil || !strings.Contains(err.Error(), "chmod 700") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
}

// What was not used for longest goes first; what this run uses, and what is not
// ours, stays.
func TestPrune(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	d.limit = 250
	old := time.Now().Add(-24 * time.Hour)
	age := func(name string, days int) {
		when := old.AddDate(0, 0, -days)
		if err := os.Chtimes(filepath.Join(dir, name), when, when); err != nil {
			t.Fatal(err)
		}
	}
	d.Save("oldest, in use", make([]byte, 30))
	age(d.file("oldest, in use"), 9)
	for _, name := range []string{"foreign.txt", "." + d.file("x") + ".123", "." + d.file("y") + ".124"} {
		if err := os.WriteFile(filepath.Join(dir, name), make([]byte, 900), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	age("foreign.txt", 20)
	age("."+d.file("x")+".123", 0)
	earlier := open(t, dir)
	for i, name := range []string{"older", "old"} {
		earlier.Save(name, make([]byte, 30))
		age(d.file(name), 5-i)
	}
	d.Save("new", make([]byte, 30)) // each takes 78 bytes: three fit
	for name, want := range map[string]bool{d.file("oldest, in use"): true, d.file("older"): false, d.file("old"): true, d.file("new"): true,
		"foreign.txt": true, "." + d.file("x") + ".123": false, "." + d.file("y") + ".124": true} {
		if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s: %v, want it there: %v", name, err, want)
		}
	}
}

// Many at once leave a file that is one of theirs.
func TestConcurrent(t *testing.T) {
	dir := t.TempDir()
	var wg sync.WaitGroup
	for n := range 8 {
		d := open(t, dir)
		wg.Go(func() {
			for range 10 {
				d.Save("a", bytes.Repeat([]byte{byte(n)}, 10_000))
				if got, ok := d.Load("a"); !ok || len(got) != 10_000 || !bytes.Equal(got, bytes.Repeat(got[:1], 10_000)) {
					t.Errorf("%d bytes, %v", len(got), ok)
				}
			}
		})
	}
	wg.Wait()
}

func TestRecall(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir)
	src := place(filepath.Join(dir, "repo"))
	found := d.found(t, nil, "3")
	m := found.Recall(src)
	l := cache.NewLog(nil)
	l.Add(cache.ID{1}, cache.Result{Size: 5})
	m.Cache, m.Grown = m.Cache.With(l), true
	found.Keep(src, m)
	if n := open(t, dir).found(t, nil, "3").Recall(src).Cache.For(nil).Len(); n != 1 {
		t.Errorf("%d objects are remembered", n)
	}
	for name, f := range map[string]*Found{"other options": d.found(t, nil, "4"), "other rules": d.found(t, []*rules.Rule{{ID: "x"}}, "3")} {
		if n := f.Recall(src).Cache.For(nil).Len(); n != 0 {
			t.Errorf("with %s the same is remembered", name)
		}
	}
	if n := found.Recall(place("elsewhere")).Cache.For(nil).Len(); n != 0 {
		t.Error("another place remembers the same")
	}
	d.Save(found.name(string(src)), []byte("nonsense"))
	if n := found.Recall(src).Cache.For(nil).Len(); n != 0 || len(*d.told) != 1 {
		t.Errorf("nonsense: %d objects, told %q", n, *d.told)
	}
	found.Keep(src, &scanner.Memory{Failed: true})
	found.Keep(src, nil)
	if len(*d.told) != 2 {
		t.Errorf("that it was wrong is not told: %q", *d.told)
	}
}

func TestBuildID(t *testing.T) {
	id, err := buildID()
	if err != nil || id == "" {
		t.Fatalf("%q %v", id, err)
	}
	note := "\x04\x00\x00\x00\x05\x00\x00\x00\x04\x00\x00\x00Go\x00\x00ab/cd"
	for head, want := range map[string]string{
		"MZ..\xff Go build ID: \"ab/cd\"\n \xff...": "ab/cd",
		"\x7fELF.." + note + "\x00\x00":             "ab/cd",
		"\x04\x00\x00\x00Go\x00\x00" + note:         "ab/cd",
		note[:len(note)-1]:                          "",
		"nothing":                                   "",
		"\xff Go build ID: \"cut":                   "",
	} {
		if got := goBuildID([]byte(head)); got != want {
			t.Errorf("%q: %q", head, got)
		}
	}
}

// No bytes but those that were saved under the name are taken for them.
func FuzzLoad(f *testing.F) {
	dir := f.TempDir()
	d, err := Open(dir, func(string) {})
	if err != nil {
		f.Fatal(err)
	}
	d.Save("a", []byte("content"))
	file := filepath.Join(dir, d.file("a"))
	good, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		d, err := Open(dir, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, d.file("a")), data, 0o600); err != nil {
			t.Fatal(err)
		}
		if got, ok := d.Load("a"); ok && !bytes.Equal(data, good) && string(got) == "content" {
			t.Fatal("a damaged file is taken for a good one")
		}
	})
}

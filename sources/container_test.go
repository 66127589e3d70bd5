package sources_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
	"github.com/quench-dev/quench/sources/sourcetest"
)

func zipOf(t *testing.T, files map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range []string{"conf/app.env", "pic.png", "in.zip"} {
		data, ok := files[name]
		if !ok {
			continue
		}
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t *testing.T, data string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Archives keep the contract, wherever they come from.
func TestArchivesConform(t *testing.T) {
	archive := zipOf(t, map[string]string{"conf/app.env": "A=1\n", "pic.png": "\x89PNG\r\n\x1a\n", "in.zip": zipOf(t, map[string]string{"conf/app.env": "B=2\n"})})
	files := map[string]string{"a.zip": archive, "b.sql.gz": gzipOf(t, "insert"), "cut.gz": gzipOf(t, strings.Repeat("text ", 99))[:20]}
	wantOf := func(source string) sourcetest.Want {
		return sourcetest.Want{
			Content: map[string]string{
				source + ":a.zip!/conf/app.env": "A=1\n", source + ":a.zip!/in.zip!/conf/app.env": "B=2\n", source + ":b.sql.gz!/b.sql": "insert",
			},
			Skips: map[string]sources.Reason{source + ":a.zip!/pic.png": sources.SkipBinary, source + ":cut.gz!/cut": sources.SkipCorrupt},
		}
	}
	t.Run("files", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, files)
		sourcetest.Run(t, func(*testing.T) sources.Source { return sources.Files(dir, sources.FileOptions{}) }, wantOf("file"))
	})
	t.Run("history", func(t *testing.T) {
		r := newRepo(t)
		r.commit("archives", files)
		want := wantOf("git")
		want.Content["commit-message"] = "archives\n"
		sourcetest.Run(t, func(*testing.T) sources.Source {
			return only{r.history(""), func(it sources.Item) bool { return !isHeader(it) }}
		}, want)
	})
	t.Run("none", func(t *testing.T) {
		dir := t.TempDir()
		write(t, dir, files)
		sourcetest.Run(t, func(*testing.T) sources.Source {
			return sources.Files(dir, sources.FileOptions{Archives: sources.ArchiveOptions{Depth: -1}})
		}, sourcetest.Want{Skips: map[string]sources.Reason{"file:a.zip": sources.SkipBinary, "file:b.sql.gz": sources.SkipBinary, "file:cut.gz": sources.SkipBinary}})
	})
	want := sourcetest.Want{Live: true, Content: map[string]string{"stdin:-!/conf/app.env": "A=1\n", "stdin:-!/in.zip!/conf/app.env": "B=2\n"},
		Skips: map[string]sources.Reason{"stdin:-!/pic.png": sources.SkipBinary}}
	t.Run("pipe", func(t *testing.T) {
		sourcetest.Run(t, func(*testing.T) sources.Source { return sources.Stdin(strings.NewReader(archive)) }, want)
	})
	t.Run("redirected", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "in")
		if err := os.WriteFile(name, []byte("before"+archive), 0o600); err != nil {
			t.Fatal(err)
		}
		sourcetest.Run(t, func(t *testing.T) sources.Source {
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			if _, err := f.Seek(6, io.SeekStart); err != nil {
				t.Fatal(err)
			}
			return sources.Stdin(f)
		}, want)
	})
}

// Where paths and roots are told from a folder above, those of entries are too.
func TestArchivesBelow(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"plain.txt": "x"})
	r := &testRepo{t: t, dir: filepath.Join(dir, "sub")}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	r.git("config", "user.name", "a")
	r.git("config", "user.email", "a@example.com")
	r.commit("archive", map[string]string{"x/a.zip": zipOf(t, map[string]string{"conf/app.env": "A=1\n"})})
	srcs, err := sources.Open(dir, sources.OpenOptions{History: true, Worktree: true})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, src := range srcs {
		for _, it := range list(t, src) {
			if it.Open == nil {
				continue
			}
			rc, err := it.Open(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if c, ok := rc.(sources.Container); ok {
				if _, err := c.Unpack(t.Context(), it.Origin, func(in sources.Item) error {
					got = append(got, in.Origin.Source+":"+in.Origin.Path+" "+in.Origin.Entry)
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
			rc.Close()
		}
	}
	want := []string{"git:sub/x/a.zip!/conf/app.env conf/app.env", "worktree:sub/x/a.zip!/conf/app.env conf/app.env"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// Of archives in packs nothing is visited: they are left to be opened.
func TestGitVisitLeavesArchives(t *testing.T) {
	r := manyVersions(t, 100)
	r.commit("archives", map[string]string{"a.zip": zipOf(t, map[string]string{"conf/app.env": "A=1\n"}), "wide.txt": "\xff\xfew\x00i\x00d\x00e\x00"})
	r.sh("git gc -q")
	for depth, wantLeft := range map[int]int{0: 2, -1: 1} {
		src := sources.Git(r.dir, sources.GitOptions{History: true, Archives: sources.ArchiveOptions{Depth: depth}})
		var items []sources.Item
		for _, it := range list(t, src) {
			if it.Skip == nil && it.Origin.Blob != "" {
				items = append(items, it)
			}
		}
		left, err := src.(sources.Visitor).Visit(t.Context(), items, 2, func(*sources.Content) any { return nil })
		if err != nil || len(left) != wantLeft {
			t.Errorf("depth %d: left %d, want %d; %v", depth, len(left), wantLeft, err)
		}
	}
}

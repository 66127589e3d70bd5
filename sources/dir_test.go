package sources_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
	"github.com/quench-dev/quench/sources/sourcetest"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func symlink(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Skipf("this system does not make symbolic links here: %v", err)
	}
}

// isHeader reports whether an item is what stands above a message; TestGitHeaders is
// about those.
func isHeader(it sources.Item) bool {
	return slices.Contains(it.Origin.Labels, "commit-header") || slices.Contains(it.Origin.Labels, "tag-header")
}

// outcome reads a source whole: content and skip reasons by key.
func outcome(t *testing.T, srcs ...sources.Source) (content map[string]string, skips map[string]sources.Reason) {
	t.Helper()
	content, skips = map[string]string{}, map[string]sources.Reason{}
	for _, src := range srcs {
		err := src.Items(t.Context(), func(it sources.Item) error {
			key := sourcetest.Key(it.Origin)
			if isHeader(it) {
				return nil
			}
			if it.Skip != nil {
				skips[key] = it.Skip.Reason
				return nil
			}
			data, err := readItem(t, it)
			var s *sources.SkipError
			if errors.As(err, &s) {
				skips[key] = s.Reason
				return nil
			}
			content[key] = data
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return content, skips
}

func TestFilesConform(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"a.txt": "text", "empty": "", "sub/b.txt": "deep", "sub.txt": "beside",
		"nul.dat": "a\x00b", "utf16.txt": "\xff\xfeh\x00i\x00", "pic.png": "not a picture", "real.dat": "\x89PNG\r\n\x1a\nrest",
		".git/config": "not a file of the folder",
	})
	symlink(t, "a.txt", filepath.Join(dir, "link"))
	symlink(t, "..", filepath.Join(dir, "sub", "loop"))
	symlink(t, "/", filepath.Join(dir, "out"))
	want := sourcetest.Want{
		Content: map[string]string{
			"file:a.txt": "text", "file:empty": "", "file:sub/b.txt": "deep", "file:sub.txt": "beside",
			"file:utf16.txt": "hi", "file:pic.png": "not a picture",
		},
		Skips: map[string]sources.Reason{
			"file:nul.dat": sources.SkipBinary, "file:real.dat": sources.SkipBinary,
			"file:link": sources.SkipSymlink, "file:sub/loop": sources.SkipSymlink, "file:out": sources.SkipSymlink,
		},
	}
	sourcetest.Run(t, func(*testing.T) sources.Source { return sources.Files(dir, sources.FileOptions{}) }, want)

	t.Run("root is a link", func(t *testing.T) {
		link := filepath.Join(t.TempDir(), "root")
		symlink(t, dir, link)
		content, skips := outcome(t, sources.Files(link, sources.FileOptions{}))
		if d := cmp.Diff(want.Content, content) + cmp.Diff(want.Skips, skips); d != "" {
			t.Error(d)
		}
	})
}

func TestFilesGitignore(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		".git/info/exclude": "excluded\n", ".git/HEAD": "x",
		".gitignore": "*.log\r\nout/\n!keep.log\n#hash\n.env*\n/top\n",
		"a.log":      "1", "keep.log": "2", "excluded": "3", "out/x": "4", "out/deep/.env.local": "5",
		".env": "6", "top": "7", "sub/top": "8", "sub/.gitignore": "inner\n!b.log\n", "sub/inner": "9",
		"sub/b.log": "10", "sub/c.log": "11", "other/inner": "12",
		"nested/.git/info/exclude": "mine\n", "nested/.git/HEAD": "x", "nested/d.log": "13", "nested/mine": "14",
	})
	common := map[string]string{
		"file:.gitignore": "*.log\r\nout/\n!keep.log\n#hash\n.env*\n/top\n", "file:keep.log": "2", "file:sub/top": "8",
		"file:sub/.gitignore": "inner\n!b.log\n", "file:sub/b.log": "10", "file:other/inner": "12", "file:nested/d.log": "13",
	}
	content, skips := outcome(t, sources.Files(dir, sources.FileOptions{Gitignore: true, ExcludeEnv: true}))
	if d := cmp.Diff(common, content); d != "" {
		t.Error(d)
	}
	for _, name := range []string{"a.log", "excluded", "out", ".env", "top", "sub/inner", "sub/c.log", "nested/mine"} {
		if skips["file:"+name] != sources.SkipIgnored {
			t.Errorf("%s: skip %q, want ignored", name, skips["file:"+name])
		}
	}
	common["file:.env"], common["file:out/deep/.env.local"] = "6", "5"
	content, _ = outcome(t, sources.Files(dir, sources.FileOptions{Gitignore: true}))
	if d := cmp.Diff(common, content); d != "" {
		t.Errorf("ignored .env* files are read by default:\n%s", d)
	}
}

func TestFilesSizeLimit(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"small": "12345", "large": "123456"})
	content, skips := outcome(t, sources.Files(dir, sources.FileOptions{MaxFileSize: 5}))
	if content["file:small"] != "12345" || skips["file:large"] != sources.SkipTooLarge || !sources.SkipTooLarge.Wanted() {
		t.Errorf("content %v, skips %v", content, skips)
	}
}

func TestFilesBadTargets(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	err := sources.Files(missing, sources.FileOptions{}).Items(t.Context(), func(sources.Item) error { return nil })
	if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "check the spelling") {
		t.Errorf("error %v", err)
	}
}

// A file or folder that goes away after it was listed is a wanted skip, and the
// rest is read.
func TestFilesRemovedOnTheWay(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1", "b": "2", "c/d": "3", "e": "4"})
	got := map[string]sources.Reason{}
	err := sources.Files(dir, sources.FileOptions{}).Items(t.Context(), func(it sources.Item) error {
		if it.Origin.Path == "a" {
			for _, n := range []string{"b", "c"} {
				if err := os.RemoveAll(filepath.Join(dir, n)); err != nil {
					return err
				}
			}
		}
		if it.Skip != nil {
			got[it.Origin.Path] = it.Skip.Reason
			return nil
		}
		got[it.Origin.Path] = ""
		if it.Origin.Path == "e" { // listed and yielded, gone before it is opened
			os.Remove(filepath.Join(dir, "e"))
		}
		rc, err := it.Open(t.Context())
		if err == nil {
			return rc.Close()
		}
		var s *sources.SkipError
		if errors.As(err, &s) {
			got[it.Origin.Path] = s.Reason
		}
		return nil
	})
	want := map[string]sources.Reason{"a": "", "b": sources.SkipMissing, "c": sources.SkipMissing, "e": sources.SkipMissing}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("error %v, (-want +got):\n%s", err, d)
	}
}

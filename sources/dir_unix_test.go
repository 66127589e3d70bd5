//go:build unix

package sources_test

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources"
)

func TestFilesSpecialAndOddNames(t *testing.T) {
	dir := t.TempDir()
	odd := "b\xff\xfe name"
	write(t, dir, map[string]string{"a": "1", odd: "2", "z": "3"})
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(dir, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	content, skips := outcome(t, sources.Files(dir, sources.FileOptions{}))
	if d := cmp.Diff(map[string]string{"file:a": "1", "file:" + odd: "2", "file:z": "3"}, content); d != "" {
		t.Error(d)
	}
	want := map[string]sources.Reason{"file:fifo": sources.SkipSpecial, "file:sock": sources.SkipSpecial}
	if d := cmp.Diff(want, skips); d != "" {
		t.Error(d)
	}
	_, skips = outcome(t, sources.Files(filepath.Join(dir, "fifo"), sources.FileOptions{}))
	if len(skips) != 1 {
		t.Errorf("a named pipe as the target: skips %v", skips)
	}
}

// What a file became after it was listed is looked at again when it is opened.
func TestFilesSwappedBeforeOpen(t *testing.T) {
	for name, swap := range map[string]func(string) error{
		"fifo": func(p string) error { return syscall.Mkfifo(p, 0o600) },
		"link": func(p string) error { return os.Symlink("/etc/passwd", p) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, dir, map[string]string{"a": "1"})
			err := sources.Files(dir, sources.FileOptions{}).Items(t.Context(), func(it sources.Item) error {
				p := filepath.Join(dir, "a")
				if err := errors.Join(os.Remove(p), swap(p)); err != nil {
					return err
				}
				_, err := it.Open(t.Context())
				var s *sources.SkipError
				if !errors.As(err, &s) || s.Reason != sources.SkipSpecial {
					t.Errorf("opened a %s: %v", name, err)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// Permission bits do not bind root, so as root the test runs itself again as
// nobody.
func TestFilesUnreadable(t *testing.T) {
	if os.Getuid() == 0 && os.Getenv("QUENCH_TEST_AS_NOBODY") == "" {
		exe := copyOfTest(t)
		cmd := exec.Command(exe, "-test.run=^TestFilesUnreadable$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = append(os.Environ(), "QUENCH_TEST_AS_NOBODY=1", "TMPDIR=/tmp")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("as nobody: %v\n%s", err, out)
		}
		return
	}
	dir := t.TempDir()
	write(t, dir, map[string]string{"a": "1", "closed": "2", "folder/b": "3", "z": "4"})
	for _, n := range []string{"closed", "folder"} {
		if err := os.Chmod(filepath.Join(dir, n), 0); err != nil {
			t.Fatal(err)
		}
		defer os.Chmod(filepath.Join(dir, n), 0o755)
	}
	content, skips := outcome(t, sources.Files(dir, sources.FileOptions{}))
	if d := cmp.Diff(map[string]string{"file:a": "1", "file:z": "4"}, content); d != "" {
		t.Error(d)
	}
	want := map[string]sources.Reason{"file:closed": sources.SkipUnreadable, "file:folder": sources.SkipUnreadable}
	if d := cmp.Diff(want, skips); d != "" {
		t.Error(d)
	}
}

// copyOfTest puts the test binary where everybody may run it.
func copyOfTest(t *testing.T) string {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(exe)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("/tmp", "quench-test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	name := filepath.Join(dir, "sources.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(name, data, 0o755)); err != nil {
		t.Fatal(err)
	}
	return name
}

package sources

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// A file on standard input is read from where it stands, to its end, and stays
// open for whoever opened it.
func TestStdinFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Seek(4, io.SeekStart); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	err = Stdin(f).Items(ctx, func(it Item) error {
		rc, err := it.Open(ctx)
		if err != nil {
			return err
		}
		if b, err := io.ReadAll(rc); err != nil || string(b) != "two\n" {
			t.Errorf("read %q, %v", b, err)
		}
		cancel()
		if _, err := rc.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("after the end of its context: %v", err)
		}
		return rc.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Stat(); err != nil {
		t.Errorf("the file was closed: %v", err)
	}
}

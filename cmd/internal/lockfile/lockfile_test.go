package lockfile

import (
	"errors"
	"path/filepath"
	"testing"
)

// A lock is had by one, until it is given back.
func TestTake(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "lock")
	first, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path); !errors.Is(err, ErrTaken) {
		t.Errorf("a second time: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Take(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

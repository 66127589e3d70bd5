// Package lockfile keeps two processes from writing the same files.
//
// The lock is the system's, on a file that stays: it is gone with the process, however
// that ends. It knows nothing of what is locked. Start reading at Take.
package lockfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrTaken says that another process has the lock.
var ErrTaken = errors.New("another quench uses it")

// Lock is held until it is closed, or the process ends. A nil Lock is none.
type Lock struct{ f *os.File }

// Take takes the lock that the file at path stands for, which is made with its folder. It
// does not wait: where another has it the error is ErrTaken.
func Take(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of a lock: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening a lock: %w", err)
	}
	if err := lock(f); err != nil {
		f.Close()
		return nil, fmt.Errorf("taking the lock %q: %w", path, err)
	}
	return &Lock{f}, nil
}

// Close gives the lock back.
func (l *Lock) Close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

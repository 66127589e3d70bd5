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
	"syscall"

	"github.com/gofrs/flock"
)

// ErrTaken says that another process has the lock.
var ErrTaken = errors.New("another quench uses it")

// Lock is held until it is closed, or the process ends. A nil Lock is none.
type Lock struct{ f *flock.Flock }

// Take takes the lock that the file at path stands for, which is made with its folder. It
// does not wait: where another has it the error is ErrTaken.
func Take(path string) (*Lock, error) {
	return take(path, (*flock.Flock).TryLock)
}

// Wait takes a lock as Take does, and waits for whoever has it: for those that are held
// for the time of one write.
func Wait(path string) (*Lock, error) {
	return take(path, func(f *flock.Flock) (bool, error) { return true, f.Lock() })
}

func take(path string, try func(*flock.Flock) (bool, error)) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of a lock: %w", err)
	}
	f := flock.New(path, flock.SetPermissions(0o600))
	switch had, err := try(f); {
	case errors.Is(err, errors.ErrUnsupported), errors.Is(err, syscall.ENOLCK):
		// Some file systems have none.
	case err != nil:
		return nil, errors.Join(fmt.Errorf("taking the lock %q: %w", path, err), f.Close())
	case !had:
		return nil, errors.Join(fmt.Errorf("taking the lock %q: %w", path, ErrTaken), f.Close())
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

// Package backup copies a registry to a file, puts one back, and checks that a
// registry is sound.
//
// It knows files and what must be true of them before a registry is trusted again;
// it does not know what a token may do. A restored registry is older than the one
// that was lost: what was revoked since is live again, and it is this package's
// task that nobody overlooks that. Start reading at Write, then Restore.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
)

// Errors.
var (
	// ErrExists: there is a file already, which is not replaced.
	ErrExists = errors.New("there is a file already")
	// ErrLoss: events after the backup are known to be lost, and nobody said that
	// they may be.
	ErrLoss = errors.New("events after the backup are lost")
)

// Written is what a backup holds.
type Written struct {
	Path  string
	Size  int64
	Audit tlog.Tree
}

// Write copies r as of now to a new file at path, of mode 0600, whole or not at
// all, while others use r. The pepper is not in it.
func Write(ctx context.Context, r *registry.Registry, path string) (w Written, err error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return w, fmt.Errorf("%w at %q: a backup replaces none; name a new one", ErrExists, path)
	}
	// What the copy holds at least: events that come meanwhile may be in it.
	if w.Audit, err = r.Audit().Head(ctx); err != nil {
		return w, err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // mode 0600
	if err != nil {
		return w, fmt.Errorf("backing up the registry: %w", err)
	}
	defer discard(tmp.Name()) // after the rename it does nothing
	if err := tmp.Close(); err != nil {
		return w, err
	}
	if err := r.Store().Copy(ctx, tmp.Name()); err != nil {
		return w, fmt.Errorf("backing up the registry: %w", err)
	}
	if err := place(tmp.Name(), path); err != nil {
		return w, fmt.Errorf("backing up the registry: %w", err)
	}
	fi, err := os.Stat(path)
	if err != nil {
		return w, err
	}
	w.Path, w.Size = path, fi.Size()
	return w, nil
}

// discard removes a database file in the making and what SQLite puts beside it.
func discard(path string) {
	for _, end := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(path + end)
	}
}

// place gives a file its name, and refuses to replace one that came meanwhile
// where the system can tell.
func place(from, to string) error {
	if err := os.Link(from, to); err == nil {
		os.Remove(from)
	} else if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w at %q", ErrExists, to)
	} else if err := os.Rename(from, to); err != nil { // a file system without links
		return err
	}
	if d, err := os.Open(filepath.Dir(to)); err == nil { // where folders can be synced
		d.Sync()
		d.Close()
	}
	return nil
}

// Request says what is to be restored.
type Request struct {
	File string // the backup
	// Options are those of the registry: its Path must not exist.
	Options registry.Options
	// Checkpoints of the audit log that were saved elsewhere, by name: the newest
	// tells how much is lost.
	Checkpoints map[string][]byte
	// AcceptLoss is how many events are known to be lost and may be.
	AcceptLoss int64
	// Suspend suspends every live token, until somebody has looked.
	Suspend bool
}

// Restored is what came of it.
type Restored struct {
	Audit     tlog.Tree // of the backup
	Newest    time.Time // its last event
	Lost      int64     // events that a checkpoint knows of and it lacks
	Aside     string    // where the checkpoint file that it does not continue is now
	Suspended int
	Live      int // tokens
}

// Restore puts a backup in the place of a registry that is gone. It is put there
// only when the database is sound, its audit log proves itself, the pepper fits,
// and what is known to be lost was accepted.
func Restore(ctx context.Context, q Request) (done Restored, err error) {
	path := q.Options.Path
	for _, end := range []string{"", "-wal", "-journal"} {
		if _, err := os.Lstat(path + end); !errors.Is(err, fs.ErrNotExist) {
			return done, fmt.Errorf("restoring: %w at %q: a registry that may be alive is not replaced; move it away (with its -wal) when nothing uses it", ErrExists, path+end)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return done, fmt.Errorf("restoring: %w", err)
	}
	tmp, err := copyFile(q.File, path)
	if err != nil {
		return done, fmt.Errorf("restoring %q: %w", q.File, err)
	}
	defer discard(tmp)
	if err := q.examine(ctx, tmp, &done); err != nil {
		return done, fmt.Errorf("restoring %q: %w", q.File, err)
	}
	if err := place(tmp, path); err != nil {
		return done, fmt.Errorf("restoring %q: %w", q.File, err)
	}
	return done, q.begin(ctx, &done)
}

// copyFile copies a backup beside where it is to lie.
func copyFile(from, beside string) (string, error) {
	in, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer in.Close()
	fi, err := in.Stat()
	if err != nil {
		return "", err
	}
	if !fi.Mode().IsRegular() || fi.Size() == 0 {
		return "", errors.New("it is no backup: it is empty, or no file")
	}
	if wal, err := os.Stat(from + "-wal"); err == nil && wal.Size() > 0 {
		return "", fmt.Errorf("it is no backup but a database in use or a copy of one: %q has changes that are not in it", from+"-wal")
	}
	out, err := os.CreateTemp(filepath.Dir(beside), "."+filepath.Base(beside)+".*") // mode 0600
	if err != nil {
		return "", err
	}
	_, err = io.Copy(out, in)
	if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
		return "", errors.Join(err, os.Remove(out.Name()))
	}
	return out.Name(), nil
}

// examine proves the copy of a backup, and tells what it lacks.
func (q *Request) examine(ctx context.Context, tmp string, done *Restored) (err error) {
	o := q.Options
	o.Path, o.Create, o.Older = tmp, false, true
	s, err := store.Open(ctx, tmp, store.Options{}) // soundness before anything is believed
	if err != nil {
		return err
	}
	if err := errors.Join(s.Sound(ctx), s.Close()); err != nil {
		return err
	}
	r, err := registry.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Store().Close()) }() // and no checkpoint of it
	var behind *audit.Behind
	if done.Audit, err = r.Audit().Recompute(ctx); err != nil {
		return err
	}
	if err := r.Audit().Each(ctx, max(0, done.Audit.N-1), "", func(e audit.Entry) error { done.Newest = e.At; return nil }); err != nil {
		return err
	}
	if err := r.Audit().Anchored(ctx); errors.As(err, &behind) {
		done.Lost = behind.Missed
	} else if err != nil {
		return err
	}
	for name, msg := range q.Checkpoints {
		if err := r.Audit().Behind(ctx, msg, name); errors.As(err, &behind) {
			done.Lost = max(done.Lost, behind.Missed)
		} else if err != nil {
			return fmt.Errorf("comparing with the checkpoint %q: %w", name, err)
		}
	}
	if done.Lost != q.AcceptLoss {
		return fmt.Errorf("%w: a checkpoint has seen %d events after those of the backup, the last of which is of %s. Revocations among them would be undone. Restore a newer backup, or accept that with --accept-loss %d", ErrLoss, done.Lost, done.Newest.Format(time.RFC3339), done.Lost)
	}
	return nil
}

// begin goes on with a registry that was put back.
func (q *Request) begin(ctx context.Context, done *Restored) (err error) {
	o := q.Options
	o.Create, o.Older = false, true
	r, err := registry.Open(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	done.Aside, err = goOn(ctx, r, "registry.restore", map[string]string{"events": fmt.Sprint(done.Audit.N), "lost": fmt.Sprint(done.Lost), "head": done.Audit.Hash.String()})
	if err != nil {
		return err
	}
	if q.Suspend {
		all, err := r.DoAll(ctx, registry.Suspend, registry.Filter{Before: r.Now().Add(time.Hour)}, registry.Change{Reason: "restored from a backup"}, false)
		if err != nil {
			return err
		}
		done.Suspended = len(all)
	}
	states, err := States(ctx, r)
	done.Live = int(states[registry.Live])
	return err
}

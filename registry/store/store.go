// Package store keeps the registry's database: one SQLite file, its schema and
// its transactions.
//
// It knows how to open the file safely (permissions, WAL, full sync, schema
// version), how to run a write transaction, and how to say in words what is
// wrong with a database. It knows nothing of tokens, policies or queues beyond
// their tables; those packages bring their own SQL and run it in InTx. Start
// reading at Open, then InTx.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	_ "modernc.org/sqlite" // the driver, pure Go
)

// Errors of opening.
var (
	// ErrCorrupt: the file is damaged or no SQLite database at all.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrForeign: a sound SQLite database, but not a registry.
	ErrForeign = errors.New("the database is not a quench registry")
	// ErrNewer: written by a newer quench.
	ErrNewer = errors.New("the database was written by a newer quench")
	// ErrEmpty: there is a file, but nothing in it yet.
	ErrEmpty = errors.New("the database is empty: it was begun and never finished, or emptied; restore it, or issue a token to begin anew")
)

// Errors of opening and of every use.
var (
	// ErrLocked: another process held the write lock for too long.
	ErrLocked = errors.New("the database is locked by another process")
	// ErrReadOnly: the file or its folder cannot be written.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrFull: no space left.
	ErrFull = errors.New("no space left for the database")
)

const (
	// applicationID marks our files ("qnch"), so that a path to another
	// program's SQLite database is refused instead of migrated.
	applicationID = 0x716e6368
	// busyTimeout is how long SQLite itself waits for a lock. A commit takes
	// about a millisecond, so thousands of writers fit in it; more would only
	// delay the message about a stuck process.
	busyTimeout = 5 * time.Second
	// txBound ends the retries of InTx: three times busyTimeout, so that a
	// long migration or backup of another process does not fail a revocation.
	txBound = 15 * time.Second
	// openPause lies between tries of Open: the first process is done with a
	// new file in a few milliseconds.
	openPause = 5 * time.Millisecond
)

// Options of Open.
type Options struct {
	// Create makes the file, and its folder, when there is none.
	Create bool
}

// Store is an open database. Its methods are safe for concurrent use.
type Store struct {
	path           string
	writer, reader *sql.DB
	created        bool
	wrote          atomic.Bool
}

// Open opens the database at path and brings its schema up to date. Without
// Options.Create a missing file is an error that wraps fs.ErrNotExist. A new
// file has mode 0600, a new folder 0700. The other errors wrap ErrCorrupt,
// ErrForeign, ErrNewer, ErrEmpty, ErrLocked, ErrReadOnly or ErrFull.
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", path, err)
	}
	s := &Store{path: abs}
	if err := s.prepare(opts); err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", path, err)
	}
	// Turning a new file into WAL answers busy at once when two processes do it
	// together: SQLite does not wait there, so we do.
	for deadline := time.Now().Add(txBound); ; {
		err := s.open(ctx)
		if err == nil {
			return s, nil
		}
		s.Close()
		if !busy(err) || time.Now().After(deadline) {
			return nil, fmt.Errorf("opening registry %q: %w", path, explain(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("opening registry %q: %w", path, ctx.Err())
		case <-time.After(openPause):
		}
	}
}

// prepare makes the file when it may, and refuses what cannot be a database.
func (s *Store) prepare(opts Options) error {
	fi, err := os.Stat(s.path)
	switch {
	case err == nil && fi.IsDir():
		return errors.New("it is a folder; give the path of a file")
	case err == nil && !fi.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case err == nil && fi.Size() == 0 && !opts.Create:
		return ErrEmpty
	case err == nil && fi.Size() == 0:
		s.created = true
		return nil
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist) || !opts.Create:
		return err
	}
	dir := filepath.Dir(s.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if errors.Is(err, fs.ErrExist) { // another process was faster
		return nil
	}
	if err != nil {
		return err
	}
	s.created = true
	return f.Close()
}

func (s *Store) open(ctx context.Context) error {
	var err error
	if s.writer, err = sql.Open("sqlite", s.dsn("_synchronous=FULL&_txlock=immediate&_pragma=temp_store(2)&_pragma=cache_size(-65536)")); err != nil {
		return err
	}
	// One connection: SQLite has one write lock, and waiting for it in Go costs
	// nothing while waiting for it in SQLite is polling.
	s.writer.SetMaxOpenConns(1)
	if err := s.check(ctx); err != nil {
		return err
	}
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.reader, err = sql.Open("sqlite", s.dsn("_query_only=1")); err != nil {
		return err
	}
	// Reads are CPU work on cached pages: more connections than processors
	// gain nothing, and each holds its own page cache of 2 MB.
	s.reader.SetMaxOpenConns(max(2, runtime.GOMAXPROCS(0)))
	s.reader.SetMaxIdleConns(max(2, runtime.GOMAXPROCS(0)))
	return s.reader.PingContext(ctx)
}

// dsn is the data source name with what both pools share. The path goes
// through a URL so that '?', '#' and '%' in it are plain characters.
func (s *Store) dsn(more string) string {
	p := filepath.ToSlash(s.path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a Windows drive
	}
	u := url.URL{Scheme: "file", Path: p}
	return fmt.Sprintf("%s?mode=rw&_journal_mode=WAL&_foreign_keys=1&_busy_timeout=%d&_defensive=1&%s",
		u.String(), busyTimeout.Milliseconds(), more)
}

// check refuses damaged files and databases of other programs, and marks a new
// one as ours.
func (s *Store) check(ctx context.Context) error {
	var app int64
	if err := s.writer.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil {
		return err
	}
	if app == applicationID {
		return nil
	}
	// Under the write lock, since another process may be creating it right now.
	return s.InTx(ctx, func(tx *sql.Tx) error {
		var objects int64
		if err := tx.QueryRowContext(ctx, "PRAGMA application_id").Scan(&app); err != nil || app == applicationID {
			return err
		}
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master").Scan(&objects); err != nil {
			return err
		}
		if app != 0 || objects > 0 {
			return ErrForeign
		}
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA application_id = %d", applicationID))
		return err
	})
}

// Path is the absolute path of the database file.
func (s *Store) Path() string { return s.path }

// Created reports whether this Open made the database: the file was missing or
// empty.
func (s *Store) Created() bool { return s.created }

// Wrote reports whether a transaction of InTx was committed.
func (s *Store) Wrote() bool { return s.wrote.Load() }

// Writer is the pool with the one connection that may write. Prefer InTx. Never
// use it, nor InTx, inside the function given to InTx: it would wait for itself.
func (s *Store) Writer() *sql.DB { return s.writer }

// Reader is the pool of connections that only read. Reads see the last commit
// and never wait for writers.
func (s *Store) Reader() *sql.DB { return s.reader }

// Close closes both pools; the last process to close folds the WAL into the
// database.
func (s *Store) Close() error {
	var errs []error
	// The reader first: the connection closed last checkpoints, and may write.
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.writer != nil {
		errs = append(errs, s.writer.Close())
	}
	return errors.Join(errs...)
}

// InTx runs fn in a write transaction and commits it when fn returns nil. When
// InTx returns nil the changes are on disk. When it returns an error, or fn
// panics, nothing of it happened, with one exception: an error of the commit
// itself after power loss, where only reading tells.
//
// The write lock is taken at the start, so fn never loses a race half way. If
// the lock cannot be had, fn has not run; it is tried again for 15 seconds. fn
// may still be run more than once, should SQLite report a conflict from within:
// it must change nothing but the database. Errors of fn are returned as they are.
func (s *Store) InTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	deadline := time.Now().Add(txBound)
	for {
		err := s.once(ctx, fn)
		if err == nil || !busy(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return explain(err)
		}
	}
}

func (s *Store) once(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.wrote.Store(true)
	return nil
}

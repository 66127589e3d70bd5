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
	"strconv"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver, pure Go
)

const (
	// applicationID marks our files ("qnch"), so that a path to another
	// program's SQLite database is refused instead of migrated.
	applicationID = 0x716e6368
	// openPause lies between tries of Open: the first process is done with a
	// new file in a few milliseconds.
	openPause = 5 * time.Millisecond
)

// openSQLite opens the file at path, which messages show as it was given.
func openSQLite(ctx context.Context, path, given string, opts Options) (*Store, error) {
	s := &Store{name: path}
	if err := s.prepare(opts); err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", given, err)
	}
	// Turning a new file into WAL answers busy at once when two processes do it
	// together: SQLite does not wait there, so we do.
	for deadline := time.Now().Add(txBound); ; {
		err := s.open(ctx)
		if err == nil {
			return s, nil
		}
		s.closePools()
		if !busy(err) || time.Now().After(deadline) {
			return nil, fmt.Errorf("opening registry %q: %w", given, explain(err))
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("opening registry %q: %w", given, ctx.Err())
		case <-time.After(openPause):
		}
	}
}

// prepare makes the file when it may, and refuses what cannot be a database.
func (s *Store) prepare(opts Options) error {
	fi, err := os.Stat(s.name)
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
	dir := filepath.Dir(s.name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(s.name, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
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
	if s.writer, err = sql.Open("sqlite", s.dsn("_synchronous=FULL&_txlock=immediate&_pragma=temp_store(2)&_pragma=cache_size(-"+strconv.Itoa(usualCache)+")")); err != nil {
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
	p := filepath.ToSlash(s.name)
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

// Scrub takes out of the files what was deleted or overwritten in the database. It
// fails while another process reads what was there before. PostgreSQL does this by
// itself (autovacuum), and not at once.
func (s *Store) Scrub(ctx context.Context) error {
	if s.pg != nil {
		return nil
	}
	if _, err := s.writer.ExecContext(ctx, "VACUUM"); err != nil {
		return explain(err)
	}
	var busy, frames, done int
	if err := s.writer.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done); err != nil {
		return explain(err)
	}
	if busy != 0 {
		return ErrLocked
	}
	return nil
}

const (
	// usualPages of the WAL are folded into the database at a time, SQLite's own
	// default: readers stay fast.
	usualPages = 1000
	// bulkPages is 256 MB of it. Each large transaction writes most pages of the
	// indexes again, which need to be folded once, not each time.
	bulkPages = 1 << 16
	// usualCache and bulkCache are kilobytes of pages in memory: a large transaction
	// touches pages all over the indexes, which take a hundred bytes a token.
	usualCache, bulkCache = 64 << 10, 256 << 10
)

// Bulk makes the database ready for many large transactions, until end is called.
func (s *Store) Bulk(ctx context.Context) (end func(), err error) {
	if s.pg != nil {
		return func() {}, nil
	}
	set := func(ctx context.Context, pages, cache int) error {
		_, err := s.writer.ExecContext(ctx, fmt.Sprintf("PRAGMA wal_autocheckpoint = %d; PRAGMA cache_size = -%d", pages, cache))
		return err
	}
	return func() {
		// What cannot be folded now is by the next to write.
		set(context.WithoutCancel(ctx), usualPages, usualCache)
		s.writer.ExecContext(context.WithoutCancel(ctx), "PRAGMA wal_checkpoint(TRUNCATE)")
	}, explain(set(ctx, bulkPages, bulkCache))
}

// Package store keeps the registry's database, a SQLite file or a schema of
// PostgreSQL: its tables and its transactions.
//
// It knows how to open either safely (permissions, durability, schema version),
// how to run a write transaction, and how to say in words what is wrong with a
// database. Both take the same SQL, with ? for a parameter, and promise the same:
// one writer at a time over all processes, reads that see the last commit. The
// package knows nothing of tokens, policies or queues beyond their tables; those
// packages bring their own SQL and run it in InTx. Start reading at Open, then
// InTx.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

// Errors of opening.
var (
	// ErrCorrupt: the file is damaged or no SQLite database at all.
	ErrCorrupt = errors.New("the database is damaged")
	// ErrForeign: a sound database, but not a registry.
	ErrForeign = errors.New("the database is not a quench registry")
	// ErrNewer: written by a newer quench.
	ErrNewer = errors.New("the database was written by a newer quench")
	// ErrIncomplete: a table is missing, or the record of migrations is not that of
	// the tables: something was removed by hand, or a restore stopped half way.
	ErrIncomplete = errors.New("a part of the database's schema is missing or was changed")
	// ErrEmpty: there is a file, but nothing in it yet.
	ErrEmpty = errors.New("the database is empty: it was begun and never finished, or emptied; restore it, or issue a token to begin anew")
)

// Errors of opening and of every use.
var (
	// ErrLocked: another process held the write lock for too long.
	ErrLocked = errors.New("the database is locked by another process")
	// ErrReadOnly: the database cannot be written, by this user at least.
	ErrReadOnly = errors.New("the database is read-only")
	// ErrFull: no space left.
	ErrFull = errors.New("no space left for the database")
	// ErrUnreachable: the server does not answer, or lets nobody in.
	ErrUnreachable = errors.New("the database cannot be reached")
)

const (
	// busyTimeout is how long the database itself waits for a lock. A commit takes
	// about a millisecond, so thousands of writers fit in it; more would only
	// delay the message about a stuck process.
	busyTimeout = 5 * time.Second
	// txBound ends the retries of InTx: three times busyTimeout, so that a
	// long migration or backup of another process, or the restart of a server,
	// does not fail a revocation.
	txBound = 15 * time.Second
)

// Options of Open.
type Options struct {
	// Create makes the database when there is none: the file and its folder, or
	// the schema.
	Create bool
}

// Store is an open database. Its methods are safe for concurrent use.
type Store struct {
	name           string // the path, or the address without its password
	writer, reader *sql.DB
	pg             *postgres // nil of SQLite
	created        bool
	wrote          atomic.Bool
	closed         sync.Once
}

// Open opens the database at address, the path of a file or a URL postgres://…,
// and brings its schema up to date. Without Options.Create a missing one is an
// error that wraps fs.ErrNotExist. A new file has mode 0600, a new folder 0700.
// The other errors wrap ErrCorrupt, ErrForeign, ErrNewer, ErrIncomplete, ErrEmpty,
// ErrLocked, ErrReadOnly, ErrFull or ErrUnreachable; none shows a password.
func Open(ctx context.Context, address string, opts Options) (*Store, error) {
	if IsPostgres(address) {
		return openPostgres(ctx, address, opts)
	}
	if scheme, ok := otherScheme(address); ok {
		return nil, fmt.Errorf("opening registry: the address begins with %q; it is the path of a file, or postgres://USER@HOST/DATABASE", scheme+"://")
	}
	abs, err := filepath.Abs(address)
	if err != nil {
		return nil, fmt.Errorf("opening registry %q: %w", address, err)
	}
	return openSQLite(ctx, abs, address, opts)
}

// otherScheme is that of an address that is a URL, and none of PostgreSQL: of another
// database, or mistyped. Taken for a path it would be a registry that is not there, which a
// scan does without, or a new one. The rest is not repeated, it may hold a password.
func otherScheme(address string) (string, bool) {
	scheme, _, ok := strings.Cut(address, "://")
	return scheme, ok && len(scheme) > 1 && !strings.ContainsAny(scheme, `/\.`)
}

// IsPostgres reports whether an address is one of PostgreSQL, and not a path.
func IsPostgres(address string) bool { return pgsql.Is(address) }

// HoldsPassword reports whether a password stands in an address.
func HoldsPassword(address string) bool { return pgsql.HoldsPassword(address) }

// Name is an address as messages show it: without a password.
func Name(address string) string {
	if !IsPostgres(address) {
		return address
	}
	c, err := pgsql.Parse(address)
	if err != nil {
		return "postgres://…"
	}
	return c.Name
}

// Name is the absolute path of the file, or the address without its password.
func (s *Store) Name() string { return s.name }

// Path is the absolute path of the database file; "" of PostgreSQL.
func (s *Store) Path() string {
	if s.Postgres() {
		return ""
	}
	return s.name
}

// Postgres reports whether the database is PostgreSQL.
func (s *Store) Postgres() bool { return s.pg != nil }

// Created reports whether this Open made the database: the file, or the schema,
// was missing or empty.
func (s *Store) Created() bool { return s.created }

// Wrote reports whether a transaction of InTx was committed.
func (s *Store) Wrote() bool { return s.wrote.Load() }

// Writer is the pool of connections that may write: one of SQLite. Prefer InTx.
// Never use it, nor InTx, inside the function given to InTx: it would wait for
// itself.
func (s *Store) Writer() *sql.DB { return s.writer }

// Reader is the pool of connections that only read. Reads see the last commit
// and never wait for writers; those of one transaction see one commit.
func (s *Store) Reader() *sql.DB { return s.reader }

// Close ends the change feed and closes both pools; the last process to close folds
// SQLite's WAL into the database.
func (s *Store) Close() error {
	s.closed.Do(func() {
		if s.pg != nil {
			s.pg.feed.close()
		}
	})
	return s.closePools()
}

func (s *Store) closePools() error {
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

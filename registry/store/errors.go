package store

import (
	"errors"
	"fmt"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

// primary is SQLite's primary result code behind err, or 0.
func primary(err error) int { return extended(err) & 0xff }

// extended is SQLite's extended result code behind err, or 0.
func extended(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

func busy(err error) bool { return primary(err) == sqlite3.SQLITE_BUSY }

// IsConflict reports whether err says that a row of the same unique key exists.
func IsConflict(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY) ||
		pgsql.KindOf(err) == pgsql.Conflict
}

// Explain puts what the database reports in words, with what to try; errors of
// other origin, and those that were explained, pass unchanged. For those who read
// through Reader.
func Explain(err error) error {
	if primary(err) == 0 && pgsql.Cut(err) {
		return unreachable(err)
	}
	return explain(err)
}

func unreachable(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return err
	}
	return fmt.Errorf("%w (%w); is the server running, and does the address name it?", ErrUnreachable, err)
}

// sentinels are what explain wraps errors in.
var sentinels = []error{ErrCorrupt, ErrForeign, ErrNewer, ErrIncomplete, ErrEmpty, ErrLocked, ErrReadOnly, ErrFull, ErrUnreachable}

func explain(err error) error {
	if err == nil {
		return nil
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			return err
		}
	}
	switch primary(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return fmt.Errorf("%w (%w); restore it from a backup, or move it away to begin a new one", ErrCorrupt, err)
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return fmt.Errorf("%w (%w); try again when it is done", ErrLocked, err)
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM:
		return fmt.Errorf("%w (%w); the file and its folder must be writable", ErrReadOnly, err)
	case sqlite3.SQLITE_CANTOPEN:
		return fmt.Errorf("%w: cannot be opened (%w); the file and its folder must be readable and writable", ErrReadOnly, err)
	case sqlite3.SQLITE_FULL:
		return fmt.Errorf("%w (%w)", ErrFull, err)
	case sqlite3.SQLITE_IOERR:
		if extended(err) == sqlite3.SQLITE_IOERR_SHMSIZE { // writing a new -shm file failed
			return fmt.Errorf("%w (%w)", ErrFull, err)
		}
		return fmt.Errorf("%w; look at what the system says of that disk, and whether it is full", err)
	case sqlite3.SQLITE_ERROR:
		if text := err.Error(); strings.Contains(text, "no such table") || strings.Contains(text, "no such column") {
			return fmt.Errorf("%w (%w); somebody removed it: restore a backup (quench registry restore)", ErrIncomplete, err)
		}
	case 0:
		return explainPostgres(err)
	}
	return err
}

func explainPostgres(err error) error {
	switch pgsql.KindOf(err) {
	case pgsql.Busy:
		return fmt.Errorf("%w (%w); try again when it is done", ErrLocked, err)
	case pgsql.Lost:
		return unreachable(err)
	case pgsql.Denied:
		return fmt.Errorf("%w (%w); the role, its password (PGPASSFILE) and the database must be right, and pg_hba.conf let it in", ErrUnreachable, err)
	case pgsql.TooFew:
		return fmt.Errorf("%w (%w); raise max_connections, or run fewer processes", ErrUnreachable, err)
	case pgsql.ReadOnly:
		return fmt.Errorf("%w (%w); name the primary, and a role that may write to the schema", ErrReadOnly, err)
	case pgsql.Full:
		return fmt.Errorf("%w (%w)", ErrFull, err)
	case pgsql.NoSchema:
		return fmt.Errorf("%w (%w); somebody removed it: restore a backup (pg_restore)", ErrIncomplete, err)
	case pgsql.Corrupt:
		return fmt.Errorf("%w (%w); restore it from a backup", ErrCorrupt, err)
	}
	return err
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"modernc.org/sqlite"
)

// ErrUnsound: a check of the database found something wrong.
var ErrUnsound = errors.New("the database is not sound")

// leftOut begins the names of tables whose rows do not go into backups: values that
// are kept, sealed, only until a provider has been told.
const leftOut = "sealed_"

// Copy writes the database as of now into the file at path, which must be empty,
// while others go on reading and writing. The rows of sealed tables are left out.
// The copy is one file without a WAL, checked, and on disk when Copy returns.
func (s *Store) Copy(ctx context.Context, path string) error {
	if s.pg != nil {
		return errors.New("a registry in PostgreSQL is copied by pg_dump, or by the backups of the server")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	if err := s.copyPages(ctx, abs); err != nil {
		return fmt.Errorf("copying the database: %w", explain(err))
	}
	c := &Store{name: abs}
	db, err := sql.Open("sqlite", c.dsn("_pragma=secure_delete(1)")+"&_pragma=journal_mode(DELETE)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	tables, err := texts(ctx, db, "SELECT name FROM sqlite_master WHERE type = 'table'")
	if err != nil {
		return fmt.Errorf("reading the copy: %w", explain(err))
	}
	for _, t := range tables {
		if strings.HasPrefix(t, leftOut) {
			if _, err := db.ExecContext(ctx, "DELETE FROM "+quote(t)); err != nil {
				return fmt.Errorf("leaving sealed values out of the copy: %w", explain(err))
			}
		}
	}
	if err := sound(ctx, db); err != nil {
		return fmt.Errorf("checking the copy: %w", err)
	}
	if err := db.Close(); err != nil {
		return fmt.Errorf("closing the copy: %w", explain(err))
	}
	f, err := os.OpenFile(abs, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// copyPages copies all pages in one read transaction: writers do not wait, and the
// copy is of one commit.
func (s *Store) copyPages(ctx context.Context, path string) error {
	conn, err := s.reader.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		from, ok := c.(interface {
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return errors.New("this database is copied by its own tools")
		}
		to := &Store{name: path}
		b, err := from.NewBackup(strings.SplitN(to.dsn(""), "?", 2)[0] + "?mode=rw")
		if err != nil {
			return err
		}
		_, err = b.Step(-1)
		return errors.Join(err, b.Finish())
	})
}

// Sound looks whether all tables and indexes are there and runs the database's own
// checks: of every page and index, and of every reference. Errors wrap ErrUnsound and
// say what is wrong. On PostgreSQL pages and references are for the server to see to.
func (s *Store) Sound(ctx context.Context) error {
	lost, err := s.missing(ctx, s.reader)
	if err != nil {
		return explain(err)
	}
	if len(lost) > 0 {
		return fmt.Errorf("%w: there is no %s", ErrUnsound, strings.Join(lost, ", no "))
	}
	if s.pg != nil {
		return nil
	}
	return sound(ctx, s.reader)
}

func sound(ctx context.Context, db *sql.DB) error {
	found, err := texts(ctx, db, "PRAGMA integrity_check(10)")
	if err != nil {
		return explain(err)
	}
	if len(found) != 1 || found[0] != "ok" {
		return fmt.Errorf("%w: %s", ErrUnsound, strings.Join(found, "; "))
	}
	rows, err := db.QueryContext(ctx, "PRAGMA foreign_key_check")
	if err != nil {
		return explain(err)
	}
	defer rows.Close()
	n := 0
	var first string
	for rows.Next() {
		var table, parent string
		var row, key sql.NullInt64
		if err := rows.Scan(&table, &row, &parent, &key); err != nil {
			return err
		}
		if n++; n == 1 {
			first = fmt.Sprintf("a row of %s refers to none of %s", table, parent)
		}
	}
	if err := rows.Err(); err != nil {
		return explain(err)
	}
	if n > 0 {
		return fmt.Errorf("%w: %d references lead nowhere: %s", ErrUnsound, n, first)
	}
	return nil
}

func texts(ctx context.Context, db *sql.DB, query string) (all []string, err error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	return all, rows.Err()
}

// Version is the version of the schema.
func (s *Store) Version(ctx context.Context) (int64, error) {
	n, err := s.version(ctx)
	return n, explain(err)
}

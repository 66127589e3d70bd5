package store

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

// Each migration stands in both folders under one name.
//
//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrationFiles embed.FS

// goMigrations lists the migrations written in Go: those of libraries that
// bring their own schema. SQL migrations are files of migrations/ and need no
// mention here.
func (s *Store) goMigrations() []*goose.Migration {
	return []*goose.Migration{s.riverMigration()}
}

// migrateTries bounds how often a migration is tried that lost a race against
// another process doing the same: each loss means that the other one got a
// migration further, so a few more than there are migrations always suffice.
const migrateTries = 40

// migrate brings the schema to the newest version this program knows and
// refuses a database that is already beyond it.
func (s *Store) migrate(ctx context.Context) error {
	folder, dialect := "migrations/sqlite", goose.DialectSQLite3
	if s.pg != nil {
		folder, dialect = "migrations/postgres", goose.DialectPostgres
	}
	files, err := fs.Sub(migrationFiles, folder)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(dialect, s.writer, files,
		goose.WithGoMigrations(s.goMigrations()...), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	before, ran, failed := int64(-1), false, false
	for try := 1; ; try++ {
		applied, have, err := s.applied(ctx)
		switch {
		case err != nil:
			return err
		case have > newest:
			return fmt.Errorf("%w (schema %d, this program knows up to %d); use that version, or a newer one", ErrNewer, have, newest)
		}
		for _, m := range sources {
			if m.Version <= have && !applied[m.Version] {
				return fmt.Errorf("%w: its table %s knows migrations to %d, and not %d: somebody changed that table; restore a backup%s", ErrIncomplete, goose.DefaultTablename, have, m.Version, s.howRestored())
			}
		}
		switch {
		case have == newest:
			return s.whole(ctx)
		case ran && have == before:
			return fmt.Errorf("%w: it says that its schema is version %d, and the migrations to %d that they ran: somebody changed its table %s; restore a backup%s", ErrIncomplete, have, newest, goose.DefaultTablename, s.howRestored())
		}
		stuck := failed && have == before
		err = s.up(ctx, p)
		before, ran, failed = have, err == nil, err != nil && !busy(err)
		if err == nil || ctx.Err() == nil && try < migrateTries && primary(err) != 0 && !(stuck && failed) {
			continue // another process may have been faster
		}
		err = fmt.Errorf("migrating the schema from version %d to %d: %w", have, newest, err)
		if primary(err) == sqlite3.SQLITE_ERROR || pgsql.KindOf(err) == pgsql.OtherSchema || pgsql.KindOf(err) == pgsql.NoSchema {
			err = fmt.Errorf("%w: %w: it holds what that migration makes, or lacks what it needs; restore a backup%s", ErrIncomplete, err, s.howRestored())
		}
		return err
	}
}

// howRestored ends the advice to restore a backup.
func (s *Store) howRestored() string {
	if s.pg != nil {
		return " (pg_restore)"
	}
	return " (quench registry restore)"
}

// up runs the migrations. Each is a transaction together with its version row;
// but those of the queue on PostgreSQL need several, and go on where they were.
func (s *Store) up(ctx context.Context, p *goose.Provider) error {
	run := func() error { _, err := p.Up(ctx); return err }
	if s.pg != nil {
		return s.alone(ctx, run)
	}
	return run()
}

// version is the schema version of the database; 0 when it has none.
func (s *Store) version(ctx context.Context) (int64, error) {
	_, n, err := s.applied(ctx)
	return n, err
}

// applied are the migrations that the database says it has, and the newest of them.
func (s *Store) applied(ctx context.Context) (all map[int64]bool, newest int64, err error) {
	exists := false
	if s.pg != nil {
		err = s.writer.QueryRowContext(ctx, "SELECT to_regclass(?) IS NOT NULL", s.pg.Schema+"."+goose.DefaultTablename).Scan(&exists)
	} else {
		err = s.writer.QueryRowContext(ctx, "SELECT count(*) > 0 FROM sqlite_master WHERE name = ?", goose.DefaultTablename).Scan(&exists)
	}
	if err != nil || !exists {
		return nil, 0, err
	}
	rows, err := s.writer.QueryContext(ctx, "SELECT version_id, is_applied FROM "+goose.DefaultTablename+" ORDER BY id")
	if err != nil {
		return nil, 0, err
	}
	defer rows.Close()
	all = map[int64]bool{}
	for rows.Next() {
		var n int64
		var is bool
		if err := rows.Scan(&n, &is); err != nil {
			return nil, 0, err
		}
		all[n] = is // the last row of a migration counts
	}
	for n, is := range all {
		if is {
			newest = max(newest, n)
		}
	}
	return all, newest, rows.Err()
}

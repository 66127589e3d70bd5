package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
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
	before, ran := int64(-1), false
	for try := 1; ; try++ {
		have, err := s.version(ctx)
		switch {
		case err != nil:
			return err
		case have > newest:
			return fmt.Errorf("%w (schema %d, this program knows up to %d); use that version, or a newer one", ErrNewer, have, newest)
		case have == newest:
			return nil
		case ran && have == before:
			return fmt.Errorf("the database says that its schema is version %d, and the migrations to %d that they ran: somebody changed its table %s; restore a backup", have, newest, goose.DefaultTablename)
		}
		err = s.up(ctx, p)
		before, ran = have, err == nil
		if err != nil && (try >= migrateTries || ctx.Err() != nil || primary(err) == 0) {
			return fmt.Errorf("migrating the schema from version %d to %d: %w", have, newest, err)
		}
	}
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
	if s.pg != nil {
		return s.versionPostgres(ctx)
	}
	var n int64
	err := s.writer.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE name = ?", goose.DefaultTablename).Scan(&n)
	if err != nil || n == 0 {
		return 0, err
	}
	err = s.writer.QueryRowContext(ctx, "SELECT max(version_id) FROM "+goose.DefaultTablename+" WHERE is_applied").Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return n, err
}

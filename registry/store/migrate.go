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

//go:embed migrations/*.sql
var migrationFiles embed.FS

// goMigrations lists the migrations written in Go: those of libraries that
// bring their own schema. SQL migrations are files of migrations/ and need no
// mention here.
func goMigrations() []*goose.Migration {
	return []*goose.Migration{riverMigration()}
}

// migrateTries bounds how often a migration is tried that lost a race against
// another process doing the same: each loss means that the other one got a
// migration further, so a few more than there are migrations always suffice.
const migrateTries = 20

// migrate brings the schema to the newest version this program knows and
// refuses a database that is already beyond it.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.writer, files,
		goose.WithGoMigrations(goMigrations()...), goose.WithDisableGlobalRegistry(true), goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	sources := p.ListSources()
	newest := sources[len(sources)-1].Version
	for try := 1; ; try++ {
		have, err := s.version(ctx)
		switch {
		case err != nil:
			return err
		case have > newest:
			return fmt.Errorf("%w (schema %d, this program knows up to %d); use that version, or a newer one", ErrNewer, have, newest)
		case have == newest:
			return nil
		}
		// Each migration is its own transaction together with its version row.
		if _, err := p.Up(ctx); err != nil && (try >= migrateTries || ctx.Err() != nil || primary(err) == 0) {
			return fmt.Errorf("migrating the schema from version %d to %d: %w", have, newest, err)
		}
	}
}

// version is the schema version of the database; 0 when it has none.
func (s *Store) version(ctx context.Context) (int64, error) {
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

package store

import (
	"context"
	"database/sql"
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// What the migrations make in all, a line each: "table NAME", "index NAME". A test
// holds them against a new database.
var (
	//go:embed migrations/sqlite.txt
	partsSQLite string
	//go:embed migrations/postgres.txt
	partsPostgres string
)

// whole refuses a database of the newest schema without one of its tables: a statement
// that needs it would fail in the middle of a revocation. An index is no reason to
// refuse revocations; Sound tells of it.
func (s *Store) whole(ctx context.Context) error {
	lost, err := s.missing(ctx, s.writer)
	if err != nil {
		return err
	}
	lost = slices.DeleteFunc(lost, func(part string) bool { return !strings.HasPrefix(part, "table ") })
	if len(lost) > 0 {
		return fmt.Errorf("%w: there is no %s; somebody removed it, or a restore did not finish: restore a backup%s", ErrIncomplete, strings.Join(lost, ", no "), s.howRestored())
	}
	return nil
}

// missing are the tables and indexes that are not there, as the lists have them.
func (s *Store) missing(ctx context.Context, db *sql.DB) ([]string, error) {
	all, query := partsSQLite, "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('table', 'index')"
	if s.pg != nil {
		all, query = partsPostgres, `SELECT CASE c.relkind WHEN 'i' THEN 'index ' ELSE 'table ' END || c.relname FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = '`+s.pg.Schema+`' AND c.relkind IN ('r', 'p', 'i')`
	}
	have, err := texts(ctx, db, query)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, part := range have {
		there[part] = true
	}
	return slices.DeleteFunc(strings.Split(strings.TrimSpace(all), "\n"), func(part string) bool { return there[part] }), nil
}

package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// riverVersion is the version of River's own schema that this program's
// migration brings a database to; a newer River gets a migration of its own
// here.
const riverVersion = 8

// riverMigration runs the queue's migrations as one of ours, in its transaction.
func riverMigration() *goose.Migration {
	run := func(direction rivermigrate.Direction, target int) func(context.Context, *sql.Tx) error {
		return func(ctx context.Context, tx *sql.Tx) error {
			m, err := rivermigrate.New(riversqlite.New(nil), nil)
			if err != nil {
				return fmt.Errorf("reading the queue's migrations: %w", err)
			}
			//lint:ignore SA1019 PostgreSQL has migrations that need several transactions; SQLite has none, and here one is wanted
			if _, err := m.MigrateTx(ctx, tx, direction, &rivermigrate.MigrateOpts{TargetVersion: target}); err != nil {
				return fmt.Errorf("migrating the queue's tables: %w", err)
			}
			return nil
		}
	}
	return goose.NewGoMigration(3,
		&goose.GoFunc{RunTx: run(rivermigrate.DirectionUp, riverVersion)},
		&goose.GoFunc{RunTx: run(rivermigrate.DirectionDown, -1)})
}

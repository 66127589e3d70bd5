package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverdatabasesql"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
)

// riverVersion is the version of River's own schema that this program's
// migration brings a database to; a newer River gets a migration of its own
// here.
const riverVersion = 8

// NewQueue is a client of the queue that lies in the database.
func (s *Store) NewQueue(conf *river.Config) (*river.Client[*sql.Tx], error) {
	if s.pg != nil {
		return river.NewClient(riverdatabasesql.New(s.writer), conf)
	}
	return river.NewClient(riversqlite.New(s.writer), conf)
}

// riverMigration runs the queue's migrations as one of ours: in its transaction on
// SQLite. On PostgreSQL some need one of their own (a value of an enum may be used
// when it is committed); what was done is known to the queue, so that a second run
// goes on from there.
func (s *Store) riverMigration() *goose.Migration {
	up, down := &rivermigrate.MigrateOpts{TargetVersion: riverVersion}, &rivermigrate.MigrateOpts{TargetVersion: -1}
	if s.pg != nil {
		run := func(direction rivermigrate.Direction, o *rivermigrate.MigrateOpts) func(context.Context, *sql.DB) error {
			return func(ctx context.Context, db *sql.DB) error {
				m, err := rivermigrate.New(riverdatabasesql.New(db), nil)
				if err == nil {
					_, err = m.Migrate(ctx, direction, o)
				}
				return migratingQueue(err)
			}
		}
		return goose.NewGoMigration(3, &goose.GoFunc{RunDB: run(rivermigrate.DirectionUp, up)}, &goose.GoFunc{RunDB: run(rivermigrate.DirectionDown, down)})
	}
	run := func(direction rivermigrate.Direction, o *rivermigrate.MigrateOpts) func(context.Context, *sql.Tx) error {
		return func(ctx context.Context, tx *sql.Tx) error {
			m, err := rivermigrate.New(riversqlite.New(nil), nil)
			if err == nil {
				//lint:ignore SA1019 PostgreSQL has migrations that need several transactions; SQLite has none, and here one is wanted
				_, err = m.MigrateTx(ctx, tx, direction, o)
			}
			return migratingQueue(err)
		}
	}
	return goose.NewGoMigration(3, &goose.GoFunc{RunTx: run(rivermigrate.DirectionUp, up)}, &goose.GoFunc{RunTx: run(rivermigrate.DirectionDown, down)})
}

func migratingQueue(err error) error {
	if err != nil {
		return fmt.Errorf("migrating the queue's tables: %w", err)
	}
	return nil
}

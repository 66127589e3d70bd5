package store

import (
	"context"
	"database/sql"
	"strings"
)

// Rows are rows to be inserted into a table, many by one statement: on SQLite half
// of what a small row costs is the statement.
type Rows struct {
	Into  string // table (column, …)
	Width int    // columns
	Then  string // what follows the rows, such as ON CONFLICT …
	args  []any
}

// Add adds a row of Width values.
func (r *Rows) Add(row ...any) { r.args = append(r.args, row...) }

// maxArgs bounds the arguments of a statement: with more, SQLite spends longer on
// parsing than it saves, and PostgreSQL takes 65,535 at most.
const maxArgs = 900

// Insert writes them in order.
func (r *Rows) Insert(ctx context.Context, tx *sql.Tx) error {
	per := max(1, maxArgs/r.Width)
	rest := r.args
	if len(rest) > per*r.Width {
		many, err := tx.PrepareContext(ctx, r.statement(per))
		if err != nil {
			return err
		}
		defer many.Close()
		for ; len(rest) >= per*r.Width; rest = rest[per*r.Width:] {
			if _, err := many.ExecContext(ctx, rest[:per*r.Width]...); err != nil {
				return err
			}
		}
	}
	if len(rest) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, r.statement(len(rest)/r.Width), rest...)
	return err
}

func (r *Rows) statement(rows int) string {
	one := "(" + strings.Repeat("?, ", r.Width-1) + "?)"
	return "INSERT INTO " + r.Into + " VALUES " + strings.Repeat(one+", ", rows-1) + one + " " + r.Then
}

// Package version tells which change of tokens and peppers was the last.
//
// Both have numbers that only grow, a step in an index to read. What was read from
// rows holds as long as the number does: that is how answers are given from memory
// and a revocation still counts from its commit on, whichever process made it. It
// knows the numbers and neither tokens nor peppers. Start reading at New.
package version

import (
	"context"
	"database/sql"
	"time"

	"github.com/quench-dev/quench/registry/recent"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/together"
)

const (
	// maxChanged rows are read to learn what changed; after more, all are forgotten.
	maxChanged = 1000
	// maxAsk is how long the database may take to answer those who ask together, of
	// whom each may wait less: as long as it waits for a lock.
	maxAsk = 5 * time.Second
)

// Numbers are those of the last change of a token, and of a pepper.
type Numbers struct{ Tokens, Peppers int64 }

// Versions reads them. Its methods are safe for concurrent use.
type Versions struct {
	db       *sql.DB
	query    *sql.Stmt // closed with the database
	together *together.Latest[Numbers]
}

// New makes the Versions of a database.
func New(ctx context.Context, db *sql.DB) (*Versions, error) {
	query, err := db.PrepareContext(ctx, "SELECT coalesce(max(seq), 0), (SELECT coalesce(max(seq), 0) FROM peppers) FROM tokens")
	if err != nil {
		return nil, store.Explain(err)
	}
	v := &Versions{db: db, query: query}
	v.together = together.NewLatest(func() (Numbers, error) {
		ctx, stop := context.WithTimeout(context.Background(), maxAsk)
		defer stop()
		return v.Read(ctx)
	})
	return v, nil
}

// Read reads them.
func (v *Versions) Read(ctx context.Context) (n Numbers, err error) {
	err = v.query.QueryRowContext(ctx).Scan(&n.Tokens, &n.Peppers)
	return n, store.Explain(err)
}

// Now returns them as one read gave that began after the call, for all who ask
// meanwhile: a change that was committed before the call is in them.
func (v *Versions) Now(ctx context.Context) (Numbers, error) { return v.together.Get(ctx) }

// Changed lists the MACs of tokens changed after the number since, or nil when they
// are many.
func (v *Versions) Changed(ctx context.Context, since int64) ([]recent.Key, error) {
	rows, err := v.db.QueryContext(ctx, "SELECT mac FROM tokens WHERE seq > ? LIMIT ?", since, maxChanged+1)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	changed := []recent.Key{}
	for rows.Next() {
		var mac []byte
		if err := rows.Scan(&mac); err != nil {
			return nil, err
		}
		if changed = append(changed, recent.Key(mac)); len(changed) > maxChanged {
			return nil, rows.Err()
		}
	}
	return changed, rows.Err()
}

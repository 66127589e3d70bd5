package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strconv"
	"time"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

const (
	// oldestServer is the first release with pg_current_xact_id, as its server
	// version number has it.
	oldestServer = 130000
	// idleInTx ends a transaction that hangs between two statements, as that of a
	// process which was stopped or cut off: it holds the lock that all writers wait
	// for. Ours pause for milliseconds.
	idleInTx = 30 * time.Second
	// connLife makes pools follow a server that moved behind its name.
	connLife = 30 * time.Minute
	// marker is the table by which a schema is known to be ours, and not one that
	// happens to have the name.
	marker = "quench_marker"
)

// postgres is what a Store on PostgreSQL has beyond its pools.
type postgres struct {
	*pgsql.Config
	turn chan struct{} // the place of the one transaction of InTx
	life string        // of the server, as that transaction knows it; "" is to be read
	feed *feed
}

// openPostgres opens the schema that address names. A server that is just
// starting is waited for.
func openPostgres(ctx context.Context, address string, opts Options) (*Store, error) {
	c, err := pgsql.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("opening the PostgreSQL registry: %w", err)
	}
	s := &Store{name: c.Name, pg: &postgres{Config: c, turn: make(chan struct{}, 1)}}
	s.pg.feed = newFeed(c)
	wait := strconv.FormatInt(busyTimeout.Milliseconds(), 10)
	s.writer = c.Open(map[string]string{"lock_timeout": wait, "idle_in_transaction_session_timeout": strconv.FormatInt(idleInTx.Milliseconds(), 10)})
	// Reads of one transaction see one commit, as in SQLite.
	s.reader = c.Open(map[string]string{"default_transaction_read_only": "on", "default_transaction_isolation": "repeatable read"})
	// One connection is InTx's. The others are the queue's, which holds each for
	// less than a millisecond.
	limit(s.writer, 4)
	// Reads wait for the network as long as they use a processor of the server; a
	// server has a hundred connections by default, for all processes.
	limit(s.reader, min(16, max(4, 2*runtime.GOMAXPROCS(0))))
	for deadline := time.Now().Add(txBound); ; {
		err := s.begin(ctx, opts)
		if err == nil {
			return s, nil
		}
		if again := pgsql.KindOf(err) == pgsql.Busy || pgsql.Code(err) == "57P03"; !again || time.Now().After(deadline) || sleep(ctx, longestPause) != nil {
			s.Close()
			if ctx.Err() != nil {
				err = ctx.Err()
			}
			return nil, fmt.Errorf("opening registry %q: %w", s.name, explain(err))
		}
	}
}

func limit(db *sql.DB, n int) {
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	db.SetConnMaxLifetime(connLife)
	db.SetConnMaxIdleTime(connLife / 6)
}

// begin checks the server and the schema, and makes or migrates it.
func (s *Store) begin(ctx context.Context, opts Options) error {
	var version int
	var encoding string
	err := s.writer.QueryRowContext(ctx, "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')").Scan(&version, &encoding)
	switch {
	case err != nil:
		return err
	case version < oldestServer:
		return fmt.Errorf("the server is PostgreSQL %d, and the oldest that works is %d", version/10000, oldestServer/10000)
	case encoding != "UTF8":
		return fmt.Errorf("the encoding of the database is %s; make one with ENCODING 'UTF8'", encoding)
	}
	ours, err := s.ours(ctx, s.writer)
	if err != nil {
		return err
	}
	if !ours {
		if !opts.Create {
			return fmt.Errorf("schema %s: %w", s.pg.Schema, fs.ErrNotExist)
		}
		if err := s.mark(ctx); err != nil {
			return err
		}
	}
	return s.migrate(ctx)
}

// rowQuerier is a pool or a transaction.
type rowQuerier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// ours reports whether the schema is a registry's. One that is missing or empty is
// not yet, one that holds other things never.
func (s *Store) ours(ctx context.Context, q rowQuerier) (bool, error) {
	var ours bool
	var others int64
	err := q.QueryRowContext(ctx, `SELECT count(*), coalesce(bool_or(c.relname = ?), false) FROM pg_class c
		JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ? AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`, marker, s.pg.Schema).Scan(&others, &ours)
	if err != nil || ours {
		return ours, err
	}
	if others > 0 {
		return false, fmt.Errorf("%w: schema %s holds %d other tables; name another schema with ?search_path=NAME", ErrForeign, s.pg.Schema, others)
	}
	return false, nil
}

// mark makes the schema, if there is none, and the table that says whose it is.
// Of several processes one does it, under the lock of writers.
func (s *Store) mark(ctx context.Context) error {
	created := false
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		created = false
		ours, err := s.ours(ctx, tx)
		if err != nil || ours {
			return err
		}
		var exists bool
		if err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pg_namespace WHERE nspname = ?)", s.pg.Schema).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			if _, err := tx.ExecContext(ctx, "CREATE SCHEMA "+s.pg.Schema); err != nil {
				return fmt.Errorf("making schema %s, which the owner of the database can do for you: %w", s.pg.Schema, err)
			}
		}
		created = true
		_, err = tx.ExecContext(ctx, "CREATE TABLE "+s.pg.Schema+"."+marker+" (made_by text NOT NULL)")
		return err
	})
	s.created = s.created || err == nil && created
	return err
}

// alone calls f while no other process migrates and nobody is in InTx.
func (s *Store) alone(ctx context.Context, f func() error) (err error) {
	c, err := s.writer.Conn(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.ExecContext(ctx, "SELECT pg_advisory_lock(?)", s.pg.Key); err != nil {
		return err
	}
	defer func() {
		_, unlockErr := c.ExecContext(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock(?)", s.pg.Key)
		err = errors.Join(err, unlockErr)
	}()
	return f()
}

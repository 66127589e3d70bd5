package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

// InTx runs fn in a write transaction and commits it when fn returns nil. When
// InTx returns nil the changes are on disk. When it returns an error, or fn
// panics, nothing of it happened, with one exception: an error of the commit
// itself after power loss, or with a server that cannot be asked any more, where
// only reading tells.
//
// The write lock is taken at the start, so fn never loses a race half way. If
// the lock cannot be had, fn has not run; it is tried again for 15 seconds. fn
// may still be run more than once, should the database report a conflict from
// within, or the connection be cut: it must change nothing but the database, nor
// add to what an earlier run of it left. Of a commit whose answer was cut off the
// server is asked, so that nothing is done twice. Errors of fn are returned as
// they are.
func (s *Store) InTx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	if s.pg != nil {
		return s.inTxPostgres(ctx, fn)
	}
	deadline := time.Now().Add(txBound)
	for {
		err := s.once(ctx, fn)
		if err == nil || !busy(err) || ctx.Err() != nil || time.Now().After(deadline) {
			return explain(err)
		}
	}
}

// Read calls fn with the database of one moment: of what another process commits
// meanwhile, its queries see all or nothing.
func (s *Store) Read(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.reader.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Explain(err)
	}
	defer tx.Rollback()
	return fn(tx)
}

func (s *Store) once(ctx context.Context, fn func(tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	s.wrote.Store(true)
	return nil
}

const (
	// firstPause and longestPause lie between tries to reach a server: a cut
	// connection is made anew in milliseconds, one that restarts needs seconds.
	firstPause   = 5 * time.Millisecond
	longestPause = 500 * time.Millisecond
)

// errUncertain: the answer to a commit was cut off, and the server could not be
// asked for it.
var errUncertain = errors.New("whether the change was stored is not known: look before you repeat it")

// attempt is one run of a transaction.
type attempt struct {
	lost bool   // the connection was cut, or never made
	xid  string // of the transaction, once its commit was sent
}

// life tells the lives of a server apart: when its statistics began, which are thrown
// away by a crash, kept by a restart in order, and others on a standby that takes over.
const life = "SELECT coalesce(CAST(stats_reset AS text), '') FROM pg_stat_bgwriter"

func (s *Store) inTxPostgres(ctx context.Context, fn func(tx *sql.Tx) error) error {
	// One at a time waits for the lock on the server: the others of this process
	// wait here, where it costs no connection.
	select {
	case s.pg.turn <- struct{}{}:
		defer func() { <-s.pg.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	deadline := time.Now().Add(txBound)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var a attempt
		err := s.oncePostgres(ctx, fn, &a)
		if err != nil && a.xid != "" && a.lost {
			var done bool
			if done, err = s.committed(ctx, a.xid, deadline, err); done || err != nil {
				return explain(err)
			}
			err = errRepeat
		}
		if a.lost {
			s.pg.life = ""
		}
		again := a.lost || pgsql.KindOf(err) == pgsql.Busy
		switch {
		case err == nil:
			return nil
		case again && ctx.Err() == nil && time.Now().Before(deadline):
		case a.lost && ctx.Err() == nil:
			return unreachable(err)
		default:
			return explain(err)
		}
		if err := sleep(ctx, pause); err != nil {
			return err
		}
	}
}

var errRepeat = errors.New("the transaction was cut off")

// oncePostgres is one attempt. What ends ctx ends fn, but not the commit.
func (s *Store) oncePostgres(ctx context.Context, fn func(tx *sql.Tx) error, a *attempt) (err error) {
	c, err := s.writer.Conn(ctx)
	if err != nil {
		a.lost = ctx.Err() == nil && pgsql.Cut(err) // also right after it was made
		return err
	}
	defer c.Close()
	defer func() {
		if err != nil && !a.lost {
			a.lost = ctx.Err() == nil && pgsql.Closed(c)
		}
	}()
	whole, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	tx, err := c.BeginTx(whole, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() // after Commit it does nothing
	if s.pg.life == "" {
		if err := tx.QueryRowContext(ctx, life).Scan(&s.pg.life); err != nil {
			return err
		}
	}
	// All that follows sees what the holder of the lock before committed: each
	// statement of a transaction that reads committed rows sees the last commit.
	var xid string
	if err := tx.QueryRowContext(ctx, "SELECT pg_current_xact_id()::text FROM pg_advisory_xact_lock(?)", s.pg.Key).Scan(&xid); err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	bound := time.AfterFunc(txBound, stop)
	defer bound.Stop()
	a.xid = xid
	if err := tx.Commit(); err != nil {
		return err
	}
	s.wrote.Store(true)
	return nil
}

// committed asks the server what became of a transaction whose commit was sent.
// cut is the error that its answer was lost by.
//
// A server that crashed gives the number of a transaction that left nothing on disk to
// another one, which may have been committed since: then only that it was not is certain.
func (s *Store) committed(ctx context.Context, xid string, deadline time.Time, cut error) (bool, error) {
	ctx = context.WithoutCancel(ctx) // who gives up now must know, too
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		var status sql.NullString
		var now string
		err := s.writer.QueryRowContext(ctx, "SELECT pg_xact_status(CAST(? AS xid8)), ("+life+")", xid).Scan(&status, &now)
		switch {
		case err == nil && status.String == "committed" && now == s.pg.life:
			s.wrote.Store(true)
			return true, nil
		case err == nil && status.String == "committed":
			s.wrote.Store(true) // perhaps
			s.pg.life = ""
			return false, fmt.Errorf("%w (the server crashed or was replaced during the commit: %w)", errUncertain, cut)
		case err == nil && status.String == "aborted", pgsql.Code(err) == "22023": // no transaction has had that number
			return false, nil
		}
		if time.Now().After(deadline) || err != nil && !pgsql.Cut(err) {
			return false, fmt.Errorf("%w (%w)", errUncertain, errors.Join(cut, err))
		}
		sleep(ctx, pause) // in progress, or not to be reached
	}
}

// sleep waits, or says why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

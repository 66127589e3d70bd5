// Package lease gives an incident to one process, or one attempt of it, at a time.
//
// A lease is a row with an owner and an end; who holds one may renew it. The package
// does not know what is done meanwhile. Start reading at Take, then Hold.
package lease

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/quench-dev/quench/registry/store"
)

// ErrTaken: another process, or another attempt, has the incident.
var ErrTaken = errors.New("another process is telling the provider")

// Take leases an incident to owner until now+d, if nobody has it, or from has it.
func Take(ctx context.Context, tx *sql.Tx, incident, owner, from string, now time.Time, d time.Duration) error {
	res, err := tx.ExecContext(ctx, `INSERT INTO leases (incident_id, owner, until) VALUES (?, ?, ?)
		ON CONFLICT (incident_id) DO UPDATE SET owner = excluded.owner, until = excluded.until WHERE leases.owner = ? OR leases.until <= ?`,
		incident, owner, now.Add(d).UnixMicro(), from, now.UnixMicro())
	if err != nil {
		return err
	}
	if n, err := res.RowsAffected(); err != nil || n == 0 {
		return errors.Join(ErrTaken, err)
	}
	return nil
}

// Hold renews all leases of an owner, each of d, until stop is called, so that a process which is killed
// lets go of it within d however long its work might have taken. The context it gives
// ends when none is left.
func Hold(ctx context.Context, s *store.Store, owner string, now func() time.Time, d time.Duration) (held context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(d / 4)
		defer tick.Stop()
		good := time.Now()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			var n int64
			err := s.InTx(ctx, func(tx *sql.Tx) error {
				res, err := tx.ExecContext(ctx, "UPDATE leases SET until = ? WHERE owner = ?", now().Add(d).UnixMicro(), owner)
				if err == nil {
					n, err = res.RowsAffected()
				}
				return err
			})
			switch {
			case err == nil && n == 0, err != nil && time.Since(good) > d:
				cancel()
			case err == nil:
				good = time.Now()
			}
		}
	}()
	return ctx, func() { cancel(); <-done }
}

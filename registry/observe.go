package registry

import (
	"context"
	"database/sql"
	"time"
)

// Decided is one use that Verify has decided on.
type Decided struct {
	// Token as it was when it was decided, not to be changed.
	Token  *Token
	Use    Use // as far as the caller told it, Country settled
	Reason string
	At     time.Time
}

// Observer is told of every decided use of a token, such as a watch that looks for
// misuse. What is no token is no use of one.
type Observer interface {
	// Observe is called in the transaction that writes the uses down, oldest first:
	// what it writes to tx, an alert or a suspension (DoTx) too, is on disk with them
	// or not at all. An error undoes the transaction, and so must be one of the
	// database: refusals, first and limited uses are then not answered, and others
	// come again. A retried transaction calls it again with the same uses, so what it
	// keeps in memory it changes only in done, which is called after the commit and
	// may be nil. Calls do not overlap.
	Observe(ctx context.Context, tx *sql.Tx, uses []Decided) (done func(), err error)
}

// Observe names the Observer of all uses from here on, before the first Verify.
func (r *Registry) Observe(o Observer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.observer = o
}

// told runs fn, which calls observe, in a transaction, and what observe returned
// when that is committed.
func (r *Registry) told(ctx context.Context, fn func(tx *sql.Tx) (done func(), err error)) error {
	r.telling.Lock()
	defer r.telling.Unlock()
	var done func()
	err := r.store.InTx(ctx, func(tx *sql.Tx) (err error) {
		done, err = fn(tx)
		return err
	})
	if err == nil && done != nil {
		done()
	}
	return err
}

func (r *Registry) observe(ctx context.Context, tx *sql.Tx, uses []Decided) (done func(), err error) {
	r.mu.Lock()
	o := r.observer
	r.mu.Unlock()
	if o != nil && len(uses) > 0 {
		done, err = o.Observe(ctx, tx, uses)
	}
	return done, err
}

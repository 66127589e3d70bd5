// Package tally gathers what happened in memory and writes it together, at each
// turn of a second.
//
// It knows when to write, what to do when that fails, and when to take no more;
// it does not know what it gathers, nor where that is written. Start reading at
// New.
package tally

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Tally gathers values of U. Its methods are safe for concurrent use.
type Tally[U any] struct {
	write func(ctx context.Context, all []U) error
	most  int

	writing chan struct{} // holds one value while pending is written

	mu      sync.Mutex
	pending []U
	timer   *time.Timer // set while something is pending
	failed  error       // of the last write
	began   time.Time   // the write under way; zero is none
	closed  bool
}

// New makes a Tally of at most most values. write is called with what was added,
// oldest first, at the next full second of the clock at the latest, and by no two
// goroutines at once. It writes all of it or none. After an error the values are
// kept and written a second later, together with those that were added since.
func New[U any](most int, write func(ctx context.Context, all []U) error) *Tally[U] {
	return &Tally[U]{write: write, most: most, writing: make(chan struct{}, 1)}
}

// stuck is how long a write may take before no more is taken: what is added would
// wait longer than who asked was promised.
const stuck = time.Second

// Add takes u, and reports whether it did. It takes nothing while as many values
// wait as may, while a write takes longer than a second (somebody holds the lock),
// after one that failed until one that did not, and after Close: the caller then
// writes u itself.
func (t *Tally[U]) Add(u U) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed || t.failed != nil || len(t.pending) >= t.most || !t.began.IsZero() && time.Since(t.began) > stuck {
		return false
	}
	t.pending = append(t.pending, u)
	t.arm()
	return true
}

// arm sets the timer to the next full second, so that what happened in one second
// is written at once.
func (t *Tally[U]) arm() {
	if t.timer == nil && !t.closed {
		now := time.Now()
		t.timer = time.AfterFunc(now.Truncate(time.Second).Add(time.Second).Sub(now), func() {
			_ = t.Flush(context.Background()) // kept in failed, and tried again
		})
	}
}

// Flush writes what is pending now, once the write under way, if any, has ended.
func (t *Tally[U]) Flush(ctx context.Context) error {
	select {
	case t.writing <- struct{}{}:
		defer func() { <-t.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	t.mu.Lock()
	all := t.pending
	t.pending = nil
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
	if len(all) == 0 {
		t.mu.Unlock()
		return nil
	}
	t.began = time.Now()
	t.mu.Unlock()
	err := t.write(ctx, all)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed, t.began = err, time.Time{}
	if err != nil {
		t.pending = append(all, t.pending...)
		t.arm()
	}
	return err
}

// Close writes what is pending and takes no more. Its error says how much is lost.
func (t *Tally[U]) Close() error {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.Flush(context.Background())
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := len(t.pending); err != nil {
		t.pending = nil
		return fmt.Errorf("%d uses are not written down: %w", n, err)
	}
	return nil
}

// Package together does for many at once what each would wait long for alone, such
// as a commit.
//
// It knows who waits and how many may go together; what is done it is given. Start
// reading at New.
package together

import (
	"context"
	"slices"
	"sync"
)

// Queue takes what is asked while work is under way, for the next round of it. Its
// methods are safe for concurrent use.
type Queue[A any] struct {
	most int
	work func(all []*A)

	mu      sync.Mutex
	waiting []item[A]
	running bool
}

type item[A any] struct {
	ask  *A
	done chan struct{}
}

// New makes a Queue. work is given at most most asks, in their order, by no two
// goroutines at once, and leaves in each what came of it.
func New[A any](most int, work func(all []*A)) *Queue[A] { return &Queue[A]{most: most, work: work} }

// Do returns nil when work is done with ask. When ctx ends first its error is
// returned, and ask is work's for good.
func (q *Queue[A]) Do(ctx context.Context, ask *A) error {
	i := item[A]{ask, make(chan struct{})}
	q.mu.Lock()
	q.waiting = append(q.waiting, i)
	if !q.running {
		q.running = true
		go q.run()
	}
	q.mu.Unlock()
	select {
	case <-i.done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run works until nobody waits.
func (q *Queue[A]) run() {
	for {
		q.mu.Lock()
		n := min(len(q.waiting), q.most)
		batch := slices.Clone(q.waiting[:n])
		q.waiting = slices.Delete(q.waiting, 0, n)
		q.running = n > 0
		q.mu.Unlock()
		if n == 0 {
			return
		}
		asks := make([]*A, n)
		for i := range batch {
			asks[i] = batch[i].ask
		}
		q.work(asks)
		for _, i := range batch {
			close(i.done)
		}
	}
}

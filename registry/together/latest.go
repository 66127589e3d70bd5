package together

import (
	"context"
	"sync"
)

// Latest reads a value for all who ask meanwhile, such as a number that a server is
// asked for. What is returned was read after it was asked for. Its methods are safe
// for concurrent use.
type Latest[T any] struct {
	read func() (T, error)

	mu      sync.Mutex
	next    *reading[T] // that has not begun; nil when nobody waits for one
	running bool
}

type reading[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// NewLatest makes a Latest. read is called by no two goroutines at once.
func NewLatest[T any](read func() (T, error)) *Latest[T] { return &Latest[T]{read: read} }

// Get returns what a read gave that began after the call. When ctx ends first its error
// is returned.
func (l *Latest[T]) Get(ctx context.Context) (value T, err error) {
	l.mu.Lock()
	if l.next == nil {
		l.next = &reading[T]{done: make(chan struct{})}
	}
	mine := l.next
	if !l.running {
		l.running = true
		go l.run()
	}
	l.mu.Unlock()
	select {
	case <-mine.done:
		return mine.value, mine.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// run reads until nobody waits.
func (l *Latest[T]) run() {
	for {
		l.mu.Lock()
		now := l.next
		l.next, l.running = nil, now != nil // who asks from here on waits for the read after
		l.mu.Unlock()
		if now == nil {
			return
		}
		now.value, now.err = l.read()
		close(now.done)
	}
}

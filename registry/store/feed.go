package store

import (
	"context"
	"sync"

	"github.com/quench-dev/quench/registry/store/internal/pgsql"
)

// Changes gives a channel that is ready soon after tokens were changed, by whatever
// process: a hint to look by their seq. On PostgreSQL it comes within milliseconds
// of the commit, and whenever the connection that brings it was made anew, since
// what happened meanwhile is not told again. On SQLite, which tells nobody, the
// channel is nil; so those who must not miss a change look by themselves now and
// then. It is closed by stop, which must be called, or Close.
func (s *Store) Changes() (c <-chan struct{}, stop func()) {
	if s.pg == nil {
		return nil, func() {}
	}
	return s.pg.feed.subscribe()
}

// feed listens to the channel of a schema, on one connection for all subscribers,
// while there are any.
type feed struct {
	conf *pgsql.Config

	mu     sync.Mutex
	subs   map[chan struct{}]bool
	stop   context.CancelFunc // of the listener, nil while there is none
	done   chan struct{}      // closed when it is at its end
	closed bool
	// listens is whether a connection does, told how often subscribers were.
	listens bool
	told    uint64
}

func newFeed(c *pgsql.Config) *feed { return &feed{conf: c, subs: map[chan struct{}]bool{}} }

func (f *feed) subscribe() (<-chan struct{}, func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sub := make(chan struct{}, 1)
	if f.closed {
		close(sub)
		return sub, func() {}
	}
	f.subs[sub] = true
	if f.stop == nil {
		ctx, stop := context.WithCancel(context.Background())
		f.stop, f.done = stop, make(chan struct{})
		go f.listen(ctx, f.done)
	}
	return sub, func() { f.unsubscribe(sub) }
}

func (f *feed) unsubscribe(sub chan struct{}) {
	f.mu.Lock()
	if !f.subs[sub] {
		f.mu.Unlock()
		return
	}
	delete(f.subs, sub)
	close(sub)
	if len(f.subs) > 0 {
		f.mu.Unlock()
		return
	}
	done := f.end()
	f.mu.Unlock()
	<-done
}

// end ends the listener, if there is one; f.mu is held.
func (f *feed) end() <-chan struct{} {
	done := f.done
	if f.stop == nil {
		done = make(chan struct{})
		close(done)
		return done
	}
	f.stop()
	f.stop = nil
	return done
}

func (f *feed) close() {
	f.mu.Lock()
	f.closed = true
	for sub := range f.subs {
		close(sub)
	}
	clear(f.subs)
	done := f.end()
	f.mu.Unlock()
	<-done
}

func (f *feed) tell() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listens, f.told = true, f.told+1
	for sub := range f.subs {
		select {
		case sub <- struct{}{}:
		default: // it has one that it did not look at yet
		}
	}
}

// listen tells of notifications until ctx ends, over as many connections as it
// takes.
func (f *feed) listen(ctx context.Context, done chan struct{}) {
	defer close(done)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		if f.once(ctx) { // it was connected
			pause = firstPause
		}
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

func (f *feed) deaf() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listens = false
}

// missed reports whether what happened since the last call, which gave told, may be
// unknown: nobody listened, or there was something to hear.
func (f *feed) missed(told uint64) (bool, uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.listens || f.told != told, f.told
}

// once listens on one connection until it is cut. That cannot be told from ctx's
// end, nor need it: who subscribed looks by seq, and the next connection tells.
func (f *feed) once(ctx context.Context) (connected bool) {
	c, err := f.conf.Listen(ctx)
	if err != nil {
		return false
	}
	defer c.Close(context.WithoutCancel(ctx))
	defer f.deaf()
	if _, err := c.Exec(ctx, "LISTEN quench_"+f.conf.Schema); err != nil {
		return false
	}
	for {
		f.tell()
		if _, err := c.WaitForNotification(ctx); err != nil {
			return true
		}
	}
}

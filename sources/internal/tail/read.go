package tail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// read reads what is noticed, round after round.
func (fl *follower) read(ctx context.Context) error {
	bufs := make([][]byte, fl.o.Workers)
	for {
		batch := fl.take()
		if err := fl.all(ctx, batch, bufs); err != nil {
			return err
		}
		if fl.o.Round != nil {
			if err := fl.o.Round(); err != nil {
				return err
			}
		}
		if fl.allRead() && fl.o.Ready != nil {
			fl.mu.Lock()
			n := len(fl.names)
			fl.mu.Unlock()
			fl.o.Ready(n)
		}
		if len(batch) > 0 && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-fl.wake:
		}
	}
}

// allRead reports once that the files of the start were read to their end.
func (fl *follower) allRead() bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if fl.ready || fl.unread > 0 {
		return false
	}
	fl.ready = true
	return true
}

// take takes the files of the next round: half of it is kept for those that were read
// to their end before, where they are so many.
func (fl *follower) take() (batch []*file) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	pick := func(q *[]*file, n int) {
		for ; n > 0 && len(*q) > 0 && len(batch) < perRound; n-- {
			x := (*q)[0]
			(*q)[0] = nil
			*q = (*q)[1:]
			x.queued, x.busy = false, true
			batch = append(batch, x)
		}
	}
	pick(&fl.fresh, perRound-min(len(fl.behind), perRound/2))
	pick(&fl.behind, perRound)
	return batch
}

// all reads the files of one round, as many at a time as there are workers.
func (fl *follower) all(ctx context.Context, batch []*file, bufs [][]byte) error {
	if len(batch) == 0 {
		return nil
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	next := 0
	work := func(buf *[]byte) {
		if *buf == nil {
			*buf = make([]byte, readSize)
		}
		for {
			mu.Lock()
			i := next
			next++
			mu.Unlock()
			if i >= len(batch) {
				return
			}
			more, err := fl.poll(ctx, batch[i], *buf)
			fl.polled(batch[i], more)
			if err != nil {
				mu.Lock()
				errs = errors.Join(errs, err)
				mu.Unlock()
			}
		}
	}
	for i := 1; i < min(len(bufs), len(batch)); i++ {
		wg.Go(func() { work(&bufs[i]) })
	}
	work(&bufs[0])
	wg.Wait()
	return errs
}

// enqueue has a file read. The lock is held.
func (fl *follower) enqueue(x *file) {
	if x.busy {
		x.again = true
		return
	}
	if x.queued {
		return
	}
	x.queued = true
	fl.fresh = append(fl.fresh, x)
	signal(fl.wake)
}

// polled puts a file back that has more, or that something happened to meanwhile.
func (fl *follower) polled(x *file, more bool) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	x.busy = false
	again := x.again
	x.again = false
	if !more && x.early {
		x.early = false
		fl.unread--
	}
	switch {
	case x.ended:
	case more:
		x.queued = true
		fl.behind = append(fl.behind, x)
	case again:
		x.queued = true
		fl.fresh = append(fl.fresh, x)
	}
}

// poll reads what is new in a file, up to a quantum, and reports whether there may be
// more. It notices when the file was truncated.
func (fl *follower) poll(ctx context.Context, x *file, buf []byte) (more bool, err error) {
	if x.ended || ctx.Err() != nil {
		return false, ctx.Err()
	}
	fl.mu.Lock()
	path, gone, idle := x.path, !x.goneAt.IsZero(), x.wantIdle
	x.wantIdle = false
	fl.mu.Unlock()
	if err := fl.begin(x, path); err != nil {
		return false, err
	}
	given := 0
	for given < quantum {
		n, rerr := x.f.ReadAt(buf, x.offset)
		if rerr != nil && rerr != io.EOF {
			if x.reopen(path) {
				return true, nil
			}
			fl.trouble(path, fmt.Errorf("reading it: %w", rerr))
			fl.mu.Lock()
			fl.failing[x] = true
			fl.mu.Unlock()
			return false, fl.quieted(x, path, gone, idle)
		}
		if !x.still(x.offset + int64(n)) {
			if st, err := x.f.Stat(); err == nil && !x.is(st) && x.reopen(path) {
				return true, nil
			}
			return false, fl.truncated(x, path, gone)
		}
		if n == 0 {
			return false, fl.quieted(x, path, gone, idle && given == 0)
		}
		if given == 0 {
			fl.trouble(path, nil)
		}
		given += n
		x.offset += int64(n)
		fl.mu.Lock()
		x.quiet, idle = time.Now(), false
		fl.active[x] = struct{}{}
		fl.mu.Unlock()
		p := Position{File: x.id, Path: path, Identity: Identity{x.key.dev, x.key.ino, x.head}, Offset: x.offset}
		if err := fl.event(Event{File: x.id, Path: path, Kind: Data, Data: buf[:n], Position: p, More: rerr == nil}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// quieted is what comes when nothing more is there: the file is idle, or it is gone and
// nobody writes to it any more.
func (fl *follower) quieted(x *file, path string, gone, idle bool) error {
	if gone {
		fl.mu.Lock()
		since, evict := x.goneAt, x.evict
		if x.quiet.After(since) {
			since = x.quiet
		}
		fl.mu.Unlock()
		if evict || time.Since(since) > fl.o.Linger {
			return fl.end(x, path, deleted(x.f))
		}
	}
	if idle {
		return fl.event(Event{File: x.id, Path: path, Kind: Idle})
	}
	return nil
}

// truncated ends a file and has what is there now begin as another.
func (fl *follower) truncated(x *file, path string, gone bool) error {
	if err := fl.end(x, path, true); err != nil || gone {
		return err
	}
	fl.mu.Lock()
	fl.redo[path] = true
	fl.mu.Unlock()
	signal(fl.poke)
	return nil
}

// maxSaved bounds the positions of files that were moved away and may come back.
const maxSaved = 10_000

// end gives a file up.
func (fl *follower) end(x *file, path string, final bool) error {
	fl.mu.Lock()
	x.ended = true
	if !final && len(fl.saved) < maxSaved {
		p := Position{File: x.id, Path: path, Identity: Identity{x.key.dev, x.key.ino, x.head}, Offset: x.offset}
		key := x.key.anywhere()
		fl.saved[key] = append(fl.saved[key], p)
	}
	if fl.names[x.path] == x {
		delete(fl.names, x.path)
	}
	if fl.byID[x.key] == x {
		delete(fl.byID, x.key)
	}
	delete(fl.active, x)
	for i, g := range fl.gone {
		if g == x {
			fl.gone = append(fl.gone[:i], fl.gone[i+1:]...)
			break
		}
	}
	fl.mu.Unlock()
	x.f.Close()
	return fl.event(Event{File: x.id, Path: path, Kind: End, Final: final})
}

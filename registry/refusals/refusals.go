// Package refusals tells the audit log of what was refused because it is no token of
// the registry: all of a minute together.
//
// Who knows no token can ask for anything as often as a machine can: were each refusal
// an event, strangers would fill the disk. Here they are a count and a few examples in
// memory. It knows uses and times, and neither tokens nor the log. Start reading at New.
package refusals

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/quench-dev/quench/registry/use"
)

const (
	// soon is when the first refusal after a pause is written: as uses are, within a second.
	soon = time.Second
	// Every is how often refusals that go on are written. One event for each reason a
	// minute is a megabyte or two a day, and what a person reads of a flood.
	Every = time.Minute
)

// Sum is what is told of the refusals of one reason.
type Sum struct {
	Reason   string
	From, To time.Time // of the first and the last
	Count    int
	uses     use.Summary
}

// Details tells them for the audit log: how many, from when to when, and the different
// values of each field of their uses, of which there are at most eight.
func (s *Sum) Details() map[string]string {
	d := s.uses.Details()
	d["reason"], d["refusals"] = s.Reason, strconv.Itoa(s.Count)
	d["from"], d["to"] = s.From.UTC().Format(time.RFC3339), s.To.UTC().Format(time.RFC3339)
	return d
}

// Refusals gathers refusals. Its methods are safe for concurrent use.
type Refusals struct {
	write func(ctx context.Context, all []*Sum) error

	writing chan struct{} // holds one value while sums are written

	mu     sync.Mutex
	sums   map[string]*Sum
	timer  *time.Timer // set while there are sums
	last   time.Time   // they were last taken to be written
	failed bool        // the last write did
	closed bool
}

// New makes Refusals. write is called with what was added, a sum for each reason in
// their order, by no two goroutines at once, and writes all or none. What could not be
// written is kept, and tried again a second later.
func New(write func(ctx context.Context, all []*Sum) error) *Refusals {
	return &Refusals{write: write, writing: make(chan struct{}, 1), sums: map[string]*Sum{}}
}

// Add takes a refusal, and reports whether it did: not after a write that failed until
// one that did not, nor after Close. The caller then writes it himself.
func (r *Refusals) Add(reason string, u *use.Use, at time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.failed {
		return false
	}
	r.add(reason, u, at)
	return true
}

// Keep takes a refusal whatever became of the last write: one that a transaction decided
// while that was well.
func (r *Refusals) Keep(reason string, u *use.Use, at time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.add(reason, u, at)
}

// Takes reports whether Add would take a refusal.
func (r *Refusals) Takes() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return !r.closed && !r.failed
}

func (r *Refusals) add(reason string, u *use.Use, at time.Time) {
	s := r.sums[reason]
	if s == nil {
		s = &Sum{Reason: reason, From: at}
		r.sums[reason] = s
	}
	s.Count++
	s.To = at
	s.uses.Add(u)
	r.arm()
}

// arm sets the timer while there is something to write.
func (r *Refusals) arm() {
	if r.timer != nil || r.closed || len(r.sums) == 0 {
		return
	}
	wait := soon
	if !r.failed && !r.last.IsZero() {
		wait = max(soon, Every-time.Since(r.last))
	}
	r.timer = time.AfterFunc(wait, func() {
		_ = r.Flush(context.Background()) // kept, and tried again
	})
}

// Flush writes what there is now, once the write under way, if any, has ended.
func (r *Refusals) Flush(ctx context.Context) error {
	select {
	case r.writing <- struct{}{}:
		defer func() { <-r.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	r.mu.Lock()
	sums := r.sums
	r.sums = map[string]*Sum{}
	if r.timer != nil {
		r.timer.Stop()
		r.timer = nil
	}
	if len(sums) == 0 {
		r.mu.Unlock()
		return nil
	}
	r.last = time.Now() // before it is written: what comes meanwhile waits its minute
	r.mu.Unlock()
	var all []*Sum
	for _, reason := range slices.Sorted(maps.Keys(sums)) {
		all = append(all, sums[reason])
	}
	err := r.write(ctx, all)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = err != nil
	if err != nil {
		for _, s := range all {
			r.sums[s.Reason] = s.and(r.sums[s.Reason])
		}
		if r.timer != nil { // what came meanwhile set it to a minute
			r.timer.Stop()
			r.timer = nil
		}
	}
	r.arm()
	return err
}

// and is s and what came after it; nil is nothing.
func (s *Sum) and(later *Sum) *Sum {
	if later != nil {
		s.To = later.To
		s.Count += later.Count
		s.uses.Join(&later.uses)
	}
	return s
}

// Close writes what there is and takes no more. Its error says how much is lost.
func (r *Refusals) Close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	if err := r.Flush(context.Background()); err != nil {
		n := 0
		for _, s := range r.sums {
			n += s.Count
		}
		return fmt.Errorf("%d refusals of what is no token are not written down: %w", n, err)
	}
	return nil
}

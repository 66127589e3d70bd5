// Package match answers, for every token-like run of scanned text, whether it
// is a token of the registry.
//
// A Set keeps one keyed 64-bit fingerprint per token in memory; only a hit goes
// on to the database, which confirms it by HMAC and tells the token's state as
// of now. The package knows fingerprints, shapes and how to notice that the
// registry changed; it never sees a token except as the candidate of a Lookup.
// Start reading at Set.Lookup.
package match

import (
	"context"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/scanner"
)

// Every is how often a Set looks whether the registry changed: a token issued elsewhere
// must be found within a second, and half of that is left to a busy machine. Each look
// wakes a process that has nothing else to do, which costs more than what is read.
const Every = 500 * time.Millisecond

// Source is the registry as a Set sees it. Its methods are called by one
// goroutine at a time, but for Find.
type Source interface {
	// Version is a number that differs whenever anything was committed since.
	Version(ctx context.Context) (int64, error)
	// Keys are those that tokens have their fingerprints by, the one of new tokens
	// first: more than one while the registry moves from one to another. A change
	// of them is a change of Version.
	Keys(ctx context.Context) ([]Key, error)
	// After calls f with the fingerprint of every token changed after seq, and
	// returns the newest seq, to be given next time; from 0 it is every token.
	After(ctx context.Context, seq int64, f func(fingerprint uint64)) (int64, error)
	// Shapes are the forms of all tokens, each once.
	Shapes(ctx context.Context) ([]scanner.Shape, error)
	// Find confirms candidate by its MAC and tells its state as of now.
	Find(ctx context.Context, candidate []byte) (scanner.KnownToken, bool, error)
	// Own reports whether candidate is in the registry's own format with a right
	// checksum; such a candidate is always looked up.
	Own(candidate []byte) bool
	// OwnShapes are the shapes of that format, so that a registry's first token
	// is looked for before the set has seen it.
	OwnShapes() []scanner.Shape
}

// Feed is a Source that tells of changes as they come. A Set looks every Every all the
// same: what was told while a connection was down is not told again.
type Feed interface {
	// Changes gives a channel that is ready after a change; nil never is. stop ends it.
	Changes() (c <-chan struct{}, stop func())
}

// Still is a Source that can tell for less than a Version costs that nothing changed.
type Still interface {
	// Still reports whether nothing was committed since it was asked last; it may be
	// wrong for a moment. It is asked by one goroutine.
	Still() bool
}

// rests is for how many looks a Source is believed that nothing changed: a change that it
// does not see is found at the next, a second after at most.
const rests = 1

// Set implements scanner.Known. It is safe for concurrent use.
type Set struct {
	source Source
	snap   atomic.Pointer[snapshot]
	err    atomic.Pointer[error]

	mu      sync.Mutex // guards refreshing
	version int64
	seq     int64
	loaded  bool

	patience atomic.Pointer[patience] // nil of a Set that does not wait
	stale    atomic.Bool              // the last refresh of one that waits failed

	ctx  context.Context // of queries: never cancelled, a hit must not be lost at the end of a scan
	stop context.CancelFunc
	done chan struct{}
}

// snapshot never changes once it is visible: readers take no lock. What is new
// goes to a small second map, so that one new token does not copy a million.
type snapshot struct {
	keys   []Key
	base   *table
	fresh  map[uint64]struct{}
	shapes []scanner.Shape
}

// knows reports whether candidate may be a token, under any of the keys.
func (s *snapshot) knows(candidate []byte) bool {
	for _, k := range s.keys {
		if s.has(Fingerprint(k, candidate)) {
			return true
		}
	}
	return false
}

func (s *snapshot) has(f uint64) bool {
	if s.base.has(f) {
		return true
	}
	_, ok := s.fresh[f]
	return ok
}

// New loads a Set from source and keeps it up to date until Close.
func New(ctx context.Context, source Source) (*Set, error) {
	s := &Set{source: source, done: make(chan struct{})}
	first := &snapshot{base: &table{}}
	for _, shape := range source.OwnShapes() {
		first.addShape(shape)
	}
	s.snap.Store(first)
	if err := s.Refresh(ctx); err != nil {
		return nil, err
	}
	s.ctx = context.WithoutCancel(ctx)
	following, stop := context.WithCancel(s.ctx)
	s.stop = stop
	go s.follow(following)
	return s, nil
}

// follow refreshes until Close.
func (s *Set) follow(ctx context.Context) {
	defer close(s.done)
	// With all that looks each second, so that the process is woken once for all of it.
	tick := time.NewTimer(next())
	defer tick.Stop()
	var changes <-chan struct{}
	if f, ok := s.source.(Feed); ok {
		c, stop := f.Changes()
		defer stop()
		changes = c
	}
	still, rested := s.still(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			tick.Reset(next())
			if rested++; still() && rested <= rests && !s.stale.Load() {
				continue
			}
			rested = 0
		case _, open := <-changes:
			if !open {
				changes = nil
			}
		}
		if err := s.Refresh(ctx); err != nil && ctx.Err() == nil && s.patience.Load() == nil {
			s.fail(err)
		}
	}
}

// next is how long it is to a full Every.
func next() time.Duration { now := time.Now(); return now.Truncate(Every).Add(Every).Sub(now) }

// still is whether the source says that nothing changed.
func (s *Set) still() func() bool {
	if q, ok := s.source.(Still); ok {
		return q.Still
	}
	return func() bool { return false }
}

// patience is what Wait was given.
type patience struct {
	ctx  context.Context
	told func(error) bool
}

// longest and shortest are the pauses while a Set waits for its source.
const shortest, longest = 5 * time.Millisecond, 500 * time.Millisecond

// Wait has the Set wait for its source when that cannot be asked, such as a server that
// is restarted, for those who live and must miss nothing: a Lookup returns when it was
// answered by a source that is at hand. told hears of each failure and says whether it is
// one that passes; others, and the end of ctx, make the Lookup fail as it does without
// Wait. It hears nil when a Lookup that waited is answered.
func (s *Set) Wait(ctx context.Context, told func(error) (passes bool)) {
	s.patience.Store(&patience{ctx, told})
}

// waits waits after a failure, unless that is in vain.
func (p *patience) waits(err error, pause *time.Duration) bool {
	if p == nil || p.ctx.Err() != nil || !p.told(err) {
		return false
	}
	t := time.NewTimer(*pause)
	defer t.Stop()
	*pause = min(2**pause, longest)
	select {
	case <-p.ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// Close ends the refreshing. The set still answers, as long as its source does.
func (s *Set) Close() {
	s.stop()
	<-s.done
}

// Err is the first error met while refreshing or confirming: from then on the
// set may have missed tokens, and a scan must not call itself complete.
func (s *Set) Err() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

func (s *Set) fail(err error) { s.err.CompareAndSwap(nil, &err) }

// Len is the number of fingerprints.
func (s *Set) Len() int {
	snap := s.snap.Load()
	return snap.base.len() + len(snap.fresh)
}

// Shapes implements scanner.Known.
func (s *Set) Shapes() []scanner.Shape { return s.snap.Load().shapes }

// Lookup implements scanner.Known. A candidate that is no token costs one
// SipHash for each key and two probes; one with our own checksum, or a fingerprint of
// the set, costs a query.
func (s *Set) Lookup(candidate []byte) (scanner.KnownToken, bool) {
	if s.stale.Load() && !s.refreshed() {
		return scanner.KnownToken{}, false
	}
	if !s.snap.Load().knows(candidate) && !s.source.Own(candidate) {
		return scanner.KnownToken{}, false
	}
	p, pause := s.patience.Load(), shortest
	for waited := false; ; waited = true {
		t, ok, err := s.source.Find(s.ctx, candidate)
		if err == nil {
			if waited {
				p.told(nil)
			}
			return t, ok
		}
		if !p.waits(err, &pause) {
			s.fail(err)
			return scanner.KnownToken{}, false
		}
	}
}

// refreshed waits until a Set that missed a change knows all again.
func (s *Set) refreshed() bool {
	p, pause := s.patience.Load(), shortest
	for waited := false; s.stale.Load(); waited = true {
		err := s.Refresh(s.ctx)
		if err == nil {
			if waited {
				p.told(nil)
			}
			return true
		}
		if !p.waits(err, &pause) {
			s.fail(err)
			return false
		}
	}
	return true
}

// Refresh loads what changed in the registry, at once.
func (s *Set) Refresh(ctx context.Context) (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	// Of a Set that waits nobody is answered until it knows all again.
	defer func() { s.stale.Store(err != nil && s.patience.Load() != nil) }()
	v, err := s.source.Version(ctx)
	if err != nil {
		return err
	}
	if s.loaded && v == s.version {
		return nil
	}
	// Before the tokens: what is under a key that is gone by then is not lost.
	keys, err := s.source.Keys(ctx)
	if err != nil {
		return err
	}
	next, more, seq, err := s.load(ctx)
	if err != nil {
		return err
	}
	next.keys = keys
	shapes, err := s.source.Shapes(ctx)
	if err != nil {
		return err
	}
	next.shapes = slices.Clone(next.shapes)
	for _, shape := range shapes {
		next.addShape(shape)
	}
	s.snap.Store(next)
	if more != nil {
		s.merge(more)
	}
	s.version, s.seq, s.loaded = v, seq, true
	return nil
}

// load is the newest snapshot with what came since, and what is to be merged into it:
// the first time, and when much came, that is what came, which then is in no map.
func (s *Set) load(ctx context.Context) (next *snapshot, more *loading, seq int64, err error) {
	old := s.snap.Load()
	more = &loading{beside: old.base.len()}
	seq, err = s.source.After(ctx, s.seq, func(f uint64) {
		if !old.has(f) {
			more.add(f)
		}
	})
	next = &snapshot{base: old.base, fresh: old.fresh, shapes: old.shapes}
	if !s.loaded || more.n+len(old.fresh) > old.base.len()/share+small {
		return next, more, seq, err
	}
	next.fresh = make(map[uint64]struct{}, len(old.fresh)+more.n)
	maps.Copy(next.fresh, old.fresh)
	more.each(func(f uint64) { next.fresh[f] = struct{}{} })
	return next, nil, seq, err
}

// What came since goes to a map, which is copied with each refresh, until it is a share of
// the table, which is copied once: that costs 64 steps of a nanosecond for each new token
// over a set's life. The map of an eighth took half as much memory as the table.
const share, small = 64, 1024

// merge folds more and what is fresh into the table, part by part, each visible at once,
// so that at no time two tables are held.
func (s *Set) merge(more *loading) {
	snap := *s.snap.Load()
	for f := range snap.fresh {
		more.add(f)
	}
	for i := range more.blocks {
		fresh := more.take(i)
		if len(fresh) == 0 {
			continue
		}
		base := *s.snap.Load().base
		base.parts[i] = newBuckets(union(base.parts[i].sorted, fresh))
		s.snap.Store(&snapshot{keys: snap.keys, base: &base, fresh: snap.fresh, shapes: snap.shapes})
		more.collect(len(base.parts[i].sorted))
	}
	s.snap.Store(&snapshot{keys: snap.keys, base: s.snap.Load().base, shapes: snap.shapes})
	if s.snap.Load().base.len() >= large {
		debug.FreeOSMemory()
	}
}

// large is how many fingerprints make it worth a tenth of a second to give back at
// once what loading them took: as much as the set itself, which lives for weeks.
const large = 1 << 20

func (s *snapshot) addShape(shape scanner.Shape) {
	if i, ok := slices.BinarySearchFunc(s.shapes, shape, compareShapes); !ok {
		s.shapes = slices.Insert(s.shapes, i, shape)
	}
}

func compareShapes(a, b scanner.Shape) int {
	if a.Len != b.Len {
		return a.Len - b.Len
	}
	return strings.Compare(a.Extra, b.Extra)
}

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
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/scanner"
)

// Every is how often a Set looks whether the registry changed. The check costs
// some microseconds, and a token issued elsewhere must be found within a second.
const Every = 250 * time.Millisecond

// Entry is what a Set keeps of a token.
type Entry struct {
	Fingerprint uint64
	Shape       scanner.Shape
}

// Source is the registry as a Set sees it. Its methods are called by one
// goroutine at a time, but for Find.
type Source interface {
	// Version is a number that differs whenever anything was committed since.
	Version(ctx context.Context) (int64, error)
	// After calls f for every token changed after seq, and returns the newest
	// seq, to be given next time; from 0 it is every token.
	After(ctx context.Context, seq int64, f func(Entry)) (int64, error)
	// Find confirms candidate by its MAC and tells its state as of now.
	Find(ctx context.Context, candidate []byte) (scanner.KnownToken, bool, error)
	// Own reports whether candidate is in the registry's own format with a right
	// checksum; such a candidate is always looked up.
	Own(candidate []byte) bool
	// OwnShapes are the shapes of that format, so that a registry's first token
	// is looked for before the set has seen it.
	OwnShapes() []scanner.Shape
}

// Set implements scanner.Known. It is safe for concurrent use.
type Set struct {
	source Source
	key    Key
	snap   atomic.Pointer[snapshot]
	err    atomic.Pointer[error]

	mu      sync.Mutex // guards refreshing
	version int64
	seq     int64
	loaded  bool

	ctx  context.Context // of queries: never cancelled, a hit must not be lost at the end of a scan
	stop context.CancelFunc
	done chan struct{}
}

// snapshot never changes once it is visible: readers take no lock. What is new
// goes to a small second map, so that one new token does not copy a million.
type snapshot struct {
	base, fresh map[uint64]struct{}
	shapes      []scanner.Shape
}

func (s *snapshot) has(f uint64) bool {
	if _, ok := s.base[f]; ok {
		return true
	}
	_, ok := s.fresh[f]
	return ok
}

// New loads a Set from source and keeps it up to date until Close.
func New(ctx context.Context, key Key, source Source) (*Set, error) {
	s := &Set{source: source, key: key, done: make(chan struct{})}
	first := &snapshot{}
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
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.Refresh(ctx); err != nil && ctx.Err() == nil {
				s.fail(err)
			}
		}
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
	return len(snap.base) + len(snap.fresh)
}

// Shapes implements scanner.Known.
func (s *Set) Shapes() []scanner.Shape { return s.snap.Load().shapes }

// Lookup implements scanner.Known. A candidate that is no token costs one
// SipHash and two map probes; one with our own checksum, or a fingerprint of
// the set, costs a query.
func (s *Set) Lookup(candidate []byte) (scanner.KnownToken, bool) {
	if !s.snap.Load().has(Fingerprint(s.key, candidate)) && !s.source.Own(candidate) {
		return scanner.KnownToken{}, false
	}
	t, ok, err := s.source.Find(s.ctx, candidate)
	if err != nil {
		s.fail(err)
		return scanner.KnownToken{}, false
	}
	return t, ok
}

// Refresh loads what changed in the registry, at once.
func (s *Set) Refresh(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	v, err := s.source.Version(ctx)
	if err != nil {
		return err
	}
	if s.loaded && v == s.version {
		return nil
	}
	old := s.snap.Load()
	next := &snapshot{base: old.base, fresh: make(map[uint64]struct{}, len(old.fresh)), shapes: slices.Clone(old.shapes)}
	for f := range old.fresh {
		next.fresh[f] = struct{}{}
	}
	seq, err := s.source.After(ctx, s.seq, func(e Entry) {
		if _, ok := next.base[e.Fingerprint]; !ok {
			next.fresh[e.Fingerprint] = struct{}{}
		}
		next.addShape(e.Shape)
	})
	if err != nil {
		return err
	}
	next.merge()
	s.snap.Store(next)
	s.version, s.seq, s.loaded = v, seq, true
	return nil
}

func (s *snapshot) addShape(shape scanner.Shape) {
	if i, ok := slices.BinarySearchFunc(s.shapes, shape, compareShapes); !ok {
		s.shapes = slices.Insert(s.shapes, i, shape)
	}
}

// merge folds fresh into base when it is an eighth of it: copying then costs
// eight steps per new token over a set's life, and the second map stays small.
func (s *snapshot) merge() {
	if len(s.fresh) < 1024+len(s.base)/8 {
		return
	}
	if len(s.base) == 0 {
		s.base, s.fresh = s.fresh, nil
		return
	}
	all := make(map[uint64]struct{}, len(s.base)+len(s.fresh))
	for f := range s.base {
		all[f] = struct{}{}
	}
	for f := range s.fresh {
		all[f] = struct{}{}
	}
	s.base, s.fresh = all, nil
}

func compareShapes(a, b scanner.Shape) int {
	if a.Len != b.Len {
		return a.Len - b.Len
	}
	return strings.Compare(a.Extra, b.Extra)
}

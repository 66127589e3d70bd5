package cache

import (
	"bytes"
	"slices"
	"sync"
)

// maxRuns bounds the fingerprints kept of one scan, 8 bytes each in memory: 128 MB.
// With more, nothing is remembered for scans with a registry.
const maxRuns = 16 << 20

// maxResults bounds what the results of one segment take: offsets have 32 bits.
const maxResults = 1 << 26

// Log takes down what a scan finds. Safe for concurrent use.
type Log struct {
	registry Registry
	key      []byte
	shapes   []Shape

	mu      sync.Mutex
	secrets map[[32]byte]int
	entries []entry
	matches int
	runs    []*Runs
}

// NewLog begins a log. registry is as it was before the first object was read, and
// stays so; nil when there is none.
func NewLog(registry Registry) *Log {
	l := &Log{registry: registry, secrets: map[[32]byte]int{}}
	if registry != nil {
		l.key, l.shapes = bytes.Clone(registry.Key()), slices.Clone(registry.Shapes())
	}
	return l
}

// Secret numbers secrets by a hash that nobody keeps, equal ones alike.
func (l *Log) Secret(hash [32]byte) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n, known := l.secrets[hash]
	if !known {
		n = len(l.secrets)
		l.secrets[hash] = n
	}
	return n
}

// Add takes down an object that was read to its end and holds no token of the
// registry.
func (l *Log) Add(id ID, r Result) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.matches += 1 + len(r.Matches); l.matches < maxResults {
		l.entries = append(l.entries, entry{id, r})
	}
}

// Runs takes down fingerprints, for one goroutine.
type Runs struct {
	recent [1 << 10]uint64 // the same run comes many times in a row of versions
	all    []uint64
	sorted int // how many of all are, each once
	full   bool
}

// Runs gives a part of the log to one goroutine.
func (l *Log) Runs() *Runs {
	r := &Runs{}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.runs = append(l.runs, r)
	return r
}

// Add takes down the fingerprint of a run that the registry was asked about.
func (r *Runs) Add(fp uint64) {
	slot := &r.recent[fp%uint64(len(r.recent))]
	if *slot == fp || r.full {
		return
	}
	*slot = fp
	if r.all = append(r.all, fp); len(r.all) >= 1<<16+2*r.sorted {
		slices.Sort(r.all)
		r.all = slices.Compact(r.all)
		r.sorted = len(r.all)
		r.full = r.sorted > maxRuns
	}
}

// Empty reports whether nothing was added.
func (l *Log) Empty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.entries) == 0
}

// With gives the cache with what a log holds. What For left out stays only while
// the scan that wrote the log has not read most of it again. No goroutine adds to
// the log any more.
func (c *Cache) With(l *Log) *Cache {
	var runs []uint64
	key := l.key
	for _, r := range l.runs {
		runs = append(runs, r.all...)
		if r.full || len(runs) > 2*maxRuns {
			key, runs = nil, nil
			break
		}
	}
	if key != nil {
		// Zero stands for an empty slot in Runs.recent and is taken as seen.
		runs = slices.DeleteFunc(append(runs, 0), l.registry.Has)
	}
	added := encode(key, l.shapes, runs, l.entries)
	out := &Cache{}
	for i, s := range c.segments {
		if c.usable[i] || !added.replaces(s) {
			out.segments = append(out.segments, s)
		}
	}
	if added != nil {
		out.segments = append(out.segments, added)
	}
	if len(out.segments) > maxSegments {
		out.segments = merge(out.segments)
	}
	out.usable = make([]bool, len(out.segments))
	return out
}

// replaces reports whether s has most of what old has.
func (s *segment) replaces(old *segment) bool {
	if s == nil {
		return false
	}
	n := 0
	for id := range slices.Chunk(old.ids, len(ID{})) {
		if _, ok := s.find(ID(id)); ok {
			n++
		}
	}
	return 2*n*len(ID{}) >= len(old.ids)
}

// merge makes one segment of all that know of one registry, in the order of the
// newest of each; the oldest are dropped when there are too many registries.
func merge(all []*segment) (out []*segment) {
	for len(all) > 0 && len(out) < maxSegments {
		newest := all[len(all)-1]
		shapes, runs, entries := newest.shapes, []uint64(nil), []entry(nil)
		secrets := 0
		all = slices.DeleteFunc(slices.Clone(all), func(s *segment) bool {
			if !bytes.Equal(s.key, newest.key) {
				return false
			}
			shapes = slices.DeleteFunc(slices.Clone(shapes), func(h Shape) bool { return !slices.Contains(s.shapes, h) })
			runs = append(runs, s.runs...)
			from := secrets
			for i, id := range slices.Collect(slices.Chunk(s.ids, len(ID{}))) {
				r, ok := s.result(i)
				if !ok {
					continue
				}
				for k := range r.Matches {
					r.Matches[k].Secret += from
					secrets = max(secrets, r.Matches[k].Secret+1)
				}
				entries = append(entries, entry{ID(id), r})
			}
			return true
		})
		if s := encode(newest.key, shapes, runs, entries); s != nil {
			out = append([]*segment{s}, out...)
		}
	}
	return out
}

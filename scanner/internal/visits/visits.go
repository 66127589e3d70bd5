// Package visits has the items of a sources.Visitor visited: together, in the order
// they are stored in, and where the source knows them early, ahead of being listed.
//
// Of an item that is visited ahead, what was found is kept until the item is listed
// and it is known where it lies, or the item is kept until it is visited: who comes
// second delivers. The package knows nothing of what is found. Start reading at Set.
package visits

import (
	"context"
	"sync"

	"github.com/quench-dev/quench/sources"
)

// maxTogether bounds the items that are collected to be visited together. Packs are
// read once per batch, and an item waits in some 100 bytes: 26 MB at most, and
// histories of fewer blobs, which nearly all are, are one batch.
const maxTogether = 1 << 18

// Seen is what came of the visit of one item.
type Seen[M any] struct {
	Len   int64
	Skip  *sources.Skip // why it was not read
	Found []M
}

// Set has items visited, each with its place among all: M is what is found. A nil Set
// visits none.
type Set[M any] struct {
	Source  sources.Visitor
	Workers int
	// Scan visits, and gives what is handed to the visits of differences. Deliver is
	// told what came of an item, and Open of those that are not visited. Both are
	// called by several goroutines at a time.
	Scan    func(*sources.Content) (Seen[M], any)
	Deliver func(seq int, it sources.Item, s Seen[M])
	Open    func(seq int, it sources.Item)
	// Narrow, where it is not nil, may have less of an item scanned than is new in
	// it; it is not handed to visits of differences then.
	Narrow func(seq int, c *sources.Content) bool

	waiting []kept        // to be visited together
	last    *sources.Item // what was kept last shares

	ahead bool
	mu    sync.Mutex
	// Of objects that were not delivered: those that are listed, or visited.
	listed  map[sources.ObjectID]kept
	visited map[sources.ObjectID]Seen[M]
}

// Foretell has the source visit ahead what it can. Of wanted objects alone, and with
// one worker none: the walk that lists is one.
func (s *Set[M]) Foretell(wanted func(sources.ObjectID) bool) {
	if s == nil || s.Workers < 2 {
		return
	}
	f, ok := s.Source.(sources.Foreteller)
	if !ok {
		return
	}
	s.ahead, s.listed, s.visited = true, map[sources.ObjectID]kept{}, map[sources.ObjectID]Seen[M]{}
	f.Foretell(&sources.Ahead{Workers: s.Workers, Most: maxTogether, Wanted: wanted, Visit: func(id sources.ObjectID, c *sources.Content) any {
		seen, state := s.Scan(c)
		s.mu.Lock()
		k, ok := s.listed[id]
		if ok {
			delete(s.listed, id)
		} else {
			s.visited[id] = seen
		}
		s.mu.Unlock()
		if ok {
			s.Deliver(k.seq, k.item(), seen)
		}
		return state
	}})
}

// Add takes an item, or says that it is none to be visited. It is for one goroutine.
func (s *Set[M]) Add(ctx context.Context, seq int, it sources.Item) bool {
	if s == nil || it.Origin.Blob == "" {
		return false
	}
	if s.ahead && it.Object != (sources.ObjectID{}) && !it.Origin.Before {
		s.mu.Lock()
		seen, ok := s.visited[it.Object]
		_, twice := s.listed[it.Object]
		if ok {
			delete(s.visited, it.Object)
		} else if !twice {
			s.listed[it.Object] = s.keep(seq, it)
		}
		s.mu.Unlock()
		if ok {
			s.Deliver(seq, it, seen)
		}
		if ok || !twice {
			return true
		}
	}
	if s.waiting = append(s.waiting, s.keep(seq, it)); len(s.waiting) == maxTogether {
		s.visit(ctx)
	}
	return true
}

// Listed says that the source has listed all: nothing is visited ahead any more.
func (s *Set[M]) Listed() {
	if s == nil || !s.ahead {
		return
	}
	s.ahead = false
	for _, k := range s.listed {
		s.waiting = append(s.waiting, k)
	}
	s.listed, s.visited = nil, nil
}

// Flush visits what was taken and not visited. An end of ctx is for the caller to see.
func (s *Set[M]) Flush(ctx context.Context) {
	if s != nil && len(s.waiting) > 0 {
		s.visit(ctx)
	}
}

func (s *Set[M]) visit(ctx context.Context) {
	items := make([]sources.Item, len(s.waiting))
	for i := range s.waiting {
		items[i] = s.waiting[i].item()
	}
	left, err := s.Source.Visit(ctx, items, s.Workers, func(c *sources.Content) any {
		seq := s.waiting[c.Index].seq
		narrowed := s.Narrow != nil && s.Narrow(seq, c)
		seen, state := s.Scan(c)
		s.Deliver(seq, items[c.Index], seen)
		if narrowed {
			return nil
		}
		return state
	})
	if err == nil {
		for _, i := range left {
			s.Open(s.waiting[i].seq, items[i])
		}
	}
	clear(s.waiting)
	s.waiting = s.waiting[:0]
}

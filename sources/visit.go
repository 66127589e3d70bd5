package sources

import (
	"context"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/lfs"
	"github.com/quench-dev/quench/sources/internal/pack"
	"github.com/quench-dev/quench/sources/internal/replay"
)

// Visitor is implemented by sources that store items as differences from one
// another, and read many of them fastest in the order they are stored in.
type Visitor interface {
	Source
	// Visit reads items of this source, each at most once, and calls f with the
	// content of each, on up to workers goroutines at a time: a base always
	// before what is stored as its difference. What f gives is handed to the
	// latter as Content.Base, and kept no longer than that takes.
	//
	// left are the indexes of the items that f was not called with, ascending:
	// they are to be opened, which also tells what is wrong with them. The error
	// is ctx's. Visit may be called as long as items may be opened.
	Visit(ctx context.Context, items []Item, workers int, f func(*Content) any) (left []int, err error)
}

// Content is one visited item.
type Content = item.Content

// Copy is a stretch that a Content has from its base.
type Copy = item.Copy

// fewest is how many items make it pay to look at packs as wholes.
const fewest = 64

// Visit implements Visitor.
func (s *gitSource) Visit(ctx context.Context, items []Item, workers int, f func(*Content) any) (left []int, err error) {
	s.mu.Lock()
	repo := s.repo
	s.mu.Unlock()
	ids := make([]plumbing.Hash, 0, len(items))
	at := make([]int, 0, len(items)) // of ids, in items
	for i, it := range items {
		if it.Object == (ObjectID{}) || it.Origin.Blob == "" || it.Origin.Source != "git" || repo == nil || len(items) < fewest {
			left = append(left, i)
			continue
		}
		ids, at = append(ids, plumbing.Hash(it.Object)), append(at, i)
	}
	if len(ids) == 0 {
		return left, ctx.Err()
	}
	var mu sync.Mutex
	rest, err := repo.Objects.Walk(ctx, ids, workers, nil, func(v *pack.Visit) any {
		c, ok := s.content(v)
		if c.Index = at[v.Index]; !ok {
			mu.Lock()
			left = append(left, c.Index)
			mu.Unlock()
			return nil
		}
		return f(c)
	})
	for _, k := range rest {
		left = append(left, at[k])
	}
	slices.Sort(left)
	return left, err
}

// content gives what is visited; false for what is to be opened: an archive, as one
// that is not in a pack.
func (s *gitSource) content(v *pack.Visit) (c *Content, ok bool) {
	c = &Content{Stored: v.Stored}
	text, binary := plainText(v.Data, s.opts.Archives)
	switch {
	case v.Kind != pack.Blob || !text && !binary:
		return c, false
	case binary:
		c.Skip = &Skip{Reason: SkipBinary, Err: ErrBinary}
	case lfs.IsPointer(v.Data):
		c.Skip = &Skip{Reason: SkipLFS, Err: lfs.ErrPointer}
	default:
		c.Data, c.Base, c.BaseLen, c.Copies = v.Data, v.Base, v.BaseLen, v.Copies
	}
	return c, true
}

// Foreteller is implemented by Visitors that know most of what Items will give before
// it is listed.
type Foreteller interface {
	Visitor
	// Foretell has the next call of Items visit, beside listing them, what it is
	// about to give. That call returns when all has been visited; it may also give
	// what was not visited, and not give what was.
	Foretell(*Ahead)
}

// Ahead says what is visited ahead, as by Visitor.Visit.
type Ahead = item.Ahead

// Foretell implements Foreteller.
func (s *gitSource) Foretell(a *Ahead) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead = a
}

// Knower is implemented by Visitors that need give nothing to who knows what they have.
type Knower = replay.Knower

// Known is what somebody knows of all that a source has.
type Known = replay.Known

// Know implements Knower.
func (s *gitSource) Know(k *Known) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = k
}

// visitAhead begins to visit all blobs in packs, where all of them are wanted: trees
// tell for each that it is, and where it lies, but hardly ever that it is not. The
// walk over them is one goroutine's work, which the others need not wait for. wait
// gives when that is done, or soon when the walk failed.
func (h *history) visitAhead() (wait func(failed bool)) {
	h.s.mu.Lock()
	a := h.s.ahead
	h.s.mu.Unlock()
	if a == nil || h.forest == nil || !h.s.opts.Unreachable || len(h.repo.Alternates) > 0 {
		return func(bool) {}
	}
	ids := h.repo.Objects.Blobs(func(id plumbing.Hash) bool { return a.Wanted(ObjectID(id)) })
	if len(ids) > a.Most {
		return func(bool) {}
	}
	ctx, cancel := context.WithCancel(h.ctx)
	listing := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		// What is left, and why, is for who opens it.
		_, _ = h.repo.Objects.Walk(ctx, ids, a.Workers, listing, func(v *pack.Visit) any {
			if c, ok := h.s.content(v); ok {
				return a.Visit(ObjectID(ids[v.Index]), c)
			}
			return nil
		})
	})
	return func(failed bool) {
		if failed {
			cancel()
		}
		close(listing)
		done.Wait()
		cancel()
	}
}

package sources

import (
	"context"
	"slices"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/lfs"
	"github.com/quench-dev/quench/sources/internal/pack"
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
type Content struct {
	// Index is the item's place in what Visit was given.
	Index int
	// Data is all of it, valid until the visitor returns and not to be written
	// to; nil with Skip.
	Data []byte
	// Skip is set when the content turned out to be of a kind not to be read.
	Skip *Skip
	// Base is what the visitor gave for the item this one is stored as a
	// difference from, nil when there is none or it was not visited. BaseLen is
	// its length, and Copies are the stretches that Data has from it, ascending
	// and not overlapping in Data.
	Base    any
	BaseLen int
	Copies  []Copy
	// Stored is how many bytes the source holds it in.
	Stored int64
}

// Copy is a stretch of Len bytes at Dst that the base has at Src.
type Copy = pack.Copy

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
	rest, err := repo.Objects.Walk(ctx, ids, workers, func(v *pack.Visit) any {
		i := at[v.Index]
		text, binary := plainText(v.Data, s.opts.Archives)
		switch {
		case v.Kind != pack.Blob || !text && !binary: // an archive is opened, as one that is not in a pack
			mu.Lock()
			left = append(left, i)
			mu.Unlock()
			return nil
		case binary:
			return f(&Content{Index: i, Stored: v.Stored, Skip: &Skip{Reason: SkipBinary, Err: ErrBinary}})
		case lfs.IsPointer(v.Data):
			return f(&Content{Index: i, Stored: v.Stored, Skip: &Skip{Reason: SkipLFS, Err: lfs.ErrPointer}})
		}
		return f(&Content{Index: i, Data: v.Data, Base: v.Base, BaseLen: v.BaseLen, Copies: v.Copies, Stored: v.Stored})
	})
	for _, k := range rest {
		left = append(left, at[k])
	}
	slices.Sort(left)
	return left, err
}

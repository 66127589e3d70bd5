package sources

import (
	"context"
	"runtime"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/attrib"
	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/replay"
)

// Attributor is implemented by sources that know more of where an item lies than
// is worth telling of each: it is asked for the few that hold something.
type Attributor interface {
	Source
	// Attribute tells of each sighting; they are in the order that Items gave
	// the first item of each in. It is called after Items, and costs about what
	// reading the names of a history costs. The error is ctx's.
	Attribute(ctx context.Context, seen []Sighting) ([]Attribution, error)
}

// Sighting is one thing found at one path, in one item or more.
type Sighting struct {
	// Same is an equal number for equal things.
	Same int
	// Path and Commit are those of the first item's Origin.
	Path, Commit string
	// Blobs are the items' objects; Commits are the commits of those that had
	// none, as messages have none.
	Blobs, Commits []string
}

// Attribution is what a source knows of a Sighting.
type Attribution = item.Attribution

// keepForest bounds the forest that is kept from the walk until findings are known,
// in bytes. A scan's peak is meanwhile: 64 MB hold those of histories up to 100,000
// commits, and a larger one is read again, when there are findings.
const keepForest = 64 << 20

// fewCommits is how many are searched in their folders alone, for a narrowed scan:
// making the forest of all history costs more than they do.
const fewCommits = 2000

// keepPast keeps of a walk what Attribute needs.
func (h *history) keepPast() {
	past, repo := attrib.New(h.graph), h.repo // not h, which holds all that was met
	past.Tree = func(id plumbing.Hash) ([]byte, error) { return repo.Objects.Read(plumbing.TreeObject, id) }
	past.Peel = repo.Peel
	past.Near = h.narrowed && past.Len() <= fewCommits
	if h.forest != nil {
		if h.forest.Settle(); h.forest.Size() <= keepForest {
			past.Forest = h.forest
			h.s.replay.Hold(h.forest)
		}
	}
	h.s.mu.Lock()
	h.s.past = past
	h.s.mu.Unlock()
}

// Attribute implements Attributor.
func (s *gitSource) Attribute(ctx context.Context, seen []Sighting) ([]Attribution, error) {
	s.mu.Lock()
	past, repo, kept := s.past, s.repo, s.replay
	s.mu.Unlock()
	out := make([]Attribution, len(seen))
	for i := range out {
		out[i].Of = i
	}
	q := replay.Question(seen)
	if a, ok := kept.Answer(q, len(seen)); ok {
		return a, ctx.Err()
	}
	if past == nil && kept != nil && len(seen) > 0 { // it was not walked
		if err := s.walk(ctx, repo, func(Item) error { return ctx.Err() }); err != nil {
			return nil, err
		}
		s.mu.Lock()
		past = s.past
		s.mu.Unlock()
	}
	if past == nil || len(seen) == 0 {
		return out, ctx.Err()
	}
	if past.Forest == nil && !past.Near {
		var err error
		if past.Forest, err = repo.Objects.Forest(ctx, runtime.GOMAXPROCS(0)); err != nil {
			return nil, err
		}
		defer func(f *forest.Forest) { past.Forest = f }(nil)
	}
	leaks := make([]attrib.Leak, len(seen))
	for i, s := range seen {
		leaks[i] = attrib.Leak{Secret: s.Same, Path: s.Path, First: plumbing.NewHash(s.Commit), Blobs: gitrepo.Hashes(s.Blobs), Commits: gitrepo.Hashes(s.Commits)}
	}
	places, err := past.Attribute(ctx, leaks, repo.Names())
	if err != nil {
		return nil, err
	}
	for i, p := range places {
		out[i] = Attribution(p)
	}
	kept.Answered(q, out)
	return out, nil
}

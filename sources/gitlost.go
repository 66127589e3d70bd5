package sources

import (
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/lost"
	"github.com/quench-dev/quench/sources/internal/objskip"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// unreachable gives what no ref reaches and how many objects that is. It runs when
// all that refs reach was given: what is in the object folder and was not come by is
// left. Alternates are other repositories' folders, and are left out.
//
// Commits come first, those that a reflog leads to before the others, and bring
// their trees; then tags, trees that no commit has, and blobs that no tree has. Of a
// scan of a folder or of some paths, only commits: the rest has no path to be asked
// for by.
func (h *history) unreachable() (int, error) {
	narrow := h.repo.Prefix != "" || len(h.s.opts.Scope.Paths) > 0
	l, stop, err := lost.List(h.ctx, h.repo, narrow, h.came, func(id plumbing.Hash, err error) error {
		o := h.s.origin()
		o.Blob, o.Labels = id.String(), []string{"unreachable"}
		return h.yield(Item{Origin: o, Size: -1, Skip: objskip.Of(err)})
	})
	if stop == nil {
		stop = h.ctx.Err()
	}
	if stop == nil && err != nil {
		stop = h.yield(h.s.skip(h.s.origin(), SkipUnreadable, fmt.Errorf("listing what no ref reaches: %w", err)))
	}
	if stop != nil {
		return 0, stop
	}
	h.lost = true
	every := scope.Ends{Since: -1 << 62}
	forced, logged := l.Logged(h.repo)
	for _, group := range []struct {
		tips   []plumbing.Hash
		labels []string
	}{
		{forced, []string{"unreachable", "reflog", "force-pushed"}},
		{logged, []string{"unreachable", "reflog"}},
		{l.Commits, []string{"unreachable"}},
	} {
		h.labels = group.labels
		if err := h.walk(group.tips, nil, every); err != nil {
			return 0, err
		}
	}
	for _, id := range l.Tags {
		if err := h.enter([]gitrepo.Tip{{ID: id}}, every); err != nil {
			return 0, err
		}
	}
	for _, id := range l.Outermost(h.repo, h.came) {
		if err := h.tree(id, h.origin(), ""); err != nil {
			return 0, err
		}
	}
	if err := h.lostBlobs(l.Blobs); err != nil {
		return 0, err
	}
	h.labels, h.lost = nil, false
	return l.Len(), nil
}

// came reports whether an object was come by.
func (h *history) came(id plumbing.Hash, t plumbing.ObjectType) (ok bool) {
	switch t {
	case plumbing.CommitObject:
		ok = h.graph.Commits[id] != nil
	case plumbing.TreeObject:
		_, ok = h.trees[id]
	case plumbing.BlobObject:
		_, ok = h.blobs[id]
	case plumbing.TagObject:
		_, ok = h.tags[id]
	}
	return ok
}

// lostBlobs gives blobs that no tree has led to. The index knows the paths of those
// that are staged, and staged is what they are.
func (h *history) lostBlobs(blobs []plumbing.Hash) error {
	blobs = slices.DeleteFunc(blobs, func(id plumbing.Hash) bool { return h.came(id, plumbing.BlobObject) })
	if len(blobs) == 0 {
		return nil
	}
	staged := map[plumbing.Hash]string{}
	if idx, err := h.repo.Index(); err == nil { // without one, they have no names
		for _, e := range idx.Entries {
			staged[e.Hash] = e.Name
		}
	}
	for _, id := range blobs {
		o := h.origin()
		if p, ok := staged[id]; ok {
			o.Path, o.Labels = p, []string{"staged"}
		}
		if err := h.blob(id, o); err != nil {
			return err
		}
	}
	return nil
}

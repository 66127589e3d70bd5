package sources

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/objskip"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// Scope narrows a repository's history. The zero Scope is all of it.
type Scope = scope.Scope

// earlier yields what the commits that the walk stops at have at the path of a new
// blob, or at those that its commit took away, as a rename does: a secret that stands
// there too is no news.
func (h *history) earlier(id plumbing.Hash, o Origin) error {
	from := []string{o.Path}
	for _, tree := range h.bounds {
		if _, ok := h.folders.Find(h.repo.Objects, tree, o.Path); !ok && len(from) == 1 {
			from = append(from, h.folders.Removed(h.repo, plumbing.NewHash(o.Commit), o.Path)...)
		}
		for _, p := range from {
			if old, ok := h.folders.Find(h.repo.Objects, tree, p); ok && old != id {
				if err := h.giveBefore(old, o); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (h *history) giveBefore(old plumbing.Hash, o Origin) error {
	key := old.String() + o.Path
	if _, given := h.before[key]; given {
		return nil
	}
	if h.before == nil {
		h.before = map[string]struct{}{}
	}
	h.before[key] = struct{}{}
	return h.give(old, Origin{Source: o.Source, Root: o.Root, Path: o.Path, Before: true})
}

// index yields what is staged, and what is changed and not staged.
func (h *history) index() error {
	idx, err := h.repo.Index()
	if err != nil {
		return fmt.Errorf("reading the index of %q: %w", h.s.name(), err)
	}
	head := map[string]plumbing.Hash{}
	if !h.repo.Head.IsZero() {
		c, err := h.repo.Commit(h.repo.Head)
		if err == nil {
			err = h.repo.EachPath(c.Tree, "", 0, func(p string, id plumbing.Hash) { head[p] = id })
		}
		if err != nil { // more is scanned then, not less
			if err := h.yield(h.s.skip(h.s.origin(), objskip.Of(err).Reason, fmt.Errorf("reading HEAD to compare with: %w", err))); err != nil {
				return err
			}
		}
	}
	if h.s.opts.Scope.Staged {
		for _, e := range idx.Entries {
			if err := h.staged(e, head[e.Name]); err != nil {
				return err
			}
		}
	}
	if h.s.opts.Scope.Unstaged {
		return h.unstaged(idx)
	}
	return nil
}

func (h *history) staged(e *index.Entry, inHead plumbing.Hash) error {
	// Of a conflict, what both sides come from is in the history already.
	if e.Hash == inHead || e.IntentToAdd || e.Stage == index.AncestorMode || !h.wanted(e.Name) {
		return nil
	}
	o := h.s.origin()
	o.Path, o.Labels = e.Name, []string{"staged"}
	if e.Mode == filemode.Submodule {
		return h.yield(h.s.skip(o, SkipSubmodule, nil))
	}
	if !inHead.IsZero() {
		if err := h.giveBefore(inHead, o); err != nil {
			return err
		}
	}
	return h.give(e.Hash, o)
}

// wanted reports whether a path lies in the scanned folder and fits the globs.
func (h *history) wanted(p string) bool {
	return h.s.opts.Scope.InPaths(p) && (h.repo.Prefix == "" || strings.HasPrefix(p, h.repo.Prefix+"/"))
}

func (h *history) unstaged(idx *gitrepo.Index) error {
	if h.repo.Worktree == "" {
		return fmt.Errorf("%q has no working tree: nothing can be unstaged there", h.s.name())
	}
	tracked := make(map[string]*index.Entry, len(idx.Entries))
	for _, e := range idx.Entries {
		tracked[e.Name] = e
	}
	return h.s.worktree(h.ctx, h.repo.Layout, func(it Item) error {
		if it.Skip != nil {
			return h.yield(it)
		}
		if e := tracked[it.Origin.Path]; e != nil {
			if same, err := idx.Unchanged(filepath.Join(h.repo.Worktree, filepath.FromSlash(it.Origin.Path)), e, func() (io.ReadCloser, error) { return it.Open(h.ctx) }); err == nil && same {
				return nil
			}
			if !e.IntentToAdd && e.Mode.IsFile() {
				if err := h.giveBefore(e.Hash, it.Origin); err != nil {
					return err
				}
			}
		}
		it.Origin.Labels = []string{"unstaged"}
		return h.yield(it)
	})
}

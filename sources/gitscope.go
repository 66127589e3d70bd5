package sources

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/scope"
)

// Scope narrows a repository's history. The zero Scope is all of it.
type Scope = scope.Scope

// earlier yields what the commits that the walk stops at have at the path of a new
// blob: a secret that stands there too is no news.
func (h *history) earlier(id plumbing.Hash, o Origin) error {
	for _, tree := range h.bounds {
		dir, name := path.Split(o.Path)
		old, ok := h.files(tree, strings.TrimSuffix(dir, "/"))[name]
		if !ok || old == id {
			continue
		}
		if err := h.giveBefore(old, o); err != nil {
			return err
		}
	}
	return nil
}

// files are the blobs and folders in a folder of a tree, by name; nil where it
// cannot be read. They are kept: many files of a scope lie in few folders.
func (h *history) files(root plumbing.Hash, dir string) map[string]plumbing.Hash {
	key := root.String() + dir
	if m, known := h.folders[key]; known {
		return m
	}
	id := root
	if dir != "" {
		up, name := path.Split(dir)
		id = h.files(root, strings.TrimSuffix(up, "/"))[name]
	}
	var m map[string]plumbing.Hash
	if data, err := h.repo.Objects.Read(plumbing.TreeObject, id); err == nil {
		m = map[string]plumbing.Hash{}
		for e, err := range gitrepo.TreeEntries(data) {
			if err == nil && e.Mode&gitrepo.ModeType != gitrepo.ModeGitlink {
				m[string(e.Name)] = e.Hash
			}
		}
	}
	if h.folders == nil {
		h.folders = map[string]map[string]plumbing.Hash{}
	}
	h.folders[key] = m
	return m
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
			if err := h.yield(h.s.skip(h.s.origin(), objectSkip(err).Reason, fmt.Errorf("reading HEAD to compare with: %w", err))); err != nil {
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
			if same, err := unchanged(h.ctx, filepath.Join(h.repo.Worktree, filepath.FromSlash(it.Origin.Path)), e, it, idx.Written); err == nil && same {
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

// unchanged reports whether a file is what the index holds: by size and time, as
// git does, or else by content. A filter that changes content on the way into git
// makes a file look changed: it is scanned then.
func unchanged(ctx context.Context, name string, e *index.Entry, it Item, written time.Time) (bool, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return false, err
	}
	if uint32(info.Size()) == e.Size && info.ModTime().Equal(e.ModifiedAt) && info.ModTime().Before(written) {
		return true, nil
	}
	f, err := it.Open(ctx)
	if err != nil {
		return false, err
	}
	defer f.Close()
	sum := sha1.New()
	fmt.Fprintf(sum, "blob %d\x00", info.Size())
	if _, err := io.Copy(sum, f); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == e.Hash.String(), nil
}

package sources

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/index"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// Scope narrows a repository's history. The zero Scope is all of it.
//
// Staged and Unstaged go together and with Paths only; Range goes with neither
// Branches nor RefGlobs. Of a blob that replaces one at the same path, which the
// scope leaves out, the earlier version is given too, with Origin.Before.
type Scope struct {
	// Range, "A..B", is the commits reachable from B and not from A; "..B" is all
	// up to B, "A.." is up to HEAD, "B" alone is as "..B". "A...B" is what is
	// reachable from either and not from both.
	Range string
	// Since is a time or a revision: the commits not older than the one, not
	// reachable from the other.
	Since string
	// Branches and RefGlobs are where the walk begins: branches by their names,
	// local or remote-tracking; refs by patterns such as "refs/tags/v*" or
	// "heads/release/**".
	Branches, RefGlobs []string
	// MaxCount is how many commits are wanted at most, the newest; 0 is all.
	MaxCount int
	// Paths are doublestar globs: only what lies at such a path, relative to the
	// repository, is given, and no messages.
	Paths []string
	// Staged is what the index holds that HEAD does not; Unstaged what the working
	// tree holds that the index does not, files that git does not know included.
	Staged, Unstaged bool
	// NewTips and Exclude narrow History as a hook needs it: the commits
	// reachable from any id of NewTips and from none of Exclude. Both are
	// object ids in hex. An id in Exclude that is not here excludes nothing.
	NewTips, Exclude []string
	// Now is the clock that a Since such as "2w" counts from; nil is time.Now.
	Now func() time.Time
}

// narrows reports whether only some commits are wanted.
func (s *Scope) narrows() bool {
	return s.Range != "" || s.Since != "" || len(s.Branches) > 0 || len(s.RefGlobs) > 0 || s.MaxCount > 0 || len(s.NewTips) > 0
}

func (s *Scope) ofIndex() bool { return s.Staged || s.Unstaged }

// needsGit reports whether s asks for what only a repository has.
func (s *Scope) needsGit() bool { return s.narrows() || s.ofIndex() }

// MayBeEmpty reports whether nothing at all can be a complete answer.
func (s *Scope) MayBeEmpty() bool { return s.needsGit() }

func (s *Scope) check() error {
	switch {
	case s.ofIndex() && s.narrows():
		return errors.New("staged and unstaged changes are in no commit: they go with no range, branch, ref, time or count of commits")
	case s.Range != "" && (len(s.Branches) > 0 || len(s.RefGlobs) > 0):
		return errors.New("a range says where it ends: it goes with no branch or ref")
	case s.MaxCount < 0:
		return fmt.Errorf("a count of %d commits: want 1 or more", s.MaxCount)
	}
	for _, p := range append(append([]string(nil), s.Paths...), s.RefGlobs...) {
		if !doublestar.ValidatePattern(p) {
			return fmt.Errorf("pattern %q: a bracket or brace is not closed", p)
		}
	}
	return nil
}

// inPaths reports whether a path is asked for. A pattern without a slash fits the
// file's name in any folder, as in .gitignore; one that fits a folder, all in it.
func (s *Scope) inPaths(p string) bool {
	if len(s.Paths) == 0 {
		return true
	}
	for _, glob := range s.Paths {
		glob = strings.TrimSuffix(strings.TrimPrefix(glob, "/"), "/")
		if !strings.Contains(glob, "/") {
			glob = "**/" + glob
		}
		if doublestar.MatchUnvalidated(glob, p) || doublestar.MatchUnvalidated(glob+"/**", p) {
			return true
		}
	}
	return false
}

// ends are where a walk begins and where it stops.
type ends struct {
	include, exclude []plumbing.Hash
	since            int64 // seconds since 1970
	max              int
}

func (s *Scope) ends(repo *gitrepo.Repository, target string) (e ends, err error) {
	e = ends{max: s.MaxCount, since: -1 << 62}
	switch {
	case len(s.NewTips) > 0:
		err = s.tips(repo, &e)
	case s.Range != "":
		if err = s.rangeEnds(repo, &e); err != nil {
			err = fmt.Errorf("range %q of %q: %w", s.Range, target, err)
		}
	case len(s.Branches) > 0 || len(s.RefGlobs) > 0:
		err = s.refs(repo, &e, target)
	default:
		e.include = repo.Tips()
	}
	if err != nil || s.Since == "" {
		return e, err
	}
	now := time.Now
	if s.Now != nil {
		now = s.Now
	}
	if t, ok := parseTime(s.Since, now()); ok {
		e.since = t.Unix()
		return e, nil
	}
	id, err := repo.Resolve(s.Since)
	if err != nil {
		return e, fmt.Errorf("since %q: it is no time (2026-01-31, 2026-01-31T12:00:00Z, 36h, 14d, 2w), nor a commit of %q: %w", s.Since, target, err)
	}
	e.exclude = append(e.exclude, id)
	return e, nil
}

func (s *Scope) tips(repo *gitrepo.Repository, e *ends) error {
	for _, t := range s.NewTips {
		h, err := gitrepo.ParseHash([]byte(t))
		if err != nil {
			return fmt.Errorf("new tip %q: %w", t, err)
		}
		e.include = append(e.include, h)
	}
	for _, t := range s.Exclude {
		h, err := gitrepo.ParseHash([]byte(t))
		if err != nil {
			return fmt.Errorf("excluded tip %q: %w", t, err)
		}
		if repo.Objects.Has(h) {
			e.exclude = append(e.exclude, h)
		}
	}
	return nil
}

func (s *Scope) rangeEnds(repo *gitrepo.Repository, e *ends) error {
	a, b, dots := strings.Cut(s.Range, "..")
	b, symmetric := strings.CutPrefix(b, ".")
	if !dots {
		a, b = "", a
	}
	h, err := repo.Resolve(b)
	if err != nil {
		return err
	}
	e.include = append(e.include, h)
	if a == "" && !symmetric {
		return nil
	}
	if h, err = repo.Resolve(a); err != nil {
		return err
	}
	if !symmetric {
		e.exclude = append(e.exclude, h)
		return nil
	}
	e.include = append(e.include, h)
	e.exclude, err = mergeBases(repo, e.include[0], h)
	return err
}

// refs begins at branches and refs.
func (s *Scope) refs(repo *gitrepo.Repository, e *ends, target string) error {
	for _, b := range s.Branches {
		found := false
		for _, r := range repo.Refs {
			name := r.Name().String()
			_, remote, _ := strings.Cut(strings.TrimPrefix(name, "refs/remotes/"), "/")
			if name == "refs/heads/"+b || name == "refs/remotes/"+b || strings.HasPrefix(name, "refs/remotes/") && remote == b {
				e.include, found = append(e.include, r.Hash()), true
			}
		}
		if !found {
			return fmt.Errorf("there is no branch %q in %q; git branch --all lists them", b, target)
		}
	}
	for _, glob := range s.RefGlobs {
		found := false
		for _, r := range repo.Refs {
			name := r.Name().String()
			if doublestar.MatchUnvalidated(glob, name) || doublestar.MatchUnvalidated("refs/"+glob, name) {
				e.include, found = append(e.include, r.Hash()), true
			}
		}
		if !found {
			return fmt.Errorf("no ref of %q fits %q; git for-each-ref lists them, and ** goes over slashes", target, glob)
		}
	}
	return nil
}

// parseTime reads a date, a time (RFC 3339), or how long ago: 36h, 14d, 2w.
func parseTime(s string, now time.Time) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, s, now.Location()); err == nil {
			return t, true
		}
	}
	if d, err := time.ParseDuration(s); err == nil && d >= 0 {
		return now.Add(-d), true
	}
	if n, err := strconv.Atoi(s[:max(0, len(s)-1)]); err == nil && n >= 0 {
		switch s[len(s)-1] {
		case 'd':
			return now.AddDate(0, 0, -n), true
		case 'w':
			return now.AddDate(0, 0, -7*n), true
		}
	}
	return time.Time{}, false
}

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
		return fmt.Errorf("reading the index of %q: %w", h.s.target, err)
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
	if e.Hash == inHead || e.IntentToAdd || !h.wanted(e.Name) {
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
	return h.s.opts.Scope.inPaths(p) && (h.repo.Prefix == "" || strings.HasPrefix(p, h.repo.Prefix+"/"))
}

func (h *history) unstaged(idx *index.Index) error {
	if h.repo.Worktree == "" {
		return fmt.Errorf("%q has no working tree: nothing can be unstaged there", h.s.target)
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
			if same, err := unchanged(h.ctx, filepath.Join(h.repo.Worktree, filepath.FromSlash(it.Origin.Path)), e, it); err == nil && same {
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
func unchanged(ctx context.Context, name string, e *index.Entry, it Item) (bool, error) {
	info, err := os.Lstat(name)
	if err != nil {
		return false, err
	}
	if uint32(info.Size()) == e.Size && info.ModTime().Equal(e.ModifiedAt) {
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

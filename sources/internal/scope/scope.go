// Package scope says which part of a repository is wanted: what a range, a time, a
// branch or a path of the command line means there.
//
// It knows revisions and how commits lie above one another, and nothing of items,
// trees or content. Start reading at Scope, then Ends.
package scope

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"
)

// Scope narrows a repository's history. The zero Scope is all of it.
//
// Staged and Unstaged go together and with Paths only; Range goes with neither
// Branches nor RefGlobs. Of a blob that replaces one at the same path, which the
// scope leaves out, the earlier version is given too, with Origin.Before.
type Scope struct {
	// Range is as git log reads it: "A..B" is the commits reachable from B and not
	// from A, "A...B" those reachable from either and not from both, where HEAD
	// stands for the end that is left out; "B^!" is that commit alone, "B" all up
	// to it.
	Range string
	// Since is a time or a revision: the commits not older than the one, not
	// reachable from the other.
	Since string
	// Branches and RefGlobs are where the walk begins: branches by their names,
	// local or remote-tracking; refs by patterns such as "tags/v*" or "heads/release",
	// which are those of git log --glob: * goes over slashes too, and a pattern
	// without one is a folder.
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
	// ExcludeRefs adds all that the refs reach to Exclude: what a pre-receive hook
	// sees are those from before the push.
	ExcludeRefs bool
	// Now is the clock that a Since such as "2w" counts from; nil is time.Now.
	Now func() time.Time
}

// Narrows reports whether only some commits are wanted.
func (s *Scope) Narrows() bool {
	return s.Range != "" || s.Since != "" || len(s.Branches) > 0 || len(s.RefGlobs) > 0 || s.MaxCount > 0 || len(s.NewTips) > 0
}

// OfIndex reports whether the index is asked for, and no commit.
func (s *Scope) OfIndex() bool { return s.Staged || s.Unstaged }

// NeedsGit reports whether s asks for what only a repository has.
func (s *Scope) NeedsGit() bool { return s.Narrows() || s.OfIndex() }

// MayBeEmpty reports whether nothing at all can be a complete answer.
func (s *Scope) MayBeEmpty() bool { return s.NeedsGit() }

// Check reports what in s contradicts itself or does not parse.
func (s *Scope) Check() error {
	switch {
	case s.OfIndex() && s.Narrows():
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

// InPaths reports whether a path is asked for. A pattern without a slash fits the
// file's name in any folder, as in .gitignore; one that fits a folder, all in it.
func (s *Scope) InPaths(p string) bool {
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

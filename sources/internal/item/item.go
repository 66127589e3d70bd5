// Package item is what sources give: items, where they were, and why one was passed
// over. It holds the types of package sources that its inner packages need too, where
// they have the same names, and knows nothing else. Start reading at Item.
package item

import (
	"context"
	"io"
	"time"
)

// Item is one readable thing in a Source.
type Item struct {
	Origin Origin
	// Size is the length in bytes of what is stored, -1 when it cannot be known before reading.
	Size int64
	// Open gives the bytes. It is nil when Skip is set. A reader of a live
	// source may block; closing it or ending ctx unblocks it where the system
	// can. What it gives may be a Container: an archive, to be unpacked. An error of Open or of a read that is a *SkipError means what Skip
	// means: the item turned out to be binary, special or gone. Any other error
	// is a failure to read it.
	Open func(ctx context.Context) (io.ReadCloser, error)
	// Skip says why there is nothing to open.
	Skip *Skip
	// Object is the id of the git object that the bytes are, or whose message they
	// are: items with the same have the same bytes. Zero where there is none.
	Object ObjectID
	// Of is the commit or tag of which it is lines of the header; Object is then
	// of these lines. Zero for all else.
	Of ObjectID
}

// ObjectID is the id of a git object.
type ObjectID [20]byte

// Skip tells about something that was seen and not read.
type Skip struct {
	Reason Reason
	// Err is the cause where there is one, for people; it never holds content.
	Err error
}

// Reason classifies a Skip. Whether it was wanted decides the exit code: see
// Wanted.
type Reason string

// The reasons. Those of the first group are exclusions by design or by the
// user: they are counted and do not make a scan incomplete. Those of the second
// were wanted and could not be read.
const (
	SkipBinary    Reason = "binary"    // a file whose type holds no text secrets
	SkipIgnored   Reason = "ignored"   // excluded by .gitignore or an option
	SkipSpecial   Reason = "special"   // device, socket, named pipe: never opened
	SkipSymlink   Reason = "symlink"   // not followed: its target is scanned as itself or lies outside
	SkipSubmodule Reason = "submodule" // a repository of its own
	SkipEmpty     Reason = "empty"     // a repository without a commit
	SkipEncrypted Reason = "encrypted" // an entry of an archive that takes a password
	SkipLimit     Reason = "limit"     // over a limit that the user set
	SkipLFS       Reason = "lfs"       // a pointer to content that Git LFS keeps elsewhere
	SkipPruned    Reason = "pruned"    // an object that only unreachable ones name, and that git has deleted

	SkipUnreadable Reason = "unreadable" // permission, I/O error
	SkipMissing    Reason = "missing"    // an object or file that should be there
	SkipPromised   Reason = "promised"   // an object that a partial clone left with its origin
	SkipCorrupt    Reason = "corrupt"    // there, but does not parse
	SkipTooLarge   Reason = "too_large"  // over a default limit
	SkipShallow    Reason = "shallow"    // history cut off by a shallow clone
	SkipFormat     Reason = "format"     // a format we refuse, such as SHA-256 repositories
)

// Wanted reports whether a skip for this reason leaves a scan incomplete.
func (r Reason) Wanted() bool {
	switch r {
	case SkipBinary, SkipIgnored, SkipSpecial, SkipSymlink, SkipSubmodule, SkipEmpty, SkipEncrypted, SkipLimit, SkipLFS, SkipPruned:
		return false
	}
	return true
}

// Origin says where an Item was. Fields that a source cannot know are zero.
type Origin struct {
	// Source is the kind: "stdin", "file", "git", "worktree", "tail".
	Source string
	// Root is the target as the user named it: a folder, a repository.
	Root string
	// Path is slash-separated, relative to Root for folders and repositories.
	Path string
	// Entry is where it lies in the archive that it was unpacked from; Path then
	// ends in "!/" and Entry.
	Entry string
	// Blob is the object id in hex, for git.
	Blob string
	// Commit, Author, Email and Date are those of the first commit that holds
	// the blob.
	Commit string
	Author string
	Email  string
	Date   time.Time
	// InHead says whether the blob is in HEAD's tree; nil where that has no
	// meaning.
	InHead *bool
	// Refs are the names of the refs that reach it, not more than some hundred,
	// and RefCount is how many do. Sources tell them of few items at once; see
	// Attributor.
	Refs     []string
	RefCount int
	// Labels say what is special: "commit-message", "staged", "deleted".
	Labels []string
	// Before says that this is an earlier version of another item, given for
	// comparison only: what it holds is no news there.
	Before bool
	// Line and Offset are where the item's first byte lies in a longer whole:
	// the line from 1, the offset in bytes from 0. Zero means at its start.
	Line   int
	Offset int64
	// Time is when the bytes came to be, where the source knows better than
	// Date: the arrival of a log line.
	Time time.Time
}

// What names an item for people.
func (o Origin) What() string {
	switch {
	case o.Path != "" && o.Commit != "":
		return o.Path + "@" + o.Commit[:min(10, len(o.Commit))]
	case o.Path != "":
		return o.Path
	case o.Blob != "":
		return o.Blob
	case o.Commit != "":
		return o.Commit
	case o.Root != "":
		return o.Root
	}
	return o.Source
}

// Counts is what a Source knows beyond its items, read after Items returned.
type Counts struct {
	Repositories int
	Refs         int
	Commits      int
	// Unreachable is how many objects no ref reaches.
	Unreachable int
	// Boundary is how many commits have their parents cut off by a shallow clone:
	// Commits is then how deep it goes.
	Boundary int
	// Partial is how many repositories are partial clones.
	Partial int
}

// Add adds what another source counted.
func (c *Counts) Add(d Counts) {
	c.Repositories += d.Repositories
	c.Refs += d.Refs
	c.Commits += d.Commits
	c.Unreachable += d.Unreachable
	c.Boundary += d.Boundary
	c.Partial += d.Partial
}

// Attribution is what a source knows of a Sighting.
type Attribution struct {
	// Of is the place of the sighting that this one is a part of, as it was moved
	// from there; its own where it was not.
	Of int
	// Refs are the names of those that reach it, branches first, not more than some
	// hundred; RefCount is how many there are.
	Refs     []string
	RefCount int
}

// Package sources knows where bytes come from: standard input, files and
// folders, git repositories, logs.
//
// A Source lists Items; an Item says where it was (Origin) and opens its
// bytes. Sources read nothing until asked, never judge what they read, and
// import nothing else of ours. What a source was asked for and cannot give is
// an Item too, with a Skip: nothing is passed over in silence. Start reading at
// Source, then stdin.go, dir.go, git.go; a new source is one file here, proven
// by one line in the conformance suite.
package sources

import (
	"context"
	"io"
	"time"
)

// Source is a place bytes come from.
type Source interface {
	// Items calls yield for each Item, one at a time, from one goroutine, and
	// returns when all were given, ctx ends, or yield returns an error, which
	// it hands back as it is. A trouble with one item is a Skip on that item,
	// not an error: an error means that the source as a whole could not be
	// read any further. Items may be opened later and from other goroutines,
	// several at once, until the Source's Items call has returned and every
	// opened item is closed.
	Items(ctx context.Context, yield func(Item) error) error
}

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

// Placed is implemented by sources of files.
type Placed interface {
	// Places are the folders and files that it lies in, absolute and free of
	// links; of a repository first that of its objects. One elsewhere lies at its
	// address.
	Places() []string
}

// Counter is implemented by sources that have Counts to tell.
type Counter interface {
	Counts() Counts
}

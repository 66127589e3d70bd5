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

	"github.com/quench-dev/quench/sources/internal/item"
	"github.com/quench-dev/quench/sources/internal/replay"
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
type Item = item.Item

// ObjectID is the id of a git object.
type ObjectID = item.ObjectID

// Skip tells about something that was seen and not read.
type Skip = item.Skip

// Reason classifies a Skip. Whether it was wanted decides the exit code: see
// Reason.Wanted.
type Reason = item.Reason

// The reasons: see package item.
const (
	SkipBinary     = item.SkipBinary
	SkipIgnored    = item.SkipIgnored
	SkipSpecial    = item.SkipSpecial
	SkipSymlink    = item.SkipSymlink
	SkipSubmodule  = item.SkipSubmodule
	SkipEmpty      = item.SkipEmpty
	SkipEncrypted  = item.SkipEncrypted
	SkipLimit      = item.SkipLimit
	SkipLFS        = item.SkipLFS
	SkipPruned     = item.SkipPruned
	SkipUnreadable = item.SkipUnreadable
	SkipMissing    = item.SkipMissing
	SkipPromised   = item.SkipPromised
	SkipCorrupt    = item.SkipCorrupt
	SkipTooLarge   = item.SkipTooLarge
	SkipShallow    = item.SkipShallow
	SkipFormat     = item.SkipFormat
)

// SkipError is what Open, or a read, gives for an item that is not to be read.
type SkipError = item.SkipError

// Origin says where an Item was.
type Origin = item.Origin

// Counts is what a Source knows beyond its items, read after Items returned.
type Counts = item.Counts

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

// Memory keeps bytes by name, from one run of the program to the next.
type Memory = replay.Memory

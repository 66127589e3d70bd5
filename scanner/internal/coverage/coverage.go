// Package coverage tells what a scan read and what it did not.
//
// It counts and adds, and reads nothing itself. Start reading at Coverage.
package coverage

import (
	"time"

	"github.com/quench-dev/quench/sources"
)

// Coverage tells what a scan read and what it did not.
type Coverage struct {
	Items   int64 // opened and read to their end
	Blobs   int64 // of Items, those from git objects
	Files   int64 // of Items, those from files
	Entries int64 // of Items, those from archives
	// Archives counts those that were unpacked, also in others; documents and
	// compressed files are such.
	Archives int64
	Bytes    int64 // read, before decoding
	Cached   int64 // of Items and of those skipped, what an earlier scan read
	Skipped  map[sources.Reason]int64
	// Unread are the first few wanted things that could not be read, for
	// people; Skipped has the counts.
	Unread []Unread
	// Elsewhere are the first few things whose content is kept elsewhere, and is
	// not covered: submodules, and files that Git LFS keeps.
	Elsewhere []Unread
	// Earlier counts findings that are not told since the version before, which
	// the scope leaves out, holds them too.
	Earlier int64
	sources.Counts
	Elapsed time.Duration
	// Interrupted says that the scan was cancelled before its end.
	Interrupted bool
	// Empty says that what was asked for was proven to hold nothing: a range of
	// commits whose ends resolve, with nothing between.
	Empty bool
}

// MaxUnread bounds the list of unread things shown; all are counted.
const MaxUnread = 20

// maxPromised bounds those among them that a partial clone has left with its origin,
// which are often nearly all of a history: enough to see what they are.
const maxPromised = 3

// Skip counts something that was not read, and tells of it where it was wanted.
func (c *Coverage) Skip(o sources.Origin, s *sources.Skip) {
	if c.Skipped == nil {
		c.Skipped = map[sources.Reason]int64{}
	}
	c.Skipped[s.Reason]++
	if s.Reason.Wanted() && len(c.Unread) < MaxUnread && (s.Reason != sources.SkipPromised || c.Skipped[s.Reason] <= maxPromised) {
		u := Unread{What: o.What(), Reason: s.Reason}
		if s.Err != nil {
			u.Err = s.Err.Error()
		}
		c.Unread = append(c.Unread, u)
	}
	if (s.Reason == sources.SkipSubmodule || s.Reason == sources.SkipLFS) && len(c.Elsewhere) < MaxUnread {
		c.Elsewhere = append(c.Elsewhere, Unread{What: o.What(), Reason: s.Reason})
	}
}

// Count counts an item of which n bytes were read, to its end. whole says that these
// were its own, and not those of what lies in it.
func (c *Coverage) Count(o sources.Origin, n int64, whole bool) {
	c.Bytes += n
	if whole {
		c.Items++
	}
	switch {
	case o.Entry != "":
		c.Entries++
	case o.Blob != "":
		c.Blobs++
	case o.Source != "git": // a message is part of its commit
		c.Files++
	}
}

// Unread is one wanted thing that could not be read.
type Unread struct {
	What   string
	Reason sources.Reason
	Err    string
}

// Complete reports whether everything wanted was read, and anything at all.
func (c *Coverage) Complete() bool {
	if c.Interrupted {
		return false
	}
	for r, n := range c.Skipped {
		if n > 0 && r.Wanted() {
			return false
		}
	}
	return true
}

// Nothing reports whether not a single item was read where there should have
// been some.
func (c *Coverage) Nothing() bool { return c.Items == 0 && !c.Empty }

// Add adds what another scan covered, and how long it took.
func (c *Coverage) Add(d Coverage) {
	c.Items += d.Items
	c.Blobs += d.Blobs
	c.Files += d.Files
	c.Entries += d.Entries
	c.Archives += d.Archives
	c.Bytes += d.Bytes
	c.Cached += d.Cached
	if c.Skipped == nil {
		c.Skipped = map[sources.Reason]int64{}
	}
	for r, n := range d.Skipped {
		c.Skipped[r] += n
	}
	c.Unread = append(c.Unread, d.Unread[:min(len(d.Unread), MaxUnread-min(MaxUnread, len(c.Unread)))]...)
	c.Earlier += d.Earlier
	c.Counts.Add(d.Counts)
	c.Elsewhere = append(c.Elsewhere, d.Elsewhere[:min(len(d.Elsewhere), MaxUnread-min(MaxUnread, len(c.Elsewhere)))]...)
	c.Elapsed += d.Elapsed
	c.Interrupted = c.Interrupted || d.Interrupted
}

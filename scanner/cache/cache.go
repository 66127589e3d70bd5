// Package cache remembers what scans found in things whose bytes never change:
// the objects of git, named by the hash of their content.
//
// Of each it keeps whether it was text, how long it was, and where which rule
// matched: no byte of it, and of a secret only a number that tells equal ones
// apart. What a report shows is decided anew from the object, which is read
// again for it. It also keeps the keyed fingerprints of all runs that the registry
// was asked about, so that a scan knows whether a token that was imported since
// lies in what it need not read.
//
// It knows nothing of rules beyond their names, of git, or of files: it reads and
// makes bytes that others keep. What it reads may be damaged or hostile; whoever
// keeps the bytes vouches that they are those it made. Start reading at Cache,
// then Log; format.go has the bytes.
package cache

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"sort"

	"github.com/quench-dev/quench/scanner/internal/candidate"
)

// ID names content: the id of a git object, or of the one whose message it is.
type ID [20]byte

// Shape is the form of tokens that a registry looks for.
type Shape = candidate.Shape

// Match says where a rule matched, and with which of a segment's secrets.
type Match struct {
	Rule       string
	Via        []string // decoders, from the outside in
	Start, End int64
	Secret     int
	Marked     bool // a line of it says that it is no leak
}

// Result is what a scan came to in one object.
type Result struct {
	Binary  bool // it is of a kind not to be read, and has neither Size nor Matches
	Size    int64
	Matches []Match
	// Archive is what lay in one that was unpacked, where nothing was found in it
	// and nothing in it went unread; its Size is that of what was read.
	Archive *Archive
}

// Archive counts what lay in an archive.
type Archive struct {
	Archives, Entries, Items int64
	Skipped                  map[string]int64 // by reason
}

// Registry is what a scan looks for beyond rules, as a cache needs to know it.
type Registry interface {
	// Key names the key of the fingerprints: other registries have others.
	Key() []byte
	// Shapes are those of all tokens.
	Shapes() []Shape
	// Has reports whether fp is a token's fingerprint.
	Has(fp uint64) bool
	// Len is how many there are, and All calls f with each until it gives false.
	Len() int
	All(f func(fp uint64) bool)
}

// Cache is what earlier scans with the same rules found. It is immutable and
// safe for concurrent use; the zero Cache remembers nothing.
type Cache struct {
	segments []*segment // of one scan each
	usable   []bool
}

// segment is what one scan found in what was not remembered before.
type segment struct {
	raw []byte // all of it, as it is kept

	key     []byte // of the registry that was asked; nil when there was none
	shapes  []Shape
	runs    []uint64 // fingerprints of what was asked about, ascending
	strings []string // names of rules, of decoders joined by commas, of reasons
	ids     []byte   // ascending
	offsets []byte   // of each id's result in results, four bytes
	results []byte
}

// For gives the cache without what the registry, nil when there is none, could
// know of and the scans before did not: tokens of other shapes, of another
// registry, or such as lie in what was read.
//
// A scan remembers nothing that holds a token, and no fingerprint of a token that
// was known all along. So a fingerprint that is a token's now is one that was
// imported or issued since.
func (c *Cache) For(r Registry) *Cache {
	out := &Cache{segments: c.segments, usable: make([]bool, len(c.segments))}
	for i, s := range c.segments {
		out.usable[i] = r == nil || s.covers(r)
	}
	return out
}

func (s *segment) covers(r Registry) bool {
	if len(s.key) == 0 || !bytes.Equal(s.key, r.Key()) {
		return false
	}
	for _, shape := range r.Shapes() {
		if !slices.Contains(s.shapes, shape) {
			return false
		}
	}
	if r.Len() > len(s.runs) {
		return !slices.ContainsFunc(s.runs, r.Has)
	}
	found := false
	r.All(func(fp uint64) bool {
		_, found = slices.BinarySearch(s.runs, fp)
		return !found
	})
	return !found
}

// Get gives the result of an object, and the number of the segment it is from:
// secrets are numbered within one.
func (c *Cache) Get(id ID) (r Result, segment int, ok bool) {
	for i, s := range c.segments {
		if !c.usable[i] {
			continue
		}
		if r, ok := s.get(id); ok {
			return r, i, true
		}
	}
	return Result{}, 0, false
}

// Whole reports whether there is something, and For left nothing of it out.
func (c *Cache) Whole() bool { return len(c.usable) > 0 && !slices.Contains(c.usable, false) }

// Sum is a hash of all that was read by any scan, also of what For left out.
func (c *Cache) Sum() (sum [sha256.Size]byte) {
	h := sha256.New()
	h.Write(c.Bytes())
	h.Sum(sum[:0])
	return sum
}

// Len is how many objects are remembered.
func (c *Cache) Len() (n int) {
	for i, s := range c.segments {
		if c.usable[i] {
			n += len(s.ids) / len(ID{})
		}
	}
	return n
}

func (s *segment) get(id ID) (Result, bool) {
	i, ok := s.find(id)
	if !ok {
		return Result{}, false
	}
	return s.result(i)
}

func (s *segment) find(id ID) (i int, ok bool) {
	return sort.Find(len(s.ids)/len(id), func(i int) int { return bytes.Compare(id[:], s.ids[i*len(id):][:len(id)]) })
}

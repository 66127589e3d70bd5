// Package pack reads git's objects: packs with their indexes, multi-pack-indexes
// and loose objects, in the object folders it is given.
//
// It knows the formats of gitformat-pack(5) and nothing of repositories, refs or
// what an object means beyond its type; which folders may be read is decided by
// its caller. Everything it reads is taken to be hostile: each size is checked
// before it is believed, no chain is followed by recursion, and what is wrong
// with one object is that object's error.
//
// There are two ways to read. Store.Read and Store.Open give single objects,
// their hash checked. Store.Walk gives many at once: each is inflated once, the
// trees of deltas from their bases up, on all workers, with what a delta copied
// told to the visitor. Start reading at Store, then entry.go, delta.go, walk.go.
package pack

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"strconv"
)

// ID is an object's name, the SHA-1 of its type, size and content.
type ID [20]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Kind is the type of an object, or of an entry in a pack.
type Kind uint8

// The kinds, as packs number them. The last two are entries only: an object
// stored as its difference from another, named by offset or by id.
const (
	Commit Kind = 1
	Tree   Kind = 2
	Blob   Kind = 3
	Tag    Kind = 4

	ofsDelta Kind = 6
	refDelta Kind = 7
)

var kindNames = [...]string{Commit: "commit", Tree: "tree", Blob: "blob", Tag: "tag"}

func (k Kind) String() string {
	if int(k) < len(kindNames) && k > 0 {
		return kindNames[k]
	}
	return "kind " + strconv.Itoa(int(k))
}

var (
	// ErrMissing and ErrCorrupt tell an object that is not there from one that is
	// there and cannot be what its name says.
	ErrMissing = errors.New("object not found")
	ErrCorrupt = errors.New("object is corrupt")
	// ErrTooLarge: it could be read, and is larger than what is held in memory.
	ErrTooLarge = errors.New("object is larger than what is held in memory")
)

// objectID hashes a whole object.
func objectID(k Kind, data []byte) (id ID) {
	h := sha1.New()
	h.Write(header(k, int64(len(data))))
	h.Write(data)
	h.Sum(id[:0])
	return id
}

// header is what an object's hash begins with.
func header(k Kind, size int64) []byte {
	b := append([]byte(k.String()), ' ')
	return append(strconv.AppendInt(b, size, 10), 0)
}

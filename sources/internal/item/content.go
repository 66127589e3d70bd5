package item

import "github.com/quench-dev/quench/sources/internal/pack"

// Content is one visited item.
type Content struct {
	// Index is the item's place in what Visit was given.
	Index int
	// Data is all of it, valid until the visitor returns and not to be written
	// to; nil with Skip.
	Data []byte
	// Skip is set when the content turned out to be of a kind not to be read.
	Skip *Skip
	// Base is what the visitor gave for the item this one is stored as a
	// difference from, nil when there is none or it was not visited. BaseLen is
	// its length, and Copies are the stretches that Data has from it, ascending
	// and not overlapping in Data.
	Base    any
	BaseLen int
	Copies  []Copy
	// Stored is how many bytes the source holds it in.
	Stored int64
}

// Copy is a stretch of Len bytes at Dst that the base has at Src.
type Copy = pack.Copy

// Ahead says what is visited ahead, as by Visitor.Visit.
type Ahead struct {
	Workers int
	// Most is how many objects are visited at most; where there are more, none is.
	Most int
	// Wanted says of an object whether it is to be visited.
	Wanted func(ObjectID) bool
	// Visit is called with what is visited; Content.Index is 0.
	Visit func(ObjectID, *Content) any
}

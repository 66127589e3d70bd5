package coverage

import "sync/atomic"

// Progress counts what Runs have done so far, for whoever shows it. The zero
// Progress is ready; reading it is safe at any time.
type Progress struct {
	// Listed and Done are items: those a source has told of, and those read,
	// whether to the end or not.
	Listed, Done atomic.Int64
	// Bytes is what was scanned, Packed what that took in the packs of
	// repositories.
	Bytes, Packed atomic.Int64
	// Hits are the secrets found so far, the same one in several places as many.
	Hits atomic.Int64

	listing atomic.Bool
}

// Total is how many items there are, when all are listed.
func (p *Progress) Total() (n int64, known bool) {
	return p.Listed.Load(), !p.listing.Load()
}

// Listing says whether a source is still telling of its items.
func (p *Progress) Listing(on bool) { p.listing.Store(on) }

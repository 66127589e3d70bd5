package scanner

import (
	"cmp"
	"slices"
)

// compareMatches orders the matches of one text by place, then by how they were
// found, so that the order does not depend on when each was decided.
func compareMatches(a, b Match) int {
	return cmp.Or(
		cmp.Compare(a.Start, b.Start),
		cmp.Compare(a.End, b.End),
		cmp.Compare(a.Rule.ID, b.Rule.ID),
		cmp.Compare(len(a.DecodedVia), len(b.DecodedVia)),
		slices.Compare(a.DecodedVia, b.DecodedVia),
	)
}

// Compare orders findings in one item by place, then by how they were found.
func (f Finding) Compare(g Finding) int { return compareMatches(f.Match, g.Match) }

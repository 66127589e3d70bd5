package scanner

import (
	"cmp"
	"slices"
)

// sortHeld orders a repository's findings by path, so that a report can group
// them, then by place.
func sortHeld(list []*heldFinding) {
	slices.SortFunc(list, func(a, b *heldFinding) int {
		return cmp.Or(
			cmp.Compare(a.Origin.Path, b.Origin.Path),
			cmp.Compare(a.seq, b.seq),
			cmp.Compare(a.Start, b.Start),
			cmp.Compare(a.Rule.ID, b.Rule.ID),
			cmp.Compare(a.ID, b.ID),
		)
	})
}

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

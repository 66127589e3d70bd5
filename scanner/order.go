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

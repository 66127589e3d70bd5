package match

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A table holds what a map holds, whether it is loaded at once or merged in parts;
// fingerprints are even, as hashes are, or as uneven as can be.
func TestTableIsMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		gen := rapid.Uint64()
		if rapid.Bool().Draw(t, "close together") {
			gen = rapid.Custom(func(t *rapid.T) uint64 {
				return rapid.SampledFrom([]uint64{0, 1 << 58, 1<<64 - 100}).Draw(t, "at") + rapid.Uint64Range(0, 99).Draw(t, "near")
			})
		}
		all := rapid.SliceOf(gen).Draw(t, "fingerprints")
		more := rapid.SliceOf(gen).Draw(t, "more")
		want := map[uint64]struct{}{}
		tab := &table{}
		for _, step := range [][]uint64{all, more} {
			var in loading
			for _, f := range step {
				in.add(f)
				want[f] = struct{}{}
			}
			in.each(func(f uint64) {
				if !slices.Contains(step, f) {
					t.Fatalf("%#x was not added", f)
				}
			})
			for i := range tab.parts {
				tab.parts[i] = newBuckets(union(tab.parts[i].sorted, in.take(i)))
			}
		}
		if tab.len() != len(want) {
			t.Fatalf("%d fingerprints, want %d", tab.len(), len(want))
		}
		for f := range maps.Keys(want) {
			for _, g := range []uint64{f - 1, f, f + 1, f ^ 1<<63, f ^ 1<<57} {
				if _, ok := want[g]; tab.has(g) != ok {
					t.Fatalf("has(%#x) is %v", g, !ok)
				}
			}
		}
	})
}

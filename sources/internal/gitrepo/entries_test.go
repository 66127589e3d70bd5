package gitrepo

import (
	"bytes"
	"fmt"
	"testing"

	"pgregory.net/rapid"
)

// rawTree makes a tree of entries, each a name and the first byte of its id.
func rawTree(entries [][2]byte) (tree []byte) {
	for _, e := range entries {
		tree = append(fmt.Appendf(tree, "100644 n%d\x00", e[0]), bytes.Repeat([]byte{e[1]}, 20)...)
	}
	return tree
}

// checkNewEntries: what is given is part of the tree, in order, and what is not
// given stands in the version before, byte for byte.
func checkNewEntries(t interface{ Fatalf(string, ...any) }, data, prev []byte) (given int) {
	key := func(e TreeEntry) string { return fmt.Sprintf("%o %q %s", e.Mode, e.Name, e.Hash) }
	before := map[string]bool{}
	for e, err := range TreeEntries(prev) {
		if err == nil {
			before[key(e)] = true
		}
	}
	var all []string
	var allErr, newErr error
	for e, err := range TreeEntries(data) {
		if allErr = err; err == nil {
			all = append(all, key(e))
		}
	}
	at := 0
	for e, err := range NewEntries(data, prev) {
		if newErr = err; err != nil {
			break
		}
		given++
		for ; at < len(all) && all[at] != key(e); at++ {
			if !before[all[at]] {
				t.Fatalf("%s is left out", all[at])
			}
		}
		if at == len(all) {
			t.Fatalf("%s is no entry, or out of order", key(e))
		}
		at++
	}
	for ; newErr == nil && at < len(all); at++ {
		if !before[all[at]] {
			t.Fatalf("%s is left out at the end", all[at])
		}
	}
	if allErr != nil && newErr == nil && len(prev) == 0 {
		t.Fatalf("an error is left out: %v", allErr)
	}
	return given
}

func TestNewEntries(t *testing.T) {
	for _, c := range []struct {
		data, prev [][2]byte
		want       int
	}{
		{nil, nil, 0},
		{[][2]byte{{1, 1}, {2, 2}}, nil, 2},
		{[][2]byte{{1, 1}, {2, 2}, {3, 3}}, [][2]byte{{1, 1}, {2, 2}, {3, 3}}, 0},
		{[][2]byte{{1, 1}, {2, 9}, {3, 3}}, [][2]byte{{1, 1}, {2, 2}, {3, 3}}, 1},                   // changed
		{[][2]byte{{1, 1}, {2, 2}, {3, 3}}, [][2]byte{{1, 1}, {3, 3}}, 1},                           // new
		{[][2]byte{{1, 1}, {3, 3}, {4, 4}}, [][2]byte{{1, 1}, {2, 2}, {3, 3}, {4, 4}}, 0},           // gone
		{[][2]byte{{1, 1}, {2, 9}, {3, 9}, {4, 4}}, [][2]byte{{1, 1}, {2, 2}, {3, 3}, {4, 4}}, 2},   // two in a row
		{[][2]byte{{1, 1}, {2, 2}}, [][2]byte{{1, 2}, {2, 1}}, 2},                                   // swapped
		{[][2]byte{{1, 1}, {10, 1}, {2, 2}, {3, 3}}, [][2]byte{{1, 1}, {11, 1}, {2, 2}, {3, 3}}, 1}, // renamed
	} {
		if got := checkNewEntries(t, rawTree(c.data), rawTree(c.prev)); got != c.want {
			t.Errorf("%v after %v: %d given, want %d", c.data, c.prev, got, c.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		entry := rapid.Custom(func(t *rapid.T) [2]byte {
			return [2]byte{rapid.ByteRange(0, 30).Draw(t, "name"), rapid.ByteRange(0, 2).Draw(t, "id")}
		})
		checkNewEntries(t, rawTree(rapid.SliceOf(entry).Draw(t, "data")), rawTree(rapid.SliceOf(entry).Draw(t, "prev")))
	})
}

func FuzzNewEntries(f *testing.F) {
	f.Add(rawTree([][2]byte{{1, 1}, {2, 2}}), rawTree([][2]byte{{1, 1}, {2, 3}}))
	f.Add([]byte("100644 a"), []byte("100644 b\x00"))
	f.Fuzz(func(t *testing.T, data, prev []byte) {
		for _, err := range TreeEntries(prev) {
			if err != nil {
				t.Skip("the version before was well-formed")
			}
		}
		checkNewEntries(t, data, prev)
	})
}

package held_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/quench-dev/quench/scanner/internal/held"
	"github.com/quench-dev/quench/sources"
)

type found string

func (f found) Compare(g found) int { return 0 }

// What files hold is joined to the history's finding of the same secret at the path,
// wherever it moved since, or to one that has no path; else it is a finding of its own.
func TestJoin(t *testing.T) {
	secret := func(n byte) held.Secret { return held.Secret{Rule: "r", MAC: [32]byte{n}} }
	yes, no := true, false
	var files held.Set[found]
	add := func(seq int, n byte, path string, marked bool) {
		files.Add(held.Key{Secret: secret(n), Path: path}, seq, sources.Origin{Source: "worktree", Path: path}, found(path), marked, fmt.Sprint("id of ", path))
	}
	add(4, 1, "moved", true)
	add(5, 1, "copy", false)
	add(6, 2, "other", false)
	add(8, 3, "dropped2", true)
	add(7, 3, "dropped", false)
	add(9, 4, "known", false)
	history := []*held.Finding[found]{
		{Secret: secret(1), First: "h1", Origin: sources.Origin{Path: "first", InHead: &yes}, MovedTo: []string{"moved"}, IDs: []string{"h1"}, Seq: 1, Blobs: 2},
		{Secret: secret(2), First: "h2", Origin: sources.Origin{Path: ""}, IDs: []string{"h2"}, Seq: 2, Blobs: 1}, // of a commit
		{Secret: secret(3), First: "h3", Origin: sources.Origin{Path: "", InHead: &no}, IDs: []string{"h3"}, Seq: 3, Blobs: 1, Loose: true},
	}
	var of held.Set[found]
	of.Before(held.Key{Secret: secret(4), Path: "known"})
	list, earlier := of.Join(history, &files)
	var got []string
	for _, f := range list {
		in := "?"
		if f.Origin.InHead != nil {
			in = fmt.Sprint(*f.Origin.InHead)
		}
		slices.Sort(f.IDs)
		got = append(got, fmt.Sprintf("%s %d %v %v %s", f.First, f.Blobs, f.Marked, f.IDs, in))
	}
	want := []string{
		"h1 2 true [h1 id of moved] true",
		"h2 1 false [h2] ?",
		"copy 0 false [id of copy] ?",
		"other 0 false [id of other] ?",
		"dropped 1 false [h3 id of dropped] false",
		"dropped2 0 true [id of dropped2] ?",
	}
	if !slices.Equal(got, want) || earlier != 1 {
		t.Errorf("%d earlier, and\n%q, want\n%q", earlier, got, want)
	}
}

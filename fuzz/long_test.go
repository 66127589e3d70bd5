package fuzz

import (
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// One line of 64 MB, or of more than 4 GB where QUENCH_LONG is set, with NULs and
// bytes that are not UTF-8, is scanned in constant memory, and offsets beyond 31
// and 32 bits are right.
func TestLineWithoutEnd(t *testing.T) {
	_, e := engine(t, scanner.Options{})
	token, err := rules.Expand("ghp_{30:alnum}{6:crc32}", 1)
	if err != nil {
		t.Fatal(err)
	}
	size := int64(64 << 20)
	want := []int64{1000, 1<<20 - 7, size - 100}
	if os.Getenv("QUENCH_LONG") != "" {
		size = 4<<30 + 64<<20
		want = []int64{1000, 1<<31 - 20, 1<<32 - 20, size - 100}
	} else if testing.Short() {
		size = 8 << 20
		want = []int64{1000, 1<<20 - 7, size - 100}
	}
	filler := make([]byte, 1<<20)
	for i := range filler {
		filler[i] = "the quick brown fox, \x00 \xff 0123456789; "[i%37]
	}
	var got []int64
	var most uint64
	s := e.NewStream(func(m scanner.Match) {
		if m.Rule.ID == "github-pat" {
			got = append(got, m.Start)
		}
		if m.Line != 1 || int64(m.Column) != m.Start+1 {
			t.Errorf("offset %d is told as line %d, column %d", m.Start, m.Line, m.Column)
		}
	})
	next := 0
	for at := int64(0); at < size; {
		piece := filler[:min(int64(len(filler)), size-at)]
		if next < len(want) {
			if at == want[next] {
				piece, next = []byte(" " + token + " ")[1:], next+1
			} else {
				piece = piece[:min(int64(len(piece)), want[next]-at)]
				if at+int64(len(piece)) == want[next] {
					piece = append(slices.Clone(piece[:len(piece)-1]), ' ')
				}
			}
		}
		s.Write(piece)
		at += int64(len(piece))
		if at>>28 != (at-int64(len(piece)))>>28 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
	}
	s.Close()
	if !slices.Equal(got, want) {
		t.Errorf("found at %v, want %v", got, want)
	}
	if c := s.Buffered(); c > 4<<20 {
		t.Errorf("the stream holds %d bytes", c)
	}
	t.Logf("%d bytes, at most %d MB on the heap", size, most>>20)
}

// Package memo remembers what was decided of a value on the line it stands on.
//
// The versions of a file repeat their lines, and so do the files of a project: of
// the values of histories that may be secrets, one in two to seven in eight are
// decided again, on the same bytes. What is remembered is found by those bytes,
// compared whole, so that nothing is decided otherwise than without a memory; what
// is forgotten, because another line took its place, is decided once more.
//
// It knows nothing of how values are judged, only how far around a value that looks.
// Start reading at Lines.Get.
package memo

import (
	"bytes"
	"hash/maphash"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

const (
	// slots is how many values are remembered. Of 9,000 in the history of a scanner
	// of secrets 2,048 answer for 47 of 100 and 8,192 for 50; at some 350 bytes each
	// these take 700 KB.
	slots = 2048
	// maxWindow bounds the bytes kept of one line: longer ones are of minified
	// files and data, and do not come again.
	maxWindow = 512
)

// Lines remembers a T for each value of a line and each K that judges it. The zero
// Lines is empty and ready. It is used by one goroutine.
type Lines[K comparable, T any] struct {
	seed  maphash.Seed
	slots []*slot[K, T]
}

type slot[K comparable, T any] struct {
	hash uint64
	by   K
	v    assign.Value // in text
	text []byte
	told T
}

// Get gives the place of what by said of the value v of buf, which depends on at
// most aside bytes beside the name and the value, on their line. Where known is
// false the place is the caller's to fill; where it is nil, nothing is remembered
// of such a line.
func (l *Lines[K, T]) Get(by K, buf []byte, v assign.Value, aside int) (told *T, known bool) {
	lo, hi := max(0, min(v.Name[0], v.Start)-aside), min(len(buf), v.End+aside)
	if hi-lo > maxWindow {
		return nil, false
	}
	lo += bytes.LastIndexByte(buf[lo:v.Name[0]], '\n') + 1
	if i := bytes.IndexByte(buf[v.End:hi], '\n'); i >= 0 {
		hi = v.End + i
	}
	if l.slots == nil {
		l.seed, l.slots = maphash.MakeSeed(), make([]*slot[K, T], slots)
	}
	text := buf[lo:hi]
	v.Name[0], v.Name[1], v.Start, v.End = v.Name[0]-lo, v.Name[1]-lo, v.Start-lo, v.End-lo
	h := maphash.Bytes(l.seed, text)
	// Several values of one line are neighbours.
	at := &l.slots[(h+uint64(v.Start))%slots]
	s := *at
	if s == nil {
		s = new(slot[K, T])
		*at = s
	} else if s.hash == h && s.v == v && s.by == by && bytes.Equal(s.text, text) {
		return &s.told, true
	}
	s.hash, s.by, s.v, s.text = h, by, v, append(s.text[:0], text...)
	return &s.told, false
}

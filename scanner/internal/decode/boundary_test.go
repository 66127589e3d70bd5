package decode

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// segments lists all that is decoded in text, with places as in a longer whole
// where text begins at base.
func segments(text []byte, base int) (out []string) {
	for _, plain := range []bool{false, true} {
		w := Walker{Plain: plain}
		var list []string
		w.Find(text, true, func(s *Segment) {
			list = append(list, fmt.Sprint(s.Via, s.Start+base, s.End+base, s.View, s.source))
		})
		slices.Sort(list)
		if plain && !slices.Equal(list, out) {
			panic("plain and fast find other segments")
		}
		out = list
	}
	return out
}

func checkBoundaries(t interface{ Fatalf(string, ...any) }, text []byte) {
	whole := segments(text, 0)
	for i := range text {
		if !Boundary(text, i) {
			continue
		}
		before := segments(text[:i+1], 0)
		for _, from := range []int{i, i + 1} {
			parts := append(slices.Clone(before), segments(text[from:], from)...)
			slices.Sort(parts)
			if !slices.Equal(whole, parts) {
				t.Fatalf("cut at %d, going on from %d: %q\nwhole %q\nparts %q", i, from, text, whole, parts)
			}
		}
		if lo, hi := max(0, i-BoundaryWidth), min(len(text), i+BoundaryWidth); i-BoundaryWidth >= 0 && i+BoundaryWidth < len(text) &&
			!Boundary(append(bytes.Repeat([]byte("+"), lo), text[lo:hi]...), i) {
			t.Fatalf("what makes %d a boundary lies further than told: %q", i, text)
		}
	}
}

var boundaryBits = []string{"\n", "\n", "\r\n", "\n\n", " ", "\t", "\"", "'", "`", "+", "\\", "\\\n", "\" + \"", "\"\n + \"", "' +\n  '", "a", "word;", "}", "\x00", "a\x00b\x00c\x00d\x00e\x00f\x00g\x00h\x00",
	"\x00a\x00b\x00c\x00d\x00e\x00f\x00g\x00h", "%41%42%43%44%45", "%4", "\\u0041\\u0042\\u0043", "\\x41", "\\u", "\xff\xfe", "c29tZSB0ZXh0IHRoYXQgaXMgZW5jb2RlZA==", "c29tZSB0ZXh0",
	"736f6d65207465787420746861742069732068657861", "7365", strings.Repeat(" ", 70), strings.Repeat("x", 4100), "\v", "\x7f", "é"}

func TestBoundary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		checkBoundaries(t, []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(boundaryBits), 1, 24).Draw(t, "bits"), "")))
	})
}

func FuzzBoundary(f *testing.F) {
	for i := range boundaryBits {
		f.Add([]byte(strings.Join(boundaryBits[i:], "") + "\n" + strings.Join(boundaryBits[:i], "\n")))
	}
	f.Fuzz(func(t *testing.T, text []byte) { checkBoundaries(t, text[:min(len(text), 6000)]) })
}

package scanner_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/scanner"
)

// A rule without keywords finds its matches wherever they stand, over the edges
// of the pieces that a long line is searched in too.
func TestSlowAtEveryEdge(t *testing.T) {
	const token = "ABC-1234-DEF-5678"
	for _, o := range []scanner.Options{{}, {Plain: true}} {
		e := testEngine(t, o)
		for off := 65536 - 45; off < 65536+45; off++ {
			for _, lead := range []string{"", "one line\nABC-1234-DEF-0000\n"} {
				line := strings.Repeat("ab ", off/3) + strings.Repeat(" ", off%3)
				text := lead + line + token + " " + strings.Repeat("cd ", 30000) + token + "\n" + token
				var got []int64
				for _, m := range e.ScanBytes([]byte(text)) {
					got = append(got, m.Start)
				}
				want := []int64{int64(len(lead) + off), int64(len(text) - 2*len(token) - 1), int64(len(text) - len(token))}
				if lead != "" {
					want = append([]int64{9}, want...)
				}
				if !slices.Equal(got, want) {
					t.Fatalf("at %d: found %v, want %v", off, got, want)
				}
			}
		}
	}
}

func TestSlow(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"ABC-1234-DEF-5678", "test-slow 1:1"},
		{"ABC-1234-DEF-5678,ABC-1234-DEF-5679\nABC-1234-DEF-5678", "test-slow 1:1, test-slow 1:19, test-slow 2:1"},
		{"xABC-1234-DEF-5678", ""},
		{"ABC-1234-DEF-56789", ""},                                       // the right boundary
		{"ABC-1234-" + strings.Repeat("wqs", 10) + "z", "test-slow 1:1"}, // of 40 bytes
		{"ABC-1234-" + strings.Repeat("wqsz", 8), ""},                    // longer than maxlen
		{"ABC-1234-\nDEF-5678", ""},
		{fmt.Sprintf("%x", "key = ABC-1234-DEF-5678."), "test-slow 1:13 hex"},
	} {
		for _, o := range []scanner.Options{{}, {Plain: true}} {
			if got := show(testEngine(t, o).ScanBytes([]byte(c.text))); got != c.want {
				t.Errorf("%q: found %q, want %q", c.text, got, c.want)
			}
		}
	}
}

package fuzz

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// examples are the examples and negatives of all built-in rules.
func examples(t *testing.T, set *rules.Set) []string {
	t.Helper()
	var out []string
	for _, r := range set.Rules() {
		good, bad, err := r.ExpandExamples()
		if err != nil {
			t.Fatalf("%s: %v", r.ID, err)
		}
		out = append(append(out, good...), bad...)
	}
	return out
}

// noise is n bytes of what stands around tokens: words, digits, punctuation,
// now and then a line feed, a NUL, or a byte that is not UTF-8.
func noise(r *rand.Rand, n int) []byte {
	const letters = "etaoinshrdlu etaoin0123456789ABCDEF_-./:=\"' \n\x00\xff"
	b := make([]byte, n)
	for i := range b {
		b[i] = letters[r.IntN(len(letters))]
		if b[i] == 0 || b[i] == 0xff {
			b[i] = letters[r.IntN(len(letters))] // seldom
		}
	}
	return b
}

// same holds the fast engine to the plain one, and both to pieces of size.
func same(t *testing.T, fast, plain *scanner.Engine, text []byte, size int) {
	t.Helper()
	want := list(plain.ScanBytes(text))
	if got := list(fast.ScanBytes(text)); !slices.Equal(got, want) {
		t.Fatalf("fast:\n%s\nplain:\n%s\nin %q", strings.Join(got, "\n"), strings.Join(want, "\n"), text)
	}
	var ms []scanner.Match
	s := fast.NewStream(func(m scanner.Match) { ms = append(ms, m) })
	for c := range slices.Chunk(text, size) {
		s.Write(c)
	}
	s.Close()
	if got := list(ms); !slices.Equal(got, want) {
		t.Fatalf("in pieces of %d:\n%s\nwhole:\n%s", size, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Every example and negative of every rule, in noise, at every offset of two
// blocks of 64, is decided alike by both engines and in pieces.
func TestExamplesAtEveryOffset(t *testing.T) {
	if testing.Short() {
		t.Skip("40,000 texts; FuzzChunks and the next tests go through fewer")
	}
	t.Parallel()
	set, fast := engine(t, scanner.Options{})
	_, plain := engine(t, scanner.Options{Plain: true})
	r := rand.New(rand.NewPCG(1, 2))
	for i, ex := range examples(t, set) {
		for off := i % 3; off <= 130; off += 3 {
			text := slices.Concat(noise(r, off), []byte(ex), noise(r, 70))
			same(t, fast, plain, text, 1+r.IntN(len(text)))
		}
	}
}

// The same where the blocks of the literal search and of reading end.
func TestExamplesAtBlockEdges(t *testing.T) {
	t.Parallel()
	set, fast := engine(t, scanner.Options{})
	_, plain := engine(t, scanner.Options{Plain: true})
	r := rand.New(rand.NewPCG(3, 4))
	all := examples(t, set)
	if testing.Short() {
		all = all[:len(all)/8]
	}
	for _, ex := range all {
		for _, edge := range []int{16 << 10, 32 << 10} {
			before := max(0, edge-r.IntN(len(ex)+8))
			text := slices.Concat(bytes.Repeat([]byte("words of no weight\n"), before/19), noise(r, before%19), []byte(ex), noise(r, 200))
			same(t, fast, plain, text, edge)
		}
	}
}

// All examples behind one another, in any order, with nothing between them:
// anchors in anchors, matches that overlap, runs that go on.
func TestExamplesOverlapping(t *testing.T) {
	t.Parallel()
	set, fast := engine(t, scanner.Options{})
	_, plain := engine(t, scanner.Options{Plain: true})
	r := rand.New(rand.NewPCG(5, 6))
	all := examples(t, set)
	rounds := 30
	if testing.Short() {
		rounds = 2
	}
	for range rounds {
		r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		var text []byte
		for _, ex := range all[:len(all)/2] {
			text = append(text, ex[r.IntN(len(ex)/2+1):]...)
			if r.IntN(4) == 0 {
				text = append(text, "\x00\xff\n\xc3"[r.IntN(4)])
			}
		}
		same(t, fast, plain, text, 1+r.IntN(9000))
	}
}

// One worker finds what many find.
func TestWorkersAgree(t *testing.T) {
	set, fast := engine(t, scanner.Options{})
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(7, 8))
	for i, ex := range examples(t, set) {
		p := filepath.Join(dir, string(rune('a'+i%26)), strings.Repeat("x", i%40+1))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(p, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		f.Write(bytes.ReplaceAll(noise(r, 300), []byte{0}, nil))
		f.WriteString("\n" + ex + "\n")
		f.Close()
	}
	var want []string
	for _, workers := range []int{1, 2, 16} {
		var got []string
		cov, err := fast.Run(context.Background(), sources.Files(dir, sources.FileOptions{}), scanner.RunOptions{
			Workers: workers,
			Finding: func(f scanner.Finding) {
				got = append(got, f.ID+" "+f.Origin.Path+" "+list([]scanner.Match{f.Match})[0])
			},
		})
		if err != nil || len(cov.Unread) > 0 {
			t.Fatalf("%d workers: %v, %v", workers, err, cov.Unread)
		}
		slices.Sort(got)
		if workers == 1 {
			want = got
		} else if !slices.Equal(got, want) {
			t.Errorf("%d workers find\n%s\none finds\n%s", workers, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	if len(want) < 300 {
		t.Errorf("only %d findings in all examples", len(want))
	}
}

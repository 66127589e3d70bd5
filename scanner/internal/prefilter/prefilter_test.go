package prefilter

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var literals = []Literal{
	{"ghp_", false}, {"github_pat_", false}, {"glpat-", false}, {"xoxb-", false}, {"AKIA", false}, {"sk_live_", false},
	{"npm_", false}, {"hvs.", false}, {"eyJ", false}, {"-----BEGIN", false}, {"password", true}, {"api_key", true}, {"pw", true},
	{"é", false}, {"пароль", false}, {"密码", true},
	{"aaaa", false}, {"aaa", true}, {"[[{", false}, {"\xff\xfe", false}, {"T3BlbkFJ", false}, {".atlasv1.", false}, {"dop_v1_", false},
}

// naive is what Find must answer, told the plainest way.
func naive(buf []byte, lo, hi int) []string {
	var out []string
	for i, l := range literals {
		for s := lo; s < hi && s+len(l.Text) <= len(buf); s++ {
			b := string(buf[s : s+len(l.Text)])
			if b == l.Text || l.Fold && lowerASCII(b) == lowerASCII(l.Text) {
				out = append(out, fmt.Sprint(i, "@", s))
			}
		}
	}
	slices.Sort(out)
	return out
}

func find(s *Set, buf []byte, lo, hi int) []string {
	var out []string
	s.Find(buf, lo, hi, func(lit, start int) { out = append(out, fmt.Sprint(lit, "@", start)) })
	slices.Sort(out)
	return out
}

// Every kernel finds exactly the occurrences, at every offset and block edge.
func TestKernelsAgree(t *testing.T) {
	sets := map[Kernel]*Set{}
	for _, k := range Kernels() {
		sets[k] = NewFor(k, literals)
	}
	var parts []string
	for _, l := range literals {
		parts = append(parts, l.Text, strings.ToUpper(l.Text), l.Text[:len(l.Text)-1], l.Text[1:])
	}
	parts = append(parts, "\n", " ", "a", "\x00", "\xe9", strings.Repeat("x", 31), strings.Repeat("lorem ipsum ", 30))
	rapid.Check(t, func(t *rapid.T) {
		buf := []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 0, 60).Draw(t, "parts"), ""))
		buf = buf[min(len(buf), rapid.IntRange(0, 70).Draw(t, "cut")):]
		lo := rapid.IntRange(0, len(buf)).Draw(t, "lo")
		hi := rapid.IntRange(lo, len(buf)).Draw(t, "hi")
		want := naive(buf, lo, hi)
		for k, s := range sets {
			if got := find(s, buf, lo, hi); !slices.Equal(got, want) {
				t.Fatalf("%s finds %q in [%d:%d) of %q, want %q", k, got, lo, hi, buf, want)
			}
		}
	})
}

// Each literal is found by each kernel wherever it stands in two blocks of 64,
// before it and after it, in every filling a table could mistake for it.
func TestEveryLiteralAtEveryOffset(t *testing.T) {
	const n = 3 * 64
	for _, k := range Kernels() {
		s := NewFor(k, literals)
		for i, l := range literals {
			for _, filling := range []byte{0, ' ', 'a', 0x7f, 0xff} {
				for off := 0; off+len(l.Text) <= n; off++ {
					buf := bytes.Repeat([]byte{filling}, n)
					copy(buf[off:], l.Text)
					want := fmt.Sprint(i, "@", off)
					if got := find(s, buf, 0, n); !slices.Contains(got, want) {
						t.Fatalf("%s does not find %q at %d between %#x", k, l.Text, off, filling)
					}
				}
			}
		}
	}
}

func FuzzKernels(f *testing.F) {
	f.Add([]byte("ghp_ and PassWord and eyJ"), 3)
	f.Add(bytes.Repeat([]byte("aaaa"), 40), 7)
	sets := map[Kernel]*Set{}
	for _, k := range Kernels() {
		sets[k] = NewFor(k, literals)
	}
	f.Fuzz(func(t *testing.T, buf []byte, lo int) {
		if lo < 0 || lo > len(buf) {
			return
		}
		want := naive(buf, lo, len(buf))
		for k, s := range sets {
			if got := find(s, buf, lo, len(buf)); !slices.Equal(got, want) {
				t.Fatalf("%s finds %q, want %q", k, got, want)
			}
		}
	})
}

// corpus is text of letters as frequent as in the table, without secrets.
func corpus(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var bag []byte
	for b, c := range per100k {
		bag = append(bag, bytes.Repeat([]byte{byte(b)}, int(c))...)
	}
	out := make([]byte, n)
	for i := range out {
		out[i] = bag[r.IntN(len(bag))]
	}
	return out
}

func BenchmarkFind(b *testing.B) {
	text := corpus(1 << 20)
	for _, k := range Kernels() {
		s := NewFor(k, literals)
		b.Run(string(k), func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				s.Find(text, 0, len(text), func(int, int) {})
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(literals)
	}
}

package runs

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// kernels runs f with each kernel that this CPU has.
func kernels(f func(name string)) {
	if !available {
		return
	}
	f("fastest")
	if had := vbmi; had {
		setVBMI(false)
		f("avx2")
		setVBMI(had)
	}
}

// compare asks a Finder with SIMD and one without everything about text[from:].
func compare(t interface {
	Fatalf(string, ...any)
	Helper()
}, text []byte, from int) {
	t.Helper()
	var plain Finder
	plain.Reset(text, from, true)
	kernels(func(name string) {
		var fast Finder
		fast.Reset(text, from, false)
		for p := from; p <= len(text); p++ {
			for c := Percent; c < classes; c++ {
				if got, want := fast.Index(c, p), plain.Index(c, p); got != want {
					t.Fatalf("%s: Index(%d, %d) of %q from %d is %d, want %d", name, c, p, text, from, got, want)
				}
			}
			for _, c := range []Class{Base64, Hex} {
				if got, want := fast.End(c, p), plain.End(c, p); got != want {
					t.Fatalf("%s: End(%d, %d) of %q from %d is %d, want %d", name, c, p, text, from, got, want)
				}
				for _, n := range []int{minRun, 20, 32, 70} {
					s, r := fast.Run(c, p, n)
					if ws, wr := plain.Run(c, p, n); s != ws || r != wr {
						t.Fatalf("%s: Run(%d, %d, %d) of %q from %d is %d %d, want %d %d", name, c, p, n, text, from, s, r, ws, wr)
					}
				}
			}
		}
	})
}

// Each byte value belongs to the same classes for every kernel.
func TestEveryByte(t *testing.T) {
	text := make([]byte, 512)
	for i := range text {
		text[i] = byte(i)
	}
	compare(t, text, 0)
}

func TestKernelsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var text []byte
		for range rapid.IntRange(0, 40).Draw(t, "parts") {
			part := rapid.SampledFrom([]string{"a", "0", "Z_", " ", "\n", "%", "\\", "+", "\x00", "\xff", "\xc3\xa9", "=", "g", "`{@["}).Draw(t, "part")
			text = append(text, bytes.Repeat([]byte(part), rapid.IntRange(1, 90).Draw(t, "times"))...)
		}
		compare(t, text, rapid.IntRange(0, min(len(text), 70)).Draw(t, "from"))
	})
}

// Runs of each length at each place of a word, and over its edges.
func TestRunsAtEveryEdge(t *testing.T) {
	for n := 13; n < 80; n += 3 {
		for off := range 130 {
			text := bytes.Repeat([]byte{' '}, 400)
			copy(text[off:], bytes.Repeat([]byte{'f'}, n))
			var fast, plain Finder
			fast.Reset(text, 0, false)
			plain.Reset(text, 0, true)
			for _, p := range []int{0, off, off + 1} {
				a, b := fast.Run(Hex, p, 20)
				if c, d := plain.Run(Hex, p, 20); a != c || b != d {
					t.Fatalf("%d bytes at %d from %d: %d %d, want %d %d", n, off, p, a, b, c, d)
				}
			}
		}
	}
}

func FuzzFinder(f *testing.F) {
	f.Add(bytes.Repeat([]byte("0123456789abcdef%+/"), 20), 3)
	f.Fuzz(func(t *testing.T, text []byte, from int) {
		if from < 0 || from > len(text) || len(text) > 2000 {
			return
		}
		compare(t, text, from)
	})
}

func BenchmarkReset(b *testing.B) {
	text := make([]byte, 64<<10)
	r := rand.New(rand.NewPCG(1, 2))
	for i := range text {
		text[i] = byte(' ' + r.IntN(90))
	}
	kernels(func(name string) {
		b.Run(name, func(b *testing.B) {
			var f Finder
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f.Reset(text, 0, false)
			}
		})
	})
	for _, plain := range []bool{false, true} {
		b.Run(map[bool]string{false: "fast", true: "plain"}[plain]+"/run", func(b *testing.B) {
			var f Finder
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				f.Reset(text, 0, plain)
				for p := 0; ; {
					s, _ := f.Run(Base64, p, 20)
					if s < 0 {
						break
					}
					p = f.End(Base64, s)
				}
			}
		})
	}
}

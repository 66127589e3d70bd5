package inflate

import (
	"bytes"
	"compress/zlib"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"testing"
)

// oracle is what compress/zlib says of the stream at the start of src.
func oracle(src []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(src))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, 1<<24))
}

func compress(t testing.TB, data []byte, level int) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := zlib.NewWriterLevel(&b, level)
	if err == nil {
		_, err = w.Write(data)
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// texts are of kinds that lead to all forms of blocks and matches.
func texts(t testing.TB) [][]byte {
	t.Helper()
	source, err := os.ReadFile("tables.go")
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	noise, skewed := make([]byte, 70_000), make([]byte, 50_000)
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	for i := range skewed { // gives codes of up to 15 bits
		skewed[i] = byte(r.ExpFloat64() * 12)
	}
	out := [][]byte{{}, {0}, []byte("ab"), source, noise, skewed, bytes.Repeat([]byte("x"), 100_000)}
	for period := range 20 {
		out = append(out, bytes.Repeat(noise[:period+1], 400))
	}
	return append(out, bytes.Repeat(source, 20), append(bytes.Clone(noise[:3000]), source...))
}

func TestRoundTrip(t *testing.T) {
	var d Decoder
	for i, text := range texts(t) {
		for level := -2; level <= 9; level++ {
			z := compress(t, text, level)
			for _, tail := range []int{0, 1, 8, 40} {
				for _, slack := range []int{0, 100, Slack} {
					src := append(bytes.Clone(z), make([]byte, tail)...)
					dst := make([]byte, len(text), len(text)+slack)
					used, err := d.Zlib(dst, src[:len(src):len(src)])
					if err != nil || used != len(z) || !bytes.Equal(dst, text) {
						t.Fatalf("text %d level %d tail %d slack %d: used %d of %d, %v", i, level, tail, slack, used, len(z), err)
					}
				}
			}
		}
	}
}

func TestLies(t *testing.T) {
	var d Decoder
	for i, text := range texts(t) {
		z := compress(t, text, 6)
		for _, n := range []int{-1, 1, 300} {
			if len(text)+n < 0 {
				continue
			}
			if _, err := d.Zlib(make([]byte, len(text)+n, len(text)+n+Slack), z); !errors.Is(err, ErrSize) {
				t.Errorf("text %d: said to be %d bytes longer: %v", i, n, err)
			}
		}
		z[len(z)-1] ^= 1
		if _, err := d.Zlib(make([]byte, len(text)), z); !errors.Is(err, ErrChecksum) {
			t.Errorf("text %d: another checksum: %v", i, err)
		}
		for cut := range min(len(z), 200) {
			if _, err := d.Zlib(make([]byte, len(text), len(text)+Slack), z[:cut:cut]); err == nil {
				t.Errorf("text %d: cut to %d of %d bytes: no error", i, cut, len(z))
			}
		}
	}
}

// check compares with compress/zlib, told the size that it found.
func check(t *testing.T, d *Decoder, src []byte) {
	t.Helper()
	want, wantErr := oracle(src)
	for _, slack := range []int{0, Slack} {
		dst := make([]byte, len(want), len(want)+slack)
		_, err := d.Zlib(dst, src)
		if (err == nil) != (wantErr == nil) {
			t.Fatalf("slack %d: %v, compress/zlib says %v", slack, err, wantErr)
		}
		if err == nil && !bytes.Equal(dst, want) {
			t.Fatalf("slack %d: other bytes than compress/zlib", slack)
		}
	}
}

func TestMutated(t *testing.T) {
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	var d Decoder
	r := rand.New(rand.NewPCG(3, 4))
	all := texts(t)
	for range rounds {
		text := all[r.IntN(len(all))]
		from := r.IntN(len(text) + 1)
		z := compress(t, text[from:from+r.IntN(min(len(text)-from, 3000)+1)], r.IntN(12)-2)
		for range 1 + r.IntN(3) {
			z[r.IntN(len(z))] ^= 1 << r.IntN(8)
		}
		check(t, &d, z)
	}
}

func FuzzInflate(f *testing.F) {
	for _, text := range texts(f) {
		f.Add(compress(f, text[:min(len(text), 2000)], 9))
		f.Add(compress(f, text[:min(len(text), 500)], -2))
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, src []byte) {
		if len(src) > 2 && src[1]&0x20 != 0 {
			t.Skip("preset dictionaries are refused here, and an error of another kind there")
		}
		check(t, &d, src)
	})
}

func BenchmarkZlib(b *testing.B) {
	text := bytes.Repeat(texts(b)[3], 4)
	z := compress(b, text, 6)
	b.Run("ours", func(b *testing.B) {
		var d Decoder
		dst := make([]byte, len(text), len(text)+Slack)
		b.SetBytes(int64(len(text)))
		for range b.N {
			if _, err := d.Zlib(dst, z); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("compress-zlib", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for range b.N {
			if _, err := oracle(z); err != nil {
				b.Fatal(err)
			}
		}
	})
}

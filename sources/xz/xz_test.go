package xz

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/ulikunitz/xz"
)

// packed is data in blocks of a thousand bytes.
func packed(t testing.TB, data string, dict int, check byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := xz.WriterConfig{DictCap: dict, BlockSize: 1000, CheckSum: check}.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(w, data)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// What it reads is what the library reads, of streams behind each other, whatever sums
// them up; and the memory of each block is given back.
func TestReader(t *testing.T) {
	text := strings.Repeat("several blocks of text, ", 200)
	for _, check := range []byte{xz.CRC32, xz.CRC64, xz.SHA256} {
		two := append(append(packed(t, text, 4096, check), 0, 0, 0, 0), packed(t, "more", 1<<20, check)...)
		held, most := int64(0), int64(0)
		got, err := io.ReadAll(NewReader(bytes.NewReader(two), Options{Hold: func(n int64) error { held += n; most = max(most, held); return nil }}))
		if string(got) != text+"more" || err != nil || held != 0 || most != 1<<20 {
			t.Errorf("check %d: %d bytes, %v; %d bytes are held of %d", check, len(got), err, held, most)
		}
	}
}

func TestBounds(t *testing.T) {
	large := packed(t, "text", 1<<20, xz.CRC32)
	if _, err := io.ReadAll(NewReader(bytes.NewReader(large), Options{MaxDictionary: 1 << 19})); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large a dictionary: %v", err)
	}
	no := errors.New("no")
	if _, err := io.ReadAll(NewReader(bytes.NewReader(large), Options{Hold: func(int64) error { return no }})); err != no {
		t.Errorf("no memory: %v", err)
	}
	if _, err := io.ReadAll(NewReader(bytes.NewReader(large[:len(large)-20]), Options{})); err != io.ErrUnexpectedEOF {
		t.Errorf("cut off: %v", err)
	}
}

// Whatever it is given, it ends, within its bounds, and gives what the library gives.
func FuzzReader(f *testing.F) {
	f.Add(packed(f, "text", 4096, xz.CRC64))
	f.Add(append(packed(f, strings.Repeat("a line of a log\n", 100), 4096, xz.SHA256), packed(f, "x", 4096, xz.CRC32)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 20
		r := NewReader(bytes.NewReader(data), Options{MaxDictionary: 1 << 16})
		got, err := io.ReadAll(io.LimitReader(r, most))
		if err != nil || len(got) == most {
			return
		}
		z, lerr := xz.NewReader(bytes.NewReader(data))
		if lerr != nil {
			return // it reads less: no stream at all is none for it
		}
		want, lerr := io.ReadAll(io.LimitReader(z, most))
		if lerr == nil && !bytes.Equal(got, want) {
			t.Errorf("%q, the library has %q", got, want)
		}
	})
}

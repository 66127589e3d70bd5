package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// A pepper comes from a file that may hold anything.
func FuzzDecodePepper(f *testing.F) {
	key := bytes.Repeat([]byte{0xfb, 7}, 16)
	f.Add([]byte(hex.EncodeToString(key)))
	f.Add([]byte(base64.StdEncoding.EncodeToString(key) + "\r\n"))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString(key)))
	f.Add([]byte("hunter2"))
	f.Add(key)
	f.Fuzz(func(t *testing.T, text []byte) {
		b, ok := decodePepper(text)
		if ok != (len(b) == pepperLen) {
			t.Fatalf("%d bytes, %v", len(b), ok)
		}
		if again, ok2 := decodePepper([]byte(base64.StdEncoding.EncodeToString(b))); ok && (!ok2 || !bytes.Equal(again, b)) {
			t.Fatal("a pepper written again reads differently")
		}
	})
}

func TestBase62(t *testing.T) {
	var seen [256]int
	const n = 62 * 1000
	for _, c := range []byte(base62(n)) {
		seen[c]++
	}
	for i := range len(base62Alphabet) {
		// 1000 are expected; six standard deviations are 190.
		if got := seen[base62Alphabet[i]]; got < 800 || got > 1200 {
			t.Errorf("%q drawn %d times of %d", base62Alphabet[i], got, n)
		}
	}
}

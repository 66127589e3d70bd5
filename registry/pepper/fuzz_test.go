package pepper

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"testing"
)

// A pepper comes from a file that may hold anything.
func FuzzDecode(f *testing.F) {
	key := bytes.Repeat([]byte{0xfb, 7}, 16)
	f.Add([]byte(hex.EncodeToString(key)))
	f.Add([]byte(base64.StdEncoding.EncodeToString(key) + "\r\n"))
	f.Add([]byte(base64.RawURLEncoding.EncodeToString(key)))
	f.Add([]byte("hunter2"))
	f.Add(key)
	f.Fuzz(func(t *testing.T, text []byte) {
		if all, ok := decodeAll(text); ok && (len(all) == 0 || len(all) > maxGiven) {
			t.Fatalf("%d peppers", len(all))
		}
		b, ok := decode(text)
		if ok != (len(b) == Len) {
			t.Fatalf("%d bytes, %v", len(b), ok)
		}
		if again, ok2 := decode([]byte(base64.StdEncoding.EncodeToString(b))); ok && (!ok2 || !bytes.Equal(again, b)) {
			t.Fatal("a pepper written again reads differently")
		}
	})
}

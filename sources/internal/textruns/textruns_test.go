package textruns

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
)

// Texts are found wherever they lie, and however they are read.
func TestStrings(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var data, want bytes.Buffer
		for range r.IntN(20) {
			data.WriteString(strings.Repeat("\x00\x81", 1+r.IntN(3000)))
			text := strings.Repeat("tök-en_9 ", 1+r.IntN(1+r.IntN(4000))) + "z"
			if r.IntN(2) == 0 {
				for _, c := range text {
					data.Write([]byte{byte(c), byte(c >> 8)})
				}
			} else {
				for _, c := range text {
					data.WriteByte(byte(c))
				}
			}
			fmt.Fprintln(&want, text)
		}
		data.WriteString("\x00\x81")
		for _, in := range []io.Reader{bytes.NewReader(data.Bytes()), iotest.HalfReader(bytes.NewReader(data.Bytes())), iotest.OneByteReader(bytes.NewReader(data.Bytes()))} {
			got, err := io.ReadAll(NewReader(in))
			if err != nil || string(got) != want.String() {
				t.Fatalf("%v: got %d bytes, want %d", err, len(got), want.Len())
			}
		}
	}
}

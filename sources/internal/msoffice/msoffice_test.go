package msoffice

import (
	"bytes"
	"testing"
)

// The example of [MS-OVBA] 3.2.2.
func TestExpand(t *testing.T) {
	packed := "\x2f\xb0\x00#aaabcde\x82\x66\x00\x70aghij\x01\x38\x08akl\x00\x30mnop\x06q\x02\x70\x04\x10rstuv\x10wxyz\x00\x3c"
	if got := string(expandMacro([]byte(packed))); got != "#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa" {
		t.Errorf("%q", got)
	}
}

// What comes out of a workbook and a macro is bounded by what they are.
func FuzzTexts(f *testing.F) {
	f.Add([]byte("\xfc\x00\x0f\x0012345678\x09\x00\x00text\x3c\x00\x05\x00\x01w\x00i\x00"))
	f.Add([]byte("x\x01\x0a\xb0\x00Attribut\x01\x00\x00"))
	f.Fuzz(func(t *testing.T, data []byte) {
		n := 0
		for text := range Workbook(bytes.NewReader(data)) {
			n += len(text)
		}
		if n > 3*len(data) { // a letter of two bytes, or an end of line for each empty text
			t.Errorf("%d bytes came out of %d", n, len(data))
		}
		if n := len(Macro(data)); n > (len(data)/3+1)*macroChunk {
			t.Errorf("a macro of %d bytes came out of %d", n, len(data))
		}
	})
}

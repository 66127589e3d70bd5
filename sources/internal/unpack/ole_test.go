package unpack

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quench-dev/quench/sources/internal/cfb/cfbtest"
)

// record is one of a workbook.
func record(kind uint16, data string) string {
	return string(binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(nil, kind), uint16(len(data)))) + data
}

func word16(n int) string { return string(binary.LittleEndian.AppendUint16(nil, uint16(n))) }

// fib is the head of a document of Word.
func fib(flags byte) string {
	return "\xec\xa5\xc1\x00" + string(make([]byte, 7)) + string([]byte{flags}) + string(make([]byte, 500))
}

func TestOLE(t *testing.T) {
	wide := func(s string) string { return wideText(s, binary.LittleEndian, false) }
	counts := string(make([]byte, 8))
	long := strings.Repeat("k", 65) // its length is a letter
	sheet := record(0x809, counts) +
		record(0xfc, counts+word16(5)+"\x00first"+word16(65)+"\x00"+long+word16(4)+"\x01"+wide("wïde")+word16(6)+"\x0c"+word16(1)+"\x02\x00\x00\x00"+"rich r"+"ABCD"+"EF"+word16(8)+"\x00goes") +
		record(0x3c, "\x01"+wide(" on:")+word16(4)+"\x00last") + record(0x204, "\x00\x00\x00\x00\x00\x00"+word16(10)+"\x00old = cell") + "\x0a\x00\x00\x00"
	data := cfbtest.File(
		cfbtest.Stream{Path: "WordDocument", Data: fib(0) + wide("Passwort für alle: abc\rnext") + "\x00\x00\x01" + "bytes are text too\r" + "\x00\x07"},
		cfbtest.Stream{Path: "Workbook", Data: sheet},
		cfbtest.Stream{Path: "\x05SummaryInformation", Data: "\xfe\xff\x00\x00" + string(make([]byte, 40)) + "Author\x00" + wide("t") + "\x00"},
		cfbtest.Stream{Path: "__substg1.0_1000001F", Data: wide("a mail's body, токен too")},
		cfbtest.Stream{Path: "__attach_version1.0_#00000000/__substg1.0_37010102", Data: zipOf(t, file{"a.env", "A=1"})},
		cfbtest.Stream{Path: "__attach_version1.0_#00000000/__substg1.0_3701000D", Data: "\x89PNG\r\n\x1a\n" + "no text"},
		cfbtest.Stream{Path: "text", Data: "plain"})
	got, archives, err := walkAll(t, "x.doc", data, Options{})
	want := map[string]string{
		"WordDocument":         "Passwort für alle: abc\nnext\nbytes are text too\n\n",
		"Workbook":             "first\n" + long + "\nwïde\nrich r\ngoes on:\nlast\nold = cell\n",
		"SummaryInformation":   "Author\n",
		"__substg1.0_1000001F": "a mail's body, токен too",
		"__attach_version1.0_#00000000/__substg1.0_37010102!/a.env": "A=1",
		"__attach_version1.0_#00000000/__substg1.0_3701000D":        "!binary content",
		"text": "plain",
	}
	if d := cmp.Diff(want, got); d != "" || err != nil || archives != 2 {
		t.Errorf("%d archives, %v (-want +got):\n%s", archives, err, d)
	}
}

func TestOLEEncrypted(t *testing.T) {
	for name, s := range map[string]cfbtest.Stream{
		"word":  {Path: "WordDocument", Data: fib(1) + "secret text"},
		"excel": {Path: "Workbook", Data: record(0x809, "12345678") + record(0x2f, "\x01\x00") + record(0x204, "noise")},
		"new":   {Path: "EncryptedPackage", Data: strings.Repeat("noise", 2000)},
	} {
		got, _, err := walkAll(t, "x", cfbtest.File(s), Options{})
		text := got[s.Path]
		if i := strings.IndexByte(text, '!'); i < 0 || text[i+1:] != ErrEncrypted.Error() || strings.Contains(text, "noise") || err != nil {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// The source of a module is read after what it was compiled to.
func TestMacro(t *testing.T) {
	source := "Attribute VB_Name = \"Module1\"\r\nConst Password = \"hunter2\"\r\n"
	var tokens string
	for i := 0; i < len(source); i += 8 {
		tokens += "\x00" + source[i:min(i+8, len(source))]
	}
	stream := "\x16\x00compiled\x01\x00" + "\x01" + word16(0xb000|len(tokens)-1) + tokens
	got, _, err := walkAll(t, "vbaProject.bin", cfbtest.File(cfbtest.Stream{Path: "VBA/Module1", Data: stream}, cfbtest.Stream{Path: "VBA/dir", Data: "\x01\x00\x00 other"}), Options{})
	want := map[string]string{"VBA/Module1": strings.ReplaceAll(source, "\r\n", "\n"), "VBA/dir": " other\n"}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
}

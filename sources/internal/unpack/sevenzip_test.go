package unpack

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sevenZipOf is an archive of one stored file whose name is one letter.
func sevenZipOf(name byte, data string) string {
	sum := func(s string) string {
		return string(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(s))))
	}
	n := string([]byte{0x80 | byte(len(data)>>8), byte(len(data))})
	h := "\x01\x04\x06\x00\x01\x09" + n + "\x00\x07\x0b\x01\x00\x01\x01\x00\x0c" + n + "\x0a\x01" + sum(data) + "\x00\x00" +
		"\x05\x01\x11\x05\x00" + string([]byte{name, 0, 0, 0}) + "\x00\x00"
	start := string(binary.LittleEndian.AppendUint64(nil, uint64(len(data)))) + string(binary.LittleEndian.AppendUint64(nil, uint64(len(h)))) + sum(h)
	return "7z\xbc\xaf\x27\x1c\x00\x04" + sum(start) + start + data + h
}

func TestSevenZip(t *testing.T) {
	data := sevenZipOf('a', zipOf(t, file{"b.env", "B=2\n"}))
	got, archives, err := walkAll(t, "x.7z", data, Options{})
	if d := cmp.Diff(map[string]string{"a!/b.env": "B=2\n"}, got); d != "" || err != nil || archives != 2 {
		t.Errorf("%d archives, %v (-want +got):\n%s", archives, err, d)
	}
	// What is passed over is paid for as well.
	data = sevenZipOf('a', "\x89PNG\r\n\x1a\n"+string(make([]byte, 16000)))
	if _, _, err := walkAll(t, "x.7z", data, Options{MaxSize: 10000}); err == nil {
		t.Error("a binary file larger than the limit is unpacked")
	}
}

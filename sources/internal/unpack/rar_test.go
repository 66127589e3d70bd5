package unpack

import (
	"encoding/binary"
	"hash/crc32"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rarOf is a RAR 1.5 archive that stores its files: no program that packs more is
// free to write.
func rarOf(flags uint16, files ...file) string {
	out := []byte("Rar!\x1a\x07\x00")
	block := func(kind byte, flags uint16, body []byte) {
		h := []byte{kind}
		h = binary.LittleEndian.AppendUint16(h, flags)
		h = binary.LittleEndian.AppendUint16(h, uint16(7+len(body)))
		h = append(h, body...)
		out = binary.LittleEndian.AppendUint16(out, uint16(crc32.ChecksumIEEE(h)))
		out = append(out, h...)
	}
	block(0x73, 0, make([]byte, 6))
	for _, f := range files {
		var b []byte
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.data)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f.data)))
		b = append(b, 3) // Unix
		b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(f.data)))
		b = binary.LittleEndian.AppendUint32(b, 0x50210000)
		b = append(b, 29, 0x30) // version, stored
		b = binary.LittleEndian.AppendUint16(b, uint16(len(f.name)))
		b = binary.LittleEndian.AppendUint32(b, 0o100644)
		b = append(b, f.name...)
		block(0x74, 0x8000|flags, b)
		out = append(out, f.data...)
	}
	block(0x7b, 0, nil)
	return string(out)
}

func TestRAR(t *testing.T) {
	data := rarOf(0, file{`dir\app.env`, "A=1\n"}, file{"in.zip", zipOf(t, file{"b.txt", "text"})}, file{"pic", "\x89PNG\r\n\x1a\n"})
	got, archives, err := walkAll(t, "a.rar", data, Options{})
	want := map[string]string{"dir/app.env": "A=1\n", "in.zip!/b.txt": "text", "pic": "!binary content"}
	if d := cmp.Diff(want, got); d != "" || err != nil || archives != 2 {
		t.Errorf("%d archives, %v (-want +got):\n%s", archives, err, d)
	}
	got, _, err = walkAll(t, "a.rar", rarOf(4, file{"locked", "0123456789abcdef"}), Options{})
	if d := cmp.Diff(map[string]string{"locked": "!" + ErrEncrypted.Error()}, got); d != "" && err == nil {
		t.Errorf("encrypted: %v %s", err, d)
	}
	for n := 8; n < len(data)-7; n += 5 {
		if got, _, err := walkAll(t, "a.rar", data[:n], Options{}); err == nil && cmp.Equal(want, got) {
			t.Errorf("cut to %d bytes: nothing is said", n)
		}
	}
}

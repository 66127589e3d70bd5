package unpack

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func pad(s string, to int) string { return s + strings.Repeat("\x00", (to-len(s)%to)%to) }

// cpioFileOf is a file as it lies in an archive of either form.
func cpioFileOf(magic string, mode int, f file) string {
	if magic == cpioPortable {
		return fmt.Sprintf("%s%06o%06o%06o%06o%06o%06o%06o%011o%06o%011o%s\x00%s", magic, 1, 2, mode, 0, 0, 1, 0, 0, len(f.name)+1, len(f.data), f.name, f.data)
	}
	h := fmt.Sprintf("%s%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", magic, 1, mode, 0, 0, 1, 0, len(f.data), 0, 0, 0, 0, len(f.name)+1, 0)
	return pad(h+f.name+"\x00", 4) + pad(f.data, 4)
}

func cpioOf(magic string, files ...file) (data string) {
	for _, f := range files {
		data += cpioFileOf(magic, cpioRegular|0o644, f)
	}
	return data + cpioFileOf(magic, 0, file{cpioEnd, ""})
}

func TestCpio(t *testing.T) {
	one, two := file{"./etc/app.env", "KEY=1\n"}, file{"odd", "abc"}
	want := map[string]string{"etc/app.env": "KEY=1\n", "odd": "abc"}
	good := cpioOf(cpioNew, one, two)
	for name, c := range map[string]struct {
		data string
		want map[string]string
		err  string
	}{
		"newc":     {good, want, ""},
		"odc":      {cpioOf(cpioPortable, one, two), want, ""},
		"crc":      {cpioOf(cpioSum, one, two), want, ""},
		"gzip":     {gzipOf(t, good), map[string]string{"content!/etc/app.env": "KEY=1\n", "content!/odd": "abc"}, ""},
		"two":      {pad(cpioOf(cpioNew, one), 512) + pad(cpioOf(cpioNew, two), 512), want, ""},
		"special":  {cpioFileOf(cpioNew, cpioSymlink, file{"l", "target"}) + cpioFileOf(cpioNew, cpioDir, file{"d", ""}) + cpioFileOf(cpioNew, 0o020000, file{"dev", ""}) + good, map[string]string{"l": "!a link", "dev": "!not a regular file", "etc/app.env": "KEY=1\n", "odd": "abc"}, ""},
		"upwards":  {cpioOf(cpioNew, file{"../../x", "1"}), map[string]string{"x": "1"}, ""},
		"cut":      {cpioFileOf(cpioNew, cpioRegular, one)[:cpioNewHeader+14+3], map[string]string{"etc/app.env": "KEY"}, "unexpected EOF"},
		"then not": {cpioFileOf(cpioNew, cpioRegular, two) + strings.Repeat("noise", 40), map[string]string{"odd": "abc"}, "no header"},
		"no end":   {cpioFileOf(cpioNew, cpioRegular, two), map[string]string{"odd": "abc"}, ""},
	} {
		got, _, err := walkAll(t, "x", c.data, Options{})
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
	for _, text := range []string{"070701 is how archives begin, and so may a text that goes on for more than a hundred and ten characters, as this", "070707", "0707070707070707"} {
		if k := KindOf([]byte(text)); k != Text {
			t.Errorf("%q is of kind %d", text, k)
		}
	}
	// A file of 4 GB and a name of that length are told by their headers, not held.
	huge := strings.Replace(good, fmt.Sprintf("%08x%08x", 0, len(one.name)+1), "00000000ffffffff", 1)
	if k := KindOf([]byte(huge)); k == Cpio {
		t.Error("a name of 4 GB makes an archive")
	}
}

// rpmOf is a package whose second header stores text.
func rpmOf(text, payload string) string {
	header := func(store string) string {
		b := binary.BigEndian.AppendUint32([]byte(rpmHeader+"\x00\x00\x00\x00"), 1)
		b = binary.BigEndian.AppendUint32(b, uint32(len(store)))
		return string(b) + string(make([]byte, rpmIndex)) + store
	}
	return rpmMagic + string(make([]byte, rpmLead-4)) + pad(header("12345")+"", 8) + header(text) + payload
}

func TestRPM(t *testing.T) {
	script := "app\x001.0\x00install -m 600 /etc/app.env\x00"
	payload := cpioOf(cpioNew, file{"./etc/app.env", "KEY=1\n"})
	for name, payload := range map[string]string{"gzip": gzipOf(t, payload), "xz": xzOf(t, payload, 4096), "zstd": zstdOf(t, payload)} {
		got, archives, err := walkAll(t, "app.rpm", rpmOf(script, payload), Options{})
		want := map[string]string{"header": "install -m 600 /etc/app.env\n", "payload!/content!/etc/app.env": "KEY=1\n"}
		if d := cmp.Diff(want, got); d != "" || err != nil || archives != 3 {
			t.Errorf("%s: %d archives, %v (-want +got):\n%s", name, archives, err, d)
		}
	}
	for name, data := range map[string]string{"cut": rpmOf(script, payload)[:rpmLead+30], "no header": rpmMagic + strings.Repeat("x", 300), "large": strings.Replace(rpmOf(script, payload), "\x00\x00\x00\x05", "\xff\xff\xff\xff", 1)} {
		if got, _, err := walkAll(t, "x.rpm", data, Options{}); err == nil || len(got) > 0 {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

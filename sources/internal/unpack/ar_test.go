package unpack

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// arOf writes members as they are named in the header.
func arOf(files ...file) string {
	b := arMagic
	for _, f := range files {
		b += fmt.Sprintf("%-16s%-12d%-6d%-6d%-8s%-10d%s%s", f.name, 0, 0, 0, "100644", len(f.data), arEnd, f.data)
		if len(f.data)%2 == 1 {
			b += "\n"
		}
	}
	return b
}

func TestAr(t *testing.T) {
	deb := arOf(file{"debian-binary", "2.0\n"}, file{"control.tar.gz", gzipOf(t, tarOf(t, file{"./postinst", "key=1"}))}, file{"data.tar.xz/", xzOf(t, tarOf(t, file{"./etc/app.env", "KEY=2"}), 4096)})
	long := "a-name-that-is-longer-than-a-header-takes.txt"
	gnu := arOf(file{"/", "\x00\x00\x00\x00"}, file{"//", "x/\n" + long + "/\n"}, file{"/3", "odd"}, file{"/0", "even"})
	bsd := arOf(file{fmt.Sprintf("#1/%d", len(long)+2), long + "\x00\x00text"})
	for name, c := range map[string]struct {
		data string
		want map[string]string
		err  string
	}{
		"deb":      {deb, map[string]string{"debian-binary": "2.0\n", "control.tar.gz!/postinst": "key=1", "data.tar.xz!/etc/app.env": "KEY=2"}, ""},
		"gnu":      {gnu, map[string]string{long: "odd", "x": "even"}, ""},
		"bsd":      {bsd, map[string]string{long: "text"}, ""},
		"empty":    {arMagic, map[string]string{}, ""},
		"no pad":   {strings.TrimSuffix(arOf(file{"a/", "abc"}), "\n"), map[string]string{"a": "abc"}, ""},
		"cut":      {arOf(file{"a/", "abcdef"})[:8+60+3], map[string]string{"a": "abc"}, "unexpected EOF"},
		"no size":  {strings.Replace(arOf(file{"a/", "abcdef"}), "6  ", "-6 ", 1), map[string]string{}, "no header"},
		"no name":  {arOf(file{"/9", "abc"}), map[string]string{}, "no such name"},
		"big name": {arOf(file{"#1/99", "abc"}), map[string]string{}, "no length"},
		"upwards":  {arOf(file{"../../a", "abc"}), map[string]string{"a": "abc"}, ""},
	} {
		got, _, err := walkAll(t, "x", c.data, Options{})
		if d := cmp.Diff(c.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: error %v, want %q", name, err, c.err)
		}
	}
	if k := KindOf([]byte(arMagic + "is how archives begin")); k != Text {
		t.Errorf("a text is of kind %d", k)
	}
}

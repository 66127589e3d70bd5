package assign

import (
	"bytes"
	"testing"
)

// FuzzAt holds that a value lies on the line of its name, within the longest length,
// and that the answer does not depend on what lies beyond what At says it looks at.
func FuzzAt(f *testing.F) {
	for _, s := range []string{
		`password = "x1y2z3"`, `{"token": {"id": "a", "value": "0123456789abcdef"}}`, "key: base64=\n", `let token: &str = "abc";`,
		`--password s3 --x`, `ENV API_TOKEN abc`, `<password>x</password>`, `"password\":\"x\"`, `set("password", "y")`, `Authorization: Digest key="x"`, `password == 'x'`,
		`name="password" value="x"`, `auth := []byte("x")`, "pass to `rustc`", `keY">0`,
	} {
		f.Add([]byte(s), uint16(0))
	}
	words := [][]byte{[]byte("password"), []byte("token"), []byte("key"), []byte("auth"), []byte("pass")}
	const maxLen = 64
	f.Fuzz(func(t *testing.T, buf []byte, pad uint16) {
		low := bytes.ToLower(buf)
		if len(low) != len(buf) {
			return
		}
		for _, w := range words {
			at := bytes.Index(low, w)
			if at < 0 {
				continue
			}
			v, ok := At(buf, at, at+len(w), maxLen)
			left := bytes.Repeat([]byte("z=1;\n"), int(pad%64))
			right := bytes.Repeat([]byte("\nz=1;"), 2)
			if nl := bytes.LastIndexByte(buf, '\n'); nl < 0 || nl < at {
				moved, ok2 := At(append(append(append([]byte{}, left...), buf...), right...), at+len(left), at+len(left)+len(w), maxLen)
				if ok != ok2 || ok && (moved.End-moved.Start != v.End-v.Start || moved.Start-len(left) != v.Start) {
					t.Fatalf("%q: %+v %v, and between other lines %+v %v", buf, v, ok, moved, ok2)
				}
			}
			if !ok {
				continue
			}
			if v.Start < at || v.End <= v.Start || v.End > len(buf) || v.End-v.Start >= maxLen || v.Name[0] > at || v.Name[1] < at+len(w) || v.Start > at+Reach {
				t.Fatalf("%q: %+v", buf, v)
			}
			if bytes.IndexByte(buf[v.Start:v.End], '\n') >= 0 {
				t.Fatalf("%q: the value %q spans lines", buf, buf[v.Start:v.End])
			}
		}
	})
}

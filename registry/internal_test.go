package registry

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// covers agrees with a regular expression made from the scope.
func TestCovers(t *testing.T) {
	side := func(s string) string {
		s = regexp.QuoteMeta(s)
		s = strings.ReplaceAll(s, `\*\*`, `[^:]+`)
		return strings.ReplaceAll(s, `\*`, `[^/:]+`)
	}
	segment := rapid.SampledFrom([]string{"a", "b", "ab", "*"})
	last := rapid.SampledFrom([]string{"a", "b", "*", "**"})
	word := rapid.SampledFrom([]string{"a", "b", "ab"})
	rapid.Check(t, func(t *rapid.T) {
		pattern := func(name string) string {
			segs := rapid.SliceOfN(segment, 0, 2).Draw(t, name)
			return strings.Join(append(segs, last.Draw(t, name+" last")), "/")
		}
		concrete := func(name string) string { return strings.Join(rapid.SliceOfN(word, 1, 4).Draw(t, name), "/") }
		scope := pattern("action") + ":" + pattern("resource")
		want := concrete("wanted action") + ":" + concrete("wanted resource")
		if err := checkScope(scope, false); err != nil {
			t.Fatal(err)
		}
		if err := checkScope(want, true); err != nil {
			t.Fatal(err)
		}
		a, r, _ := strings.Cut(scope, ":")
		plain := regexp.MustCompile("^" + side(a) + ":" + side(r) + "$").MatchString(want)
		if got := covers(scope, want); got != plain {
			t.Fatalf("covers(%q, %q) = %v, want %v", scope, want, got, plain)
		}
		if checkScope(scope, true) == nil && strings.Contains(scope, "*") {
			t.Fatalf("%q counts as concrete", scope)
		}
	})
}

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

// Scopes come from the command line and, in Verify, from requests.
func FuzzCheckScope(f *testing.F) {
	for _, s := range []string{"read:repo/*", "**:**", "a:b", ":", "a:b:c", "read:**/a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if checkScope(s, true) == nil && (checkScope(s, false) != nil || !covers(s, s)) {
			t.Fatalf("%q is concrete and does not cover itself", s)
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

package show

import "testing"

func TestFit(t *testing.T) {
	for _, c := range [][2]string{{"abc", "abc  "}, {"abcde", "abcde"}, {"abcdef", "abcd…"}, {"äöüäöü", "äöüä…"}} {
		if got := fit(c[0], 5); got != c[1] {
			t.Errorf("fit(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}

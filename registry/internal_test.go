package registry

import "testing"

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

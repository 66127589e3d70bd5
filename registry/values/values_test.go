package values

import (
	"strings"
	"testing"
)

func TestRandom(t *testing.T) {
	var seen [256]int
	const n = 62 * 1000
	for _, c := range []byte(Random(n)) {
		seen[c]++
	}
	for i := range len(Alphabet) {
		// 1000 are expected; six standard deviations are 190.
		if got := seen[Alphabet[i]]; got < 800 || got > 1200 {
			t.Errorf("%q drawn %d times of %d", Alphabet[i], got, n)
		}
	}
}

func TestCheckShowsNothing(t *testing.T) {
	for _, v := range []string{"short", strings.Repeat("ab", 3000), "0000000000000000000", "sesame sesame sesame", "sesame\x00sesamesesame"} {
		if err := Check([]byte(v)); err == nil || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%.20q: %v", v, err)
		}
	}
}

package score

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestParts holds the tables of parts and prefixes equal to the strings themselves.
func TestParts(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	all := []*parts{placeholders, shown, templates, lineWords, madeUp, valueWords, folders}
	begin := []*prefixes{digestNames, digestForms, publicKeys}
	var words []string
	for _, p := range all {
		words = append(words, p.words...)
	}
	for _, p := range begin {
		words = append(words, p.words...)
	}
	held, begun := 0, 0
	for range 20_000 {
		var text string
		for range rnd.IntN(4) {
			w := words[rnd.IntN(len(words))]
			text += w[rnd.IntN(2)*rnd.IntN(2):] + strings.Repeat("x", rnd.IntN(2))
		}
		for _, p := range all {
			got := p.in([]byte(text))
			for i, w := range p.words {
				want := strings.Contains(text, w)
				if got>>i&1 != 0 != want {
					t.Fatalf("%q holds %q: %t, want %t", text, w, !want, want)
				}
				if want {
					held++
				}
			}
		}
		for _, p := range begin {
			want := 0
			for _, w := range p.words {
				if strings.HasPrefix(text, w) {
					want = len(w)
					begun++
				}
			}
			if got := p.of([]byte(text)); got != want {
				t.Fatalf("%q begins with %d bytes, want %d", text, got, want)
			}
		}
	}
	if held < 1000 || begun < 100 {
		t.Errorf("%d strings were held and %d begun with: little is compared", held, begun)
	}
}

// TestTriples holds the table of neighbours equal to the rows.
func TestTriples(t *testing.T) {
	wanted := map[[3]byte]bool{}
	for i := range len(rows) - 2 {
		if three := [3]byte(rows[i:]); !strings.Contains(string(three[:]), " ") {
			wanted[three] = true
		}
	}
	in, found := triples(), 0
	for a := range 256 {
		for b := range 256 {
			for c := range 256 {
				if !in.has(byte(a), byte(b), byte(c)) {
					continue
				}
				if found++; !wanted[[3]byte{byte(a), byte(b), byte(c)}] {
					t.Errorf("%q are no neighbours", []byte{byte(a), byte(b), byte(c)})
				}
			}
		}
	}
	if found != len(wanted) {
		t.Errorf("%d rows of three are known, want %d", found, len(wanted))
	}
}

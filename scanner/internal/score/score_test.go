package score

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/scanner/internal/assign"
)

func allWords() map[string]bool {
	m := map[string]bool{}
	for _, text := range []string{wordsText, namesText} {
		for w := range strings.SplitSeq(text, "\n") {
			if len(w) >= minWord {
				m[w] = true
			}
		}
	}
	return m
}

// The tree of words covers letters as a plain table of them does.
func TestCoverIsThatOfTheWords(t *testing.T) {
	words := allWords()
	list := make([]string, 0, len(words))
	for w := range words {
		list = append(list, w)
		if !lex().has(w) || len(w) > maxWord {
			t.Fatalf("%q is not in the lexicon, or longer than maxWord", w)
		}
	}
	slices.Sort(list)
	plain := func(low string) int {
		best := make([]int, len(low)+1)
		for i := 1; i <= len(low); i++ {
			best[i] = best[i-1]
			for n := minWord; n <= min(maxWord, i); n++ {
				if words[low[i-n:i]] {
					best[i] = max(best[i], best[i-n]+n)
				}
			}
		}
		return best[len(low)]
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom(list), rapid.StringMatching(`[a-z]{1,6}`)), 1, 8).Draw(t, "parts")
		low := strings.Join(parts, "")
		low = low[:min(len(low), 128)]
		if got, want := lex().cover([]byte(low)), plain(low); got != want {
			t.Fatalf("%q: %d letters lie in words, want %d", low, got, want)
		}
		if got := lex().has(low); got != words[low] {
			t.Fatalf("%q is a word: %v", low, got)
		}
	})
}

// What is found by triples is what a search of the rows finds.
func TestWalkIsThatOfTheRows(t *testing.T) {
	plain := func(low []byte) (in int) {
		for i := 0; i+3 <= len(low); {
			j := i + 3
			for j <= len(low) && bytes.Contains(rows, low[i:j]) && bytes.IndexByte(low[i:j], ' ') < 0 {
				j++
			}
			if n := j - 1 - i; n >= 3 {
				in += n
				i += n
				continue
			}
			i++
		}
		return in
	}
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.OneOf(rapid.SampledFrom([]string{"qwert", "iop asd", "123", "4567890", "mnbv", "abc", "zxc", " ", "1q2w3e"}), rapid.StringMatching(`[a-z0-9 _]{0,5}`)), 0, 6).Draw(t, "parts")
		low := []byte(strings.Join(parts, ""))
		if got, want := runs(low), plain(low); got != want {
			t.Fatalf("runs(%q) = %d, want %d", low, got, want)
		}
	})
}

// Sum is Of without the terms that nobody asks for.
func TestSumIsOf(t *testing.T) {
	kept := 0
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"password", "dbPassword", "API_KEY", "token_url", "secret", "x.auth"}).Draw(t, "name")
		op := rapid.SampledFrom([]string{" = ", ": ", `": "`, " => ", "="}).Draw(t, "operator")
		val := rapid.StringMatching(`["']?[a-zA-Z0-9+/$.-]{1,40}["',;]?`).Draw(t, "value")
		line := []byte("\n" + rapid.SampledFrom([]string{"", "// ", "const ", "  "}).Draw(t, "left") + name + op + val + "\n")
		at := bytes.Index(line, []byte(name))
		for _, w := range keyWords {
			if i := bytes.Index(bytes.ToLower(line[at:]), []byte(w)); i >= 0 {
				v, ok := assign.At(line, at+i, at+i+len(w), 256)
				if !ok {
					continue
				}
				sum, of := Sum(line, v), Of(line, v)
				if sum.Points != of.Points || sum.Refusal != of.Refusal {
					t.Fatalf("%q: %+v, and with terms %+v", line, sum, of)
				}
				if of.Refusal == "" && of.Points >= Low {
					kept++
					if !slices.Equal(sum.Terms, of.Terms) {
						t.Fatalf("%q: %+v, and with terms %+v", line, sum, of)
					}
				}
			}
		}
	})
	if kept == 0 {
		t.Fatal("no value was kept: nothing was compared")
	}
}

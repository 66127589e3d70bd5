package score

import (
	_ "embed"
	"math"
	"strings"
	"sync"
)

//go:embed words.txt
var wordsText string

//go:embed names.txt
var namesText string

// lexicon is what words look like: the words themselves and how often one letter
// follows another in them.
type lexicon struct {
	words map[string]bool
	// pairs is log2 of how much more often a pair of letters stands in words than
	// in random text.
	pairs [26][26]float32
}

const (
	minWord = 3
	maxWord = 14
)

// lex is read when the first value asks for it.
var lex = sync.OnceValue(func() *lexicon {
	l := &lexicon{words: make(map[string]bool, 9000)}
	var count [26][26]float64
	total := 0.0
	for _, text := range []string{wordsText, namesText} {
		for w := range strings.SplitSeq(text, "\n") {
			if len(w) < minWord {
				continue
			}
			l.words[w] = true
			for i := 1; i < len(w); i++ {
				count[w[i-1]-'a'][w[i]-'a']++
				total++
			}
		}
	}
	for a := range count {
		for b := range count[a] {
			// Half an occurrence for pairs never seen, so that one of them does
			// not decide alone.
			l.pairs[a][b] = float32(math.Log2((count[a][b] + 0.5) / (total + 338) * 676))
		}
	}
	return l
})

// language gives how many of the letters of val lie in words, covered as well as can
// be, and how many letters there are. Only the first 128 bytes are looked at.
func language(val []byte) (covered, letters int) {
	l := lex()
	val = val[:min(len(val), 128)]
	low := make([]byte, 0, 128)
	flush := func() {
		letters += len(low)
		covered += l.cover(low)
		low = low[:0]
	}
	for i, c := range val {
		if !isLetter(c) {
			flush()
			continue
		}
		if isUpper(c) && i > 0 && isLower(val[i-1]) {
			flush()
		}
		low = append(low, c|0x20)
	}
	flush()
	return covered, letters
}

// cover gives how many of the letters lie in words that do not overlap, at most.
func (l *lexicon) cover(low []byte) int {
	if len(low) < minWord {
		return 0
	}
	var best [129]int
	for i := 1; i <= len(low); i++ {
		best[i] = best[i-1]
		for n := minWord; n <= min(maxWord, i); n++ {
			if best[i-n]+n > best[i] && l.words[string(low[i-n:i])] {
				best[i] = best[i-n] + n
			}
		}
	}
	return best[len(low)]
}

// likeChance is how much the pairs of neighbouring letters look like words, in bits
// per pair: above 0 more than random letters, below less. pairs is how many there are.
func likeChance(val []byte) (bits float64, pairs int) {
	l := lex()
	for i := 1; i < min(len(val), 128); i++ {
		a, b := val[i-1], val[i]
		if isLetter(a) && isLetter(b) {
			bits += float64(l.pairs[(a|0x20)-'a'][(b|0x20)-'a'])
			pairs++
		}
	}
	if pairs > 0 {
		bits /= float64(pairs)
	}
	return bits, pairs
}

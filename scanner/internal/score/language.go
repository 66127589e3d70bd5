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
	// nodes are the beginnings of words; of each, next is where the node of one
	// letter more stands, 0 where no word goes on so.
	nodes []node
	// pairs is log2 of how much more often a pair of letters stands in words than
	// in random text.
	pairs [26][26]float32
}

type node struct {
	next [26]uint16
	word bool
}

const (
	minWord = 3
	maxWord = 14
)

// lex is read when the first value asks for it.
var lex = sync.OnceValue(func() *lexicon {
	l := &lexicon{nodes: make([]node, 1, 21_000)}
	var count [26][26]float64
	total := 0.0
	for _, text := range []string{wordsText, namesText} {
		for w := range strings.SplitSeq(text, "\n") {
			if len(w) < minWord {
				continue
			}
			l.put(w)
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

func (l *lexicon) put(w string) {
	at := uint16(0)
	for i := range len(w) {
		to := l.nodes[at].next[w[i]-'a']
		if to == 0 {
			to = uint16(len(l.nodes))
			l.nodes = append(l.nodes, node{})
			l.nodes[at].next[w[i]-'a'] = to
		}
		at = to
	}
	l.nodes[at].word = true
}

// has reports whether w, of small letters, is a word.
func (l *lexicon) has(w string) bool {
	at := uint16(0)
	for i := range len(w) {
		if at = l.nodes[at].next[w[i]-'a']; at == 0 {
			return false
		}
	}
	return l.nodes[at].word
}

// cover gives how many of the letters lie in words that do not overlap, at most.
func (l *lexicon) cover(low []byte) int {
	if len(low) < minWord {
		return 0
	}
	var best [129]int // of the letters before each
	for i := range low {
		best[i+1] = max(best[i+1], best[i])
		at := uint16(0)
		for j := i; j < min(len(low), i+maxWord); j++ {
			if at = l.nodes[at].next[low[j]-'a']; at == 0 {
				break
			}
			if l.nodes[at].word {
				best[j+1] = max(best[j+1], best[i]+j+1-i)
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

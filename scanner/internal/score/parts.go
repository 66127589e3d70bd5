package score

import "math/bits"

// parts tells which of at most 64 strings of two bytes or more a text holds. Most
// texts hold none, which two look-ups a byte tell.
type parts struct {
	words         []string
	first, second [256]uint64 // bit i: words[i] has that byte first, or second
}

func partsOf(words ...string) *parts {
	if len(words) > 64 {
		panic("score: more than 64 parts")
	}
	p := &parts{words: words}
	for i, w := range words {
		p.first[w[0]] |= 1 << i
		p.second[w[1]] |= 1 << i
	}
	return p
}

// in gives a bit for each of the strings that text holds.
func (p *parts) in(text []byte) (held uint64) {
	for i := range len(text) - 1 {
		for may := p.first[text[i]] & p.second[text[i+1]] &^ held; may != 0; may &= may - 1 {
			n := bits.TrailingZeros64(may)
			if w := p.words[n]; len(text)-i >= len(w) && string(text[i:i+len(w)]) == w {
				held |= 1 << n
			}
		}
	}
	return held
}

// prefixes tells whether a text begins with one of some strings, none of which begins
// another.
type prefixes struct {
	words []string
	first [256]bool
}

func prefixesOf(words ...string) *prefixes {
	p := &prefixes{words: words}
	for _, w := range words {
		p.first[w[0]] = true
	}
	return p
}

// of gives the length of the one that text begins with, or 0.
func (p *prefixes) of(text []byte) int {
	if len(text) == 0 || !p.first[text[0]] {
		return 0
	}
	for _, w := range p.words {
		if len(text) >= len(w) && string(text[:len(w)]) == w {
			return len(w)
		}
	}
	return 0
}

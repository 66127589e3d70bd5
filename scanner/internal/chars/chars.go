// Package chars looks at the bytes of a secret and at the one before it.
//
// It knows no rules and nothing of texts beyond what it is given. Start reading at
// Entropy.
package chars

import (
	"bytes"
	"math"
	"math/bits"
	"sync"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/quench-dev/quench/scanner/internal/keywords"
)

// Before is the byte that a token at s must not be the continuation of, or -1.
func Before(buf []byte, s int) int {
	if s == 0 || endsEscape(buf[:s]) {
		return -1
	}
	return int(buf[s-1])
}

// endsEscape reports whether b ends with \n, \r or \t written out, as JSON and
// most languages do: its letter is no part of a token that follows.
func endsEscape(b []byte) bool {
	n := len(b)
	return n >= 2 && b[n-2] == '\\' && (b[n-1] == 'n' || b[n-1] == 'r' || b[n-1] == 't')
}

// StopWord is the first of stop that sec holds, without regard to case, or "".
func StopWord(sec []byte, stop []string) string {
	if len(stop) == 0 {
		return ""
	}
	low := keywords.Lower(sec)
	for _, w := range stop {
		if bytes.Contains(low, keywords.Lower([]byte(w))) {
			return w
		}
	}
	return ""
}

// Entropy is the Shannon entropy of b's byte distribution, in bits per byte.
func Entropy(b []byte) float64 {
	if len(b) == 0 {
		return 0
	}
	var count [256]int
	var set [4]uint64
	for _, c := range b {
		count[c]++
		set[c/64] |= 1 << (c % 64)
	}
	var table *[tabled + 1]float64
	if len(b) <= tabled {
		table = &parts()[len(b)]
	}
	h := 0.0
	for i, x := range set {
		for ; x != 0; x &= x - 1 {
			k := count[i*64+bits.TrailingZeros64(x)]
			if table != nil {
				h -= table[k]
			} else {
				h -= part(k, len(b))
			}
		}
	}
	return h
}

// UTF16Len counts the UTF-16 code units of b; a byte that is not UTF-8 is read as
// one character.
func UTF16Len(b []byte) int {
	n := 0
	for len(b) > 0 {
		r, size := utf8.DecodeRune(b)
		n += max(1, utf16.RuneLen(r))
		b = b[size:]
	}
	return n
}

// part is what a byte that stands k times in n adds to the entropy, negated.
func part(k, n int) float64 {
	p := float64(k) / float64(n)
	return p * math.Log2(p)
}

// tabled is the longest text whose parts are looked up: nearly every secret's.
const tabled = 64

var parts = sync.OnceValue(func() *[tabled + 1][tabled + 1]float64 {
	t := new([tabled + 1][tabled + 1]float64)
	for n := range t {
		for k := 1; k <= n; k++ {
			t[n][k] = part(k, n)
		}
	}
	return t
})

// Line gives the span of a line, counted from 1, without its line feed.
func Line(b []byte, line int) (lo, hi int) {
	for n := 1; n < line && lo < len(b); lo++ {
		if b[lo] == '\n' {
			n++
		}
	}
	for hi = lo; hi < len(b) && b[hi] != '\n'; hi++ {
	}
	return lo, hi
}

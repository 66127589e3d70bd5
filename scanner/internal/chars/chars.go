// Package chars looks at the bytes of a secret and at the one before it.
//
// It knows no rules and nothing of texts beyond what it is given. Start reading at
// Entropy.
package chars

import (
	"bytes"
	"math"
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
	for _, c := range b {
		count[c]++
	}
	h, n := 0.0, float64(len(b))
	for _, k := range count {
		if k > 0 {
			p := float64(k) / n
			h -= p * math.Log2(p)
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

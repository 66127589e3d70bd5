// Package values knows what the bytes of a token may be, and how they are drawn.
//
// It sees values and keeps none. It does not know whose a token is, nor how it is
// stored. Start reading at Check.
package values

import (
	"crypto/rand"
	"fmt"

	"github.com/quench-dev/quench/registry/bound"
)

const (
	// Min is the shortest value that may be imported, in bytes. Shorter ones are
	// found by chance: in a terabyte of text there are 2^40 places, while 16 hex
	// characters, the weakest common form, have 2^64 values.
	Min = 16
	// Max is the longest one; the scanner cuts no longer candidates.
	Max = 4096
	// minDistinct characters must differ in an imported value: "0000000000000000"
	// stands in every second file, and finding it would revoke something.
	minDistinct = 4
)

// Check says why b cannot be a token, without showing it.
func Check(b []byte) error {
	if len(b) < Min {
		return fmt.Errorf("%w: the value has %d characters and needs at least %d: shorter ones are found by chance", bound.ErrInvalid, len(b), Min)
	}
	if len(b) > Max {
		return fmt.Errorf("%w: the value has %d bytes, at most %d are looked for in text", bound.ErrInvalid, len(b), Max)
	}
	var seen [256]bool
	distinct := 0
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%w: byte %d of the value is a space, a control character or not ASCII; a token has none", bound.ErrInvalid, i+1)
		}
		if !seen[c] {
			seen[c], distinct = true, distinct+1
		}
	}
	if distinct < minDistinct {
		return fmt.Errorf("%w: the value has %d different characters and needs at least %d: such text is everywhere", bound.ErrInvalid, distinct, minDistinct)
	}
	return nil
}

// Alphabet is what Random draws from.
const Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// Random is n random characters, each of 5.95 bits.
func Random(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, 2*n)
	for {
		rand.Read(buf)
		for _, c := range buf {
			if c >= 4*62 { // the remainder would make some characters likelier
				continue
			}
			if out = append(out, Alphabet[c%62]); len(out) == n {
				return string(out)
			}
		}
	}
}

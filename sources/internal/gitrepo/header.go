package gitrepo

import (
	"crypto/sha1"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
)

// maxHeader is how many lines a header has at most for some of them to have an id:
// which they are is found by trying. Two or three is usual.
const maxHeader = 10

// HeaderID names some lines of a header of a commit or tag, as HeaderLines gives
// them; zero when there are none, or too many to name them.
func HeaderID(head, text []byte) plumbing.Hash {
	if n := len(slices.Collect(HeaderLines(head))); n > maxHeader || len(text) == 0 {
		return plumbing.ZeroHash
	}
	return sha1.Sum(append([]byte("lines of a header\x00"), text...))
}

// Header gives the lines, of the header of a commit or tag, that have an id.
func (s *Store) Header(of, id plumbing.Hash) ([]byte, error) {
	_, data, err := s.ReadAny(of)
	if err != nil {
		return nil, err
	}
	head, _ := cutMessage(data)
	lines := slices.Collect(HeaderLines(head))
	for set := 1; len(lines) <= maxHeader && set < 1<<len(lines); set++ {
		var text []byte
		for i, line := range lines {
			if set>>i&1 == 1 {
				text = append(append(text, line...), '\n')
			}
		}
		if HeaderID(head, text) == id {
			return text, nil
		}
	}
	return nil, fmt.Errorf("%w: %s has another header", ErrCorrupt, of)
}

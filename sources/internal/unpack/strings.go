package unpack

import (
	"io"

	"github.com/quench-dev/quench/sources/internal/textruns"
)

// strings is entry for binary content that has texts in it: each becomes a line. What
// is no such content, as a picture, is taken on as it is.
func (w *walker) strings(prefix, name string, size int64, r io.Reader, depth int) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	path, s := prefix+CleanName(name), w.sniff(r)
	switch k := KindOf(s.head); {
	case k == Binary && !hasMagic(s.head):
	case k.Wide() && k != UTF16LE: // a mark by chance, as property sets begin with
	default:
		return w.content(path, size, s, depth, nil)
	}
	if s.err != nil && len(s.head) == 0 {
		return w.skip(path, s.err)
	}
	return w.give(Entry{Path: path, Size: -1, R: textruns.NewReader(s.r), Extracted: true})
}

// hasMagic reports whether content is of a known kind.
func hasMagic(head []byte) bool {
	for _, m := range magics {
		if len(head) >= len(m.magic) && string(head[:len(m.magic)]) == m.magic {
			return true
		}
	}
	return false
}

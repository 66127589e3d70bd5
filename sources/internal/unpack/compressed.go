package unpack

import (
	"bufio"
	"compress/bzip2"
	"compress/gzip"
	"io"
)

func (w *walker) gzip(in Input, prefix string, depth int) error {
	// All members, as gunzip reads them.
	r, err := gzip.NewReader(bufio.NewReaderSize(in.R, 32<<10))
	if err != nil {
		return err
	}
	return w.compressed(in, prefix, depth, r)
}

func (w *walker) bzip2(in Input, prefix string, depth int) error {
	return w.compressed(in, prefix, depth, bzip2.NewReader(bufio.NewReaderSize(in.R, 32<<10)))
}

// compressed takes on the one file in a compressed one. A tar in it is the same
// archive to people: it is no level of its own.
func (w *walker) compressed(in Input, prefix string, depth int, r io.Reader) error {
	s := w.sniff(r)
	if s.err != nil && len(s.head) == 0 {
		return s.err
	}
	if KindOf(s.head) == Tar {
		return w.tar(Input{Name: innerName(in.Name), R: s.r, Size: -1}, prefix, depth)
	}
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	return w.content(prefix+innerName(in.Name), -1, s, depth, nil)
}

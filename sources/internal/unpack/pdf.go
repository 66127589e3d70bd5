package unpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/quench-dev/quench/sources/internal/pdftext"
)

// pdf gives the text of each page of a PDF, and what else in it is text.
func (w *walker) pdf(in Input, prefix string, depth int) error {
	data, err := w.buffer(in.R)
	if err != nil {
		return err
	}
	err = pdftext.Read(data, pdfSink{w, prefix, depth})
	switch {
	case errors.Is(err, pdftext.ErrEncrypted):
		return ErrEncrypted
	case errors.Is(err, pdftext.ErrMalformed):
		return ErrBinary // it only began as one
	}
	return err
}

// pdfSink takes what pdftext finds to the walker.
type pdfSink struct {
	w      *walker
	prefix string
	depth  int
}

func (s pdfSink) Text(name string, text []byte) error { return s.w.text(s.prefix, name, text) }

func (s pdfSink) File(name string, r io.Reader) error {
	return s.w.entry(s.prefix, name, -1, r, s.depth)
}

func (s pdfSink) Unread(name string) error {
	return s.w.skip(s.prefix+name, fmt.Errorf("%w: text whose fonts do not say what they draw", ErrBinary))
}

func (s pdfSink) Spend(n int) error {
	err := s.w.add(n)
	if err == nil && n == 0 {
		err = s.w.check()
	}
	if err != nil {
		s.w.fatal = err
	}
	return err
}

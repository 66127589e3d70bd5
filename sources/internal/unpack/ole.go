package unpack

import (
	"bytes"
	"errors"
	"io"
	"iter"
	"path"
	"strings"

	"github.com/quench-dev/quench/sources/internal/cfb"
	"github.com/quench-dev/quench/sources/internal/msoffice"
)

// ole gives the streams of a compound file: those that are texts or archives as any
// entry, of the others the texts in them. Where the text of a document of Office
// lies in its streams needs no table of pieces: it stands there in the order written.
func (w *walker) ole(in Input, prefix string, depth int) error {
	if err := w.hold(cfb.Memory(in.Size)); err != nil {
		return err
	}
	f, err := cfb.Open(in.At, in.Size)
	if err != nil {
		return err
	}
	for _, s := range f.Streams {
		if err := w.stream(f, s, prefix, depth); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) stream(f *cfb.File, s cfb.Stream, prefix string, depth int) error {
	r := f.Reader(s)
	switch path.Base(s.Path) {
	case "EncryptedPackage": // [MS-OFFCRYPTO] 2.3.4.4
		return w.skip(prefix+CleanName(s.Path), ErrEncrypted)
	case "WordDocument":
		if msoffice.EncryptedWord(f.Reader(s)) {
			return w.skip(prefix+CleanName(s.Path), ErrEncrypted)
		}
	case "Workbook", "Book":
		return w.workbook(r, prefix, s.Path)
	}
	if base := path.Base(s.Path); strings.HasPrefix(base, "__substg1.0_") && strings.HasSuffix(base, "001F") {
		return w.property(r, prefix, s.Path)
	}
	if path.Base(path.Dir(s.Path)) == "VBA" && s.Size <= msoffice.MaxMacro {
		data, err := w.buffer(&outlet{w: w, r: r})
		if err != nil {
			return w.skip(prefix+CleanName(s.Path), err)
		}
		if text := msoffice.Macro(data); text != nil {
			return w.text(prefix, s.Path, text)
		}
		r = bytes.NewReader(data)
	}
	return w.strings(prefix, s.Path, s.Size, r, depth)
}

// property gives a text of a mail, which its name says to be UTF-16 ([MS-OXMSG] 2.1.3).
func (w *walker) property(r io.Reader, prefix, name string) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	return w.give(Entry{Path: prefix + CleanName(name), Size: -1, R: Decode(UTF16LE, &outlet{w: w, r: r}), Extracted: true})
}

// workbook gives the texts of a workbook of Excel ([MS-XLS]).
func (w *walker) workbook(r io.Reader, prefix, name string) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	next, stop := iter.Pull2(msoffice.Workbook(&outlet{w: w, r: r}))
	defer stop()
	return w.give(Entry{Path: prefix + CleanName(name), Size: -1, R: &pulled{w: w, next: next}, Extracted: true})
}

// pulled reads pieces, and then the error that one of them has.
type pulled struct {
	w    *walker
	next func() ([]byte, error, bool)
	have []byte
	err  error
}

func (p *pulled) Read(b []byte) (int, error) {
	for len(p.have) == 0 {
		if p.err != nil {
			return 0, p.err
		}
		text, err, ok := p.next()
		switch p.have = text; {
		case !ok:
			p.err = io.EOF
		case errors.Is(err, msoffice.ErrEncrypted):
			p.err = ErrEncrypted
		case err != nil:
			p.err = p.w.corrupt(err)
		}
	}
	n := copy(b, p.have)
	p.have = p.have[n:]
	return n, nil
}

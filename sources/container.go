package sources

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/quench-dev/quench/sources/internal/lfs"
	"github.com/quench-dev/quench/sources/internal/unpack"
)

// ErrBinary is the cause in the *SkipError of an item whose content is of a kind
// that holds no text.
var ErrBinary = unpack.ErrBinary

// ArchiveOptions are the limits on archives. The zero value has the defaults; a
// Depth of less than 0 unpacks none, and they are binary content then.
type ArchiveOptions = unpack.Options

// The defaults of ArchiveOptions.
const (
	DefaultArchiveDepth = unpack.DefaultDepth
	DefaultArchiveSize  = unpack.DefaultMaxSize
)

// Container is implemented by what Item.Open gives where the item turns out to be an
// archive, a compressed file or a document: not its bytes are to be read, which
// ends in a *SkipError, but what lies in it.
type Container interface {
	io.ReadCloser
	// Unpack calls yield for each text in it and each thing passed over, with
	// origins that follow from that of the item which was opened. An item is opened
	// and closed before yield returns, or not at all. It may be called once.
	//
	// archives counts those that were opened, this one and those in it. The error is
	// yield's or ctx's as it is, or a *SkipError that tells why not all was given.
	Unpack(ctx context.Context, of Origin, yield func(Item) error) (archives int, err error)
}

// LabelExtracted marks an item whose text was put together from the parts of a
// document: its lines are those of the text, not of the bytes stored.
const LabelExtracted = "extracted"

// opened reads the head of rc and gives its text, or a Container, or refuses it as
// binary, having closed it. What is read of rc is all of it, from the start.
func opened(rc io.ReadCloser, o ArchiveOptions) (io.ReadCloser, error) {
	head := make([]byte, unpack.SniffLen)
	n, err := io.ReadFull(rc, head)
	head = head[:n]
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF && n == 0 {
		rc.Close()
		return nil, err
	}
	if err == io.ErrUnexpectedEOF {
		err = io.EOF
	}
	if lfs.IsPointer(head) {
		rc.Close()
		return nil, &SkipError{Reason: SkipLFS, Err: lfs.ErrPointer}
	}
	return asKind(unpack.KindOf(head), &headed{head: head, rest: rc, err: err}, o)
}

func asKind(k unpack.Kind, h *headed, o ArchiveOptions) (io.ReadCloser, error) {
	switch {
	case k == unpack.Text:
		return h, nil
	case k.Wide():
		return &decoded{unpack.Decode(k, h), h}, nil
	case !k.Archive() || o.Depth < 0:
		h.Close()
		return nil, &SkipError{Reason: SkipBinary, Err: ErrBinary}
	}
	return &container{headed: h, kind: k, o: o}, nil
}

// plainText reports whether what begins with head is read as it is; other content
// is binary, or to be opened.
func plainText(head []byte, o ArchiveOptions) (text, binary bool) {
	k := unpack.KindOf(head)
	return k == unpack.Text, k == unpack.Binary || k.Archive() && o.Depth < 0
}

// headed gives the head that was read already, then what follows, or the error
// that ended the head.
type headed struct {
	head []byte
	rest io.ReadCloser
	err  error
}

func (h *headed) Read(p []byte) (int, error) {
	if len(h.head) > 0 {
		n := copy(p, h.head)
		h.head = h.head[n:]
		return n, nil
	}
	if h.err != nil {
		return 0, h.err
	}
	return h.rest.Read(p)
}

func (h *headed) Close() error { return h.rest.Close() }

// random gives access to all of it in any order, where it is a file.
func (h *headed) random() (io.ReaderAt, int64, bool) {
	var f *os.File
	switch r := h.rest.(type) {
	case *os.File:
		f = r
	case *fileReader:
		f = r.File
	default:
		return nil, 0, false
	}
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, 0, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, false
	}
	// A file on standard input is read from where it stood.
	at -= int64(len(h.head))
	return io.NewSectionReader(f, at, info.Size()-at), info.Size() - at, true
}

// decoded is a text that is stored in another encoding.
type decoded struct {
	io.Reader
	io.Closer
}

type container struct {
	headed *headed
	kind   unpack.Kind
	o      ArchiveOptions
}

// Read implements io.Reader for those who know no containers.
func (c *container) Read([]byte) (int, error) {
	return 0, &SkipError{Reason: SkipBinary, Err: ErrBinary}
}

func (c *container) Close() error { return c.headed.Close() }

// Unpack implements Container.
func (c *container) Unpack(ctx context.Context, of Origin, yield func(Item) error) (int, error) {
	name := of.Path
	if name == "" {
		name = of.Root
	}
	in := unpack.Input{Name: name, R: c.headed, Size: -1, Kind: c.kind}
	if at, size, ok := c.headed.random(); ok {
		in.At, in.Size = at, size
	} else if len(c.headed.head) > 0 && c.headed.err == io.EOF {
		in.At, in.Size = bytes.NewReader(c.headed.head), int64(len(c.headed.head))
	}
	var given error
	archives, err := unpack.Walk(ctx, in, c.o, func(e unpack.Entry) error {
		given = yield(inside(e, of, name))
		return given
	})
	if err == nil || err == given || ctx.Err() != nil {
		return archives, err
	}
	return archives, &SkipError{Reason: entryReason(err), Err: err}
}

// inside is the item of an entry.
func inside(e unpack.Entry, of Origin, name string) Item {
	of.Path, of.Entry = name+"!/"+e.Path, e.Path
	if e.Err != nil {
		return Item{Origin: of, Size: -1, Skip: &Skip{Reason: entryReason(e.Err), Err: e.Err}}
	}
	if e.Extracted {
		of.Labels = append(slices.Clip(of.Labels), LabelExtracted)
	}
	return Item{Origin: of, Size: e.Size, Open: func(ctx context.Context) (io.ReadCloser, error) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		return io.NopCloser(entryReader{e.R}), nil
	}}
}

// entryReader tells a read that fails as a SkipError.
type entryReader struct{ r io.Reader }

func (e entryReader) Read(p []byte) (int, error) {
	n, err := e.r.Read(p)
	if err != nil && err != io.EOF && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		err = &SkipError{Reason: entryReason(err), Err: err}
	}
	return n, err
}

// entryReason classifies what unpacking said. What is encrypted is not leaked, and
// nobody without the password can read it: it is told, and a scan without it is
// complete.
func entryReason(err error) Reason {
	for _, c := range []struct {
		err    error
		reason Reason
	}{
		{unpack.ErrBinary, SkipBinary}, {unpack.ErrEncrypted, SkipEncrypted}, {unpack.ErrChosen, SkipLimit}, {unpack.ErrTooLarge, SkipTooLarge},
		{unpack.ErrFormat, SkipFormat}, {unpack.ErrLink, SkipSymlink}, {unpack.ErrSpecial, SkipSpecial},
	} {
		if errors.Is(err, c.err) {
			return c.reason
		}
	}
	return SkipCorrupt
}

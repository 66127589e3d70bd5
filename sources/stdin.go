package sources

import (
	"context"
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/quench-dev/quench/sources/internal/unpack"
)

// errStdinTwice is returned when a live stream is opened a second time.
var errStdinTwice = errors.New("standard input was read already: it can be read once only")

// Stdin is the source of one live item: what r gives, as it arrives. Nothing is
// read before the item is opened, and nothing is held back until EOF, but of what
// begins as an archive does. Binary content that is none is read like text.
//
// Closing the item's reader, or ending the context it was opened with, unblocks
// the one who reads. A Read of r that blocks in the system (a terminal, a quiet
// pipe) cannot be called back; the goroutine in it stays until r gives
// something or the program ends. It holds one buffer and nothing else waits for
// it.
func Stdin(r io.Reader) Source { return &stdinSource{r: r} }

type stdinSource struct {
	r      io.Reader
	o      ArchiveOptions
	opened atomic.Bool
}

func (s *stdinSource) Items(ctx context.Context, yield func(Item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return yield(Item{
		Origin: Origin{Source: "stdin", Root: "-"},
		Size:   -1,
		Open:   s.open,
	})
}

func (s *stdinSource) open(ctx context.Context) (io.ReadCloser, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if s.opened.Swap(true) {
		return nil, errStdinTwice
	}
	if f, ok := s.r.(*os.File); ok {
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			// A read of a file does not wait for anybody, and handing it from one
			// goroutine to another costs a quarter of a scan.
			return s.live(&fileReader{File: f, ctx: ctx}), nil
		}
	}
	pr, pw := io.Pipe()
	go func() {
		// io.Copy into the pipe hands every Read on before it does the next,
		// so a line is seen as soon as it was written.
		_, err := io.CopyBuffer(struct{ io.Writer }{pw}, struct{ io.Reader }{s.r}, make([]byte, pipeSize))
		pw.CloseWithError(err)
	}()
	stop := context.AfterFunc(ctx, func() { pr.CloseWithError(ctx.Err()) })
	return s.live(&stdinReader{PipeReader: pr, ctx: ctx, stop: stop}), nil
}

func (s *stdinSource) live(rc io.ReadCloser) io.ReadCloser {
	if s.o.Depth < 0 {
		return rc
	}
	return &live{ReadCloser: rc, o: s.o}
}

// live is a stream of which nobody knows yet what it is: its bytes are there to be
// read, and as a Container it waits for the first of them and gives either its
// entries or itself.
type live struct {
	io.ReadCloser
	o ArchiveOptions
}

// Unpack implements Container.
func (l *live) Unpack(ctx context.Context, of Origin, yield func(Item) error) (int, error) {
	h := &headed{rest: l.ReadCloser, head: make([]byte, 0, unpack.SniffLen)}
	for h.err == nil && unpack.Undecided(h.head) {
		var n int
		n, h.err = l.Read(h.head[len(h.head):cap(h.head)])
		h.head = h.head[:len(h.head)+n]
	}
	k := unpack.KindOf(h.head)
	if k.Archive() {
		return (&container{headed: h, kind: k, o: l.o}).Unpack(ctx, of, yield)
	}
	var text io.ReadCloser = h
	if k.Wide() {
		text = &decoded{unpack.Decode(k, h), h}
	}
	return 0, yield(Item{Origin: of, Size: -1, Open: func(ctx context.Context) (io.ReadCloser, error) { return text, ctx.Err() }})
}

// pipeSize is what a pipe of Linux holds: no read of one gives more.
const pipeSize = 64 << 10

// fileReader reads a file that somebody else closes.
type fileReader struct {
	*os.File
	ctx context.Context
}

func (r *fileReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.File.Read(p)
}

func (r *fileReader) Close() error { return nil }

type stdinReader struct {
	*io.PipeReader
	ctx  context.Context
	stop func() bool
}

// Read tells a context's end by its own error, not by "read on closed pipe".
func (r *stdinReader) Read(p []byte) (int, error) {
	n, err := r.PipeReader.Read(p)
	if err == io.ErrClosedPipe && r.ctx.Err() != nil {
		err = r.ctx.Err()
	}
	return n, err
}

func (r *stdinReader) Close() error {
	r.stop()
	return r.PipeReader.Close()
}

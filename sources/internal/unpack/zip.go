package unpack

import (
	"archive/zip"
	"bufio"
	"compress/bzip2"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/quench-dev/quench/sources/internal/xmltext"
)

// maxDirectory bounds the directory of a zip, which the library holds in memory, at
// some seven times its size: room for some 200,000 files with the names they have.
const maxDirectory = 24 << 20

// The compression methods beside those of archive/zip (APPNOTE.TXT 4.4.5).
const (
	methodBzip2 = 12
	methodZstd  = 93
	methodXZ    = 95
)

// flagEncrypted is bit 0 of the general purpose flags (APPNOTE.TXT 4.4.4).
const flagEncrypted = 1

func (w *walker) zip(in Input, prefix string, depth int) error {
	dir := &directoryReader{at: in.At, left: maxDirectory}
	z, err := zip.NewReader(dir, in.Size)
	if z == nil || err != nil && err != zip.ErrInsecurePath {
		return err
	}
	dir.left = -1
	z.RegisterDecompressor(methodBzip2, func(r io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(bufio.NewReader(r))) })
	z.RegisterDecompressor(methodZstd, func(r io.Reader) io.ReadCloser {
		d, err := newZstd(r)
		if err != nil {
			return io.NopCloser(failed{err})
		}
		return d.IOReadCloser()
	})
	z.RegisterDecompressor(methodXZ, func(r io.Reader) io.ReadCloser { return io.NopCloser(newXZ(w, r)) })
	var stored uint64
	document := documentParts(z.File)
	for _, f := range z.File {
		var view func(io.Reader) io.Reader
		if document(f.Name) {
			view = xmltext.NewReader
		}
		if err := w.zipEntry(f, prefix, depth, view); err != nil {
			return err
		}
		// Entries that share their bytes are how a small file holds petabytes.
		if stored += f.CompressedSize64; stored > uint64(in.Size) {
			return fmt.Errorf("%w: its entries overlap", ErrCorrupt)
		}
	}
	return nil
}

func (w *walker) zipEntry(f *zip.File, prefix string, depth int, view func(io.Reader) io.Reader) error {
	path := prefix + CleanName(f.Name)
	mode := f.Mode()
	switch {
	case strings.HasSuffix(f.Name, "/"), mode.IsDir():
		return nil
	case f.Flags&flagEncrypted != 0:
		return w.skip(path, ErrEncrypted)
	case mode&fs.ModeSymlink != 0:
		return w.skip(path, ErrLink)
	}
	r, err := f.Open()
	if err == zip.ErrAlgorithm {
		return w.skip(path, fmt.Errorf("%w: compression method %d", ErrFormat, f.Method))
	}
	if err != nil {
		return w.skip(path, fmt.Errorf("%w: %v", ErrCorrupt, err))
	}
	defer r.Close()
	return w.viewed(prefix, f.Name, int64(min(f.UncompressedSize64, 1<<62)), r, depth, view)
}

// failed is a decoder that could not be made.
type failed struct{ err error }

func (f failed) Read([]byte) (int, error) { return 0, f.err }

// directoryReader reads a zip, at most left bytes while its directory is read; it
// is not counted where left is less than 0.
type directoryReader struct {
	at   io.ReaderAt
	left int
}

func (d *directoryReader) ReadAt(p []byte, off int64) (int, error) {
	if d.left >= 0 {
		if d.left -= len(p); d.left < 0 {
			d.left = 0
			return 0, fmt.Errorf("%w: a directory of more than %d bytes", ErrTooLarge, maxDirectory)
		}
	}
	return d.at.ReadAt(p, off)
}

// Package sevenzip reads 7z archives, hostile ones too.
//
// It knows the format (7zFormat.txt of the LZMA SDK) as far as archives of common
// programs use it: files stored, or packed by LZMA, LZMA2, Deflate or bzip2, solid
// or not. What is packed by other methods or filters, and what is encrypted, is told.
// Of the libraries, the one that is kept up allocates by counts that a header of
// thirty bytes states, which ends the program; here every count is held against the
// bytes that are there. Start reading at Walk.
package sevenzip

import (
	"bytes"
	"compress/bzip2"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"unicode/utf16"

	"github.com/ulikunitz/xz/lzma"
)

const methodAES = "\x06\xf1\x07\x01"

// Magic is how every archive begins.
const Magic = "7z\xbc\xaf\x27\x1c"

var (
	// ErrMalformed says that the archive is not what its header promises.
	ErrMalformed = errors.New("malformed 7z archive")
	// ErrEncrypted says that a password is needed.
	ErrEncrypted = errors.New("encrypted 7z archive")
	// ErrMethod says that a packing method is none of those known.
	ErrMethod = errors.New("unsupported 7z method")
	// ErrTooLarge says that a limit was met.
	ErrTooLarge = errors.New("7z archive over a limit")
)

const (
	// maxHeader is that of some 200,000 files with the names they have.
	maxHeader = 16 << 20
	// maxFiles bounds what a header may list, and what is held for it to some 100 MB.
	maxFiles = 1 << 20
	// maxCoders is how many methods lie over one another in a folder: programs use
	// four for executables, one for all else.
	maxCoders = 8
)

// File is one entry.
type File struct {
	Name string
	Dir  bool
	Size uint64
}

// Options say what a walk may use.
type Options struct {
	// MaxDictionary is the largest dictionary of a decoder.
	MaxDictionary uint32
	// Meter is put around all that is unpacked, that of files which are passed over
	// too; nil is nothing.
	Meter func(io.Reader) io.Reader
}

// Walk calls file for each entry in the order of the archive. Its reader gives the
// content until file returns; an error of file ends the walk and is handed back.
// With err there is nothing to read of that entry: err says why.
func Walk(at io.ReaderAt, size int64, o Options, file func(f File, r io.Reader, err error) error) error {
	h, base, err := header(at, size, o)
	if err != nil || h == nil {
		return err
	}
	next := 0 // of h.files
	for ; next < len(h.files) && !h.files[next].stream; next++ {
		if err := file(h.files[next].File, bytes.NewReader(nil), nil); err != nil {
			return err
		}
	}
	for i, f := range h.folders {
		r, broken := h.open(at, size, base, i, o)
		for _, s := range f.files {
			if next == len(h.files) {
				return fmt.Errorf("%w: more streams than files", ErrMalformed)
			}
			e := h.files[next]
			e.Size = s.size
			next++
			var content io.Reader
			if broken == nil {
				content = &checked{r: io.LimitReader(r, int64(s.size)), left: s.size, want: s.crc, known: s.known}
			}
			if err := file(e.File, content, broken); err != nil {
				return err
			}
			if broken == nil {
				// What file did not read lies before the next one.
				if _, err := io.Copy(io.Discard, content); err != nil {
					broken = err
				}
			}
			for ; next < len(h.files) && !h.files[next].stream; next++ {
				if err := file(h.files[next].File, bytes.NewReader(nil), nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// checked tells of content that is shorter than it should be or has another sum.
type checked struct {
	r     io.Reader
	left  uint64
	sum   uint32
	want  uint32
	known bool
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.sum = crc32.Update(c.sum, crc32.IEEETable, p[:n])
	c.left -= uint64(n)
	if err == io.EOF {
		switch {
		case c.left > 0:
			err = io.ErrUnexpectedEOF
		case c.known && c.sum != c.want:
			err = fmt.Errorf("%w: a checksum is wrong", ErrMalformed)
		}
	}
	return n, err
}

// header reads the header, unpacking it where it is packed; nil for an archive
// without one, which is empty. base is where packed streams begin.
func header(at io.ReaderAt, size int64, o Options) (h *archive, base int64, err error) {
	var s [32]byte
	if _, err := at.ReadAt(s[:], 0); err != nil || string(s[:6]) != Magic || crc32.ChecksumIEEE(s[12:32]) != binary.LittleEndian.Uint32(s[8:]) {
		return nil, 0, fmt.Errorf("%w: its first bytes", ErrMalformed)
	}
	const start = 32
	off, n, sum := binary.LittleEndian.Uint64(s[12:]), binary.LittleEndian.Uint64(s[20:]), binary.LittleEndian.Uint32(s[28:])
	if n == 0 {
		return nil, start, nil
	}
	if off > uint64(size-start) || n > uint64(size-start)-off {
		return nil, 0, fmt.Errorf("%w: it ends before its header does", ErrMalformed)
	}
	if n > maxHeader {
		return nil, 0, fmt.Errorf("%w: a header of %d bytes", ErrTooLarge, n)
	}
	data := make([]byte, n)
	if _, err := at.ReadAt(data, start+int64(off)); err != nil {
		return nil, 0, err
	}
	const levels = 4 // a packed header may lead to another; programs write one
	for range levels {
		if crc32.ChecksumIEEE(data) != sum {
			return nil, 0, fmt.Errorf("%w: the checksum of its header is wrong", ErrMalformed)
		}
		p := &parser{b: data}
		h := &archive{}
		switch p.byte() {
		case idHeader:
			h.parse(p)
			return h, start, p.err
		case idEncodedHeader:
			h.streams(p)
		default:
			p.fail("no header")
		}
		if p.err != nil || len(h.folders) != 1 {
			return nil, 0, errors.Join(p.err, fmt.Errorf("%w: its packed header", ErrMalformed))
		}
		f := h.folders[0]
		if f.size() > maxHeader {
			return nil, 0, fmt.Errorf("%w: a header of %d bytes", ErrTooLarge, f.size())
		}
		r, err := h.open(at, size, start, 0, o)
		if err != nil {
			return nil, 0, err
		}
		if data, err = io.ReadAll(io.LimitReader(r, int64(f.size()))); err != nil {
			return nil, 0, fmt.Errorf("%w: its packed header: %v", ErrMalformed, err)
		}
		sum = f.crc
		if !f.known {
			sum = crc32.ChecksumIEEE(data)
		}
	}
	return nil, 0, fmt.Errorf("%w: its header is packed too often", ErrMalformed)
}

// open gives what a folder unpacks to.
func (h *archive) open(at io.ReaderAt, size, base int64, i int, o Options) (io.Reader, error) {
	f := h.folders[i]
	for _, c := range f.coders {
		if c.id == methodAES {
			return nil, ErrEncrypted
		}
	}
	if f.packed != 1 || f.first >= len(h.packs) || len(f.order) != len(f.coders) {
		return nil, fmt.Errorf("%w: several streams in one", ErrMethod)
	}
	p := h.packs[f.first]
	if p.off > uint64(size-base) || p.size > uint64(size-base)-p.off {
		return nil, fmt.Errorf("%w: a stream beyond its end", ErrMalformed)
	}
	var r io.Reader = io.NewSectionReader(at, base+int64(p.off), int64(p.size))
	for _, k := range f.order {
		var err error
		if r, err = f.coders[k].reader(r, f.sizes[k], o); err != nil {
			return nil, err
		}
	}
	if o.Meter != nil {
		r = o.Meter(r)
	}
	return r, nil
}

func (c coder) reader(r io.Reader, size uint64, o Options) (io.Reader, error) {
	tooLarge := func(n uint64) error { return fmt.Errorf("%w: a dictionary of %d bytes", ErrTooLarge, n) }
	switch c.id {
	case "\x00":
		return r, nil
	case "\x03\x01\x01":
		if len(c.props) != 5 {
			return nil, fmt.Errorf("%w: LZMA properties", ErrMalformed)
		}
		if n := binary.LittleEndian.Uint32(c.props[1:]); n > o.MaxDictionary {
			return nil, tooLarge(uint64(n))
		}
		head := binary.LittleEndian.AppendUint64(bytes.Clone(c.props), size)
		return lzma.NewReader(io.MultiReader(bytes.NewReader(head), r))
	case "\x21":
		if len(c.props) != 1 {
			return nil, fmt.Errorf("%w: LZMA2 properties", ErrMalformed)
		}
		n, err := lzma.DecodeDictCap(c.props[0])
		if err != nil {
			return nil, fmt.Errorf("%w: %v", ErrMalformed, err)
		}
		if n > int64(o.MaxDictionary) {
			return nil, tooLarge(uint64(n))
		}
		return lzma.Reader2Config{DictCap: max(int(n), lzma.MinDictCap)}.NewReader2(r)
	case "\x04\x01\x08":
		return flate.NewReader(r), nil
	case "\x04\x02\x02":
		return bzip2.NewReader(r), nil
	}
	return nil, fmt.Errorf("%w: %x", ErrMethod, c.id)
}

// name decodes what is UTF-16 in the header.
func name(units []uint16) string { return string(utf16.Decode(units)) }

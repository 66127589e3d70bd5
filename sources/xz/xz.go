// Package xz reads the xz format with a bound on its memory.
//
// The library that decodes LZMA2 reads it, too, but gives each block the dictionary that
// its header asks for, up to 4 GiB: so the frames around the blocks are read here. It knows
// nothing of where the bytes come from. Start reading at NewReader.
package xz

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"

	"github.com/ulikunitz/xz/lzma"
)

var (
	// ErrFormat says that it is xz of a kind that is not read.
	ErrFormat = errors.New("xz of a kind that is not read")
	// ErrTooLarge says that it asks for more memory than it may have.
	ErrTooLarge = errors.New("xz with too large a dictionary")

	errMalformed = errors.New("xz: malformed frame")
)

// Options of NewReader.
type Options struct {
	// MaxDictionary is the largest dictionary that a block gets, in bytes; 0 means 64 MB,
	// that of xz -9.
	MaxDictionary int
	// Hold, if set, is asked for the memory of each block before it is taken, and told
	// with a negative number that it is given back.
	Hold func(bytes int64) error
}

// NewReader reads what r holds, which is read ahead.
func NewReader(r io.Reader, o Options) *Reader {
	if o.MaxDictionary == 0 {
		o.MaxDictionary = 64 << 20
	}
	return &Reader{r: bufio.NewReaderSize(r, 32<<10), o: o}
}

// Reader reads the streams of an xz file (The .xz File Format 1.2.1).
type Reader struct {
	r     *bufio.Reader
	o     Options
	check int // of the stream: what sums up each block
	in    bool
	block io.Reader
	sum   hash.Hash
	n     *counter // what the block took
	dict  int
}

// counter counts bytes as they are read; the decoder asks for no more than it uses.
type counter struct {
	r *bufio.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// ReadByte keeps the decoder from making a buffered reader of its own.
func (c *counter) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

func (x *Reader) Read(p []byte) (int, error) {
	for {
		if x.block == nil {
			if err := x.next(); err != nil {
				return 0, err
			}
		}
		n, err := x.block.Read(p)
		if x.sum != nil {
			x.sum.Write(p[:n])
		}
		if err == io.EOF {
			if err = x.endBlock(); err == nil && n == 0 {
				continue
			}
		}
		return n, err
	}
}

// next begins the next block; io.EOF is after the last stream.
func (x *Reader) next() error {
	for {
		if !x.in {
			if err := x.stream(); err != nil {
				return err
			}
		}
		size, err := x.r.ReadByte()
		if err != nil {
			return unexpected(err)
		}
		if size != 0 {
			return x.beginBlock(size)
		}
		if err := x.index(); err != nil {
			return err
		}
	}
}

// stream reads a stream header, and the padding before it.
func (x *Reader) stream() error {
	var h [12]byte
	for {
		if _, err := io.ReadFull(x.r, h[:4]); err != nil {
			return err // io.EOF where there is no more
		}
		if h[0]|h[1]|h[2]|h[3] != 0 {
			break
		}
	}
	if _, err := io.ReadFull(x.r, h[4:]); err != nil {
		return unexpected(err)
	}
	if string(h[:7]) != "\xfd7zXZ\x00\x00" || h[7]&0xf0 != 0 || crc32.ChecksumIEEE(h[6:8]) != binary.LittleEndian.Uint32(h[8:]) {
		return errMalformed
	}
	x.check, x.in = int(h[7]), true
	return nil
}

func (x *Reader) beginBlock(size byte) error {
	h := make([]byte, (int(size)+1)*4)
	h[0] = size
	if _, err := io.ReadFull(x.r, h[1:]); err != nil {
		return unexpected(err)
	}
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(h)-4:]) {
		return errMalformed
	}
	flags, rest := body[1], body[2:]
	for _, there := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&there != 0 {
			n, k := binary.Uvarint(rest)
			if k <= 0 || n == 0 {
				return errMalformed
			}
			rest = rest[k:]
		}
	}
	if flags&3 != 0 || len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 {
		return fmt.Errorf("%w: filters beside LZMA2", ErrFormat)
	}
	dict, err := lzma.DecodeDictCap(rest[2])
	if err != nil {
		return err
	}
	if dict > int64(x.o.MaxDictionary) {
		return fmt.Errorf("%w: of %d bytes", ErrTooLarge, dict)
	}
	x.n, x.dict = &counter{r: x.r}, max(int(dict), lzma.MinDictCap)
	if x.o.Hold != nil {
		if err := x.o.Hold(int64(x.dict)); err != nil {
			return err
		}
	}
	if x.block, err = (lzma.Reader2Config{DictCap: x.dict}).NewReader2(x.n); err != nil {
		return err
	}
	switch x.check {
	case 0:
		x.sum = nil
	case 1:
		x.sum = crc32.NewIEEE()
	case 4:
		x.sum = crc64.New(crc64.MakeTable(crc64.ECMA))
	case 10:
		x.sum = sha256.New()
	default:
		return fmt.Errorf("%w: check %d", ErrFormat, x.check)
	}
	return nil
}

// endBlock checks the sum of a block. The stored forms of CRC32 and CRC64 are
// little endian.
func (x *Reader) endBlock() error {
	x.block = nil
	if x.o.Hold != nil {
		if err := x.o.Hold(-int64(x.dict)); err != nil {
			return err
		}
	}
	pad := make([]byte, (4-x.n.n%4)%4)
	if _, err := io.ReadFull(x.r, pad); err != nil {
		return unexpected(err)
	}
	if x.sum == nil {
		return nil
	}
	want := make([]byte, x.sum.Size())
	if _, err := io.ReadFull(x.r, want); err != nil {
		return unexpected(err)
	}
	got := x.sum.Sum(nil)
	for i := range got {
		j := i
		if x.check != 10 {
			j = len(got) - 1 - i
		}
		if got[i] != want[j] {
			return errors.New("xz: the check of a block is wrong")
		}
	}
	return nil
}

// index passes over the index and the footer of a stream, which repeat what the
// blocks said.
func (x *Reader) index() error {
	c := &counter{r: x.r, n: 1} // the byte that announced it
	records, err := binary.ReadUvarint(c)
	if err != nil {
		return unexpected(err)
	}
	for range records {
		for range 2 {
			if _, err := binary.ReadUvarint(c); err != nil {
				return unexpected(err)
			}
		}
	}
	rest := make([]byte, (4-c.n%4)%4+4+12)
	if _, err := io.ReadFull(x.r, rest); err != nil {
		return unexpected(err)
	}
	if string(rest[len(rest)-2:]) != "YZ" {
		return errMalformed
	}
	x.in = false
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

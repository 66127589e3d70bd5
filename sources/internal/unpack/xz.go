package unpack

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

// maxDictionary is the largest dictionary that a decoder gets: that of xz -9. A
// header may ask for 4 GiB, which the library would allocate, so that the frames
// around the compressed blocks are read here.
const maxDictionary = 64 << 20

func (w *walker) xz(in Input, prefix string, depth int) error {
	return w.compressed(in, prefix, depth, newXZ(w, in.R))
}

func newXZ(w *walker, r io.Reader) *xzReader {
	return &xzReader{r: bufio.NewReaderSize(r, 32<<10), w: w}
}

// xzReader reads the streams of an xz file (The .xz File Format 1.2.1).
type xzReader struct {
	r     *bufio.Reader
	w     *walker
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

var errXZ = errors.New("xz: malformed frame")

func (x *xzReader) Read(p []byte) (int, error) {
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
func (x *xzReader) next() error {
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
func (x *xzReader) stream() error {
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
		return errXZ
	}
	x.check, x.in = int(h[7]), true
	return nil
}

func (x *xzReader) beginBlock(size byte) error {
	h := make([]byte, (int(size)+1)*4)
	h[0] = size
	if _, err := io.ReadFull(x.r, h[1:]); err != nil {
		return unexpected(err)
	}
	body := h[:len(h)-4]
	if crc32.ChecksumIEEE(body) != binary.LittleEndian.Uint32(h[len(h)-4:]) {
		return errXZ
	}
	flags, rest := body[1], body[2:]
	for _, there := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&there != 0 {
			n, k := binary.Uvarint(rest)
			if k <= 0 || n == 0 {
				return errXZ
			}
			rest = rest[k:]
		}
	}
	if flags&3 != 0 || len(rest) < 3 || rest[0] != 0x21 || rest[1] != 1 {
		return fmt.Errorf("%w: xz with filters beside LZMA2", ErrFormat)
	}
	dict, err := lzma.DecodeDictCap(rest[2])
	if err != nil {
		return err
	}
	if dict > maxDictionary {
		return fmt.Errorf("%w: a dictionary of %d bytes", ErrTooLarge, dict)
	}
	x.n, x.dict = &counter{r: x.r}, max(int(dict), lzma.MinDictCap)
	if x.block, err = x.w.lzma2(x.n, x.dict); err != nil {
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
		return fmt.Errorf("%w: xz check %d", ErrFormat, x.check)
	}
	return nil
}

// lzma2 makes a decoder, whose dictionary is paid for until it is released.
func (w *walker) lzma2(c io.Reader, dict int) (io.Reader, error) {
	if err := w.hold(int64(dict)); err != nil {
		return nil, err
	}
	return lzma.Reader2Config{DictCap: dict}.NewReader2(c)
}

// endBlock checks the sum of a block. The stored forms of CRC32 and CRC64 are
// little endian.
func (x *xzReader) endBlock() error {
	x.block = nil
	x.w.memory -= int64(x.dict)
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
func (x *xzReader) index() error {
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
		return errXZ
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

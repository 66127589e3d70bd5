package sources

import (
	"bytes"
	"errors"
	"io"
)

// ErrBinary is the cause in the *SkipError of an item whose content is of a kind
// that holds no text.
var ErrBinary = errors.New("binary content")

// sniffLen is how much of an item decides whether it is text: what git looks at
// (buffer_is_binary, FIRST_FEW_BYTES), so that people meet one notion of binary.
const sniffLen = 8000

// magics are the first bytes of formats that can go without a NUL for longer
// than sniffLen. A file's name decides nothing: a text file called logo.png is
// read. Archives and PDFs are here until they are unpacked.
var magics = []string{
	"\x89PNG\r\n\x1a\n", "\xff\xd8\xff", "GIF87a", "GIF89a", "%PDF-",
	"PK\x03\x04", "PK\x05\x06", "\x1f\x8b\x08", "BZh", "\xfd7zXZ\x00", "\x28\xb5\x2f\xfd",
	"7z\xbc\xaf\x27\x1c", "Rar!\x1a\x07", "\x7fELF", "wOFF", "wOF2", "OggS", "ID3\x03", "ID3\x04",
	"\x00\x00\x01\x00", "fLaC", "\x1a\x45\xdf\xa3",
}

// isBinary decides on the first sniffLen bytes. A byte order mark of UTF-16 or
// UTF-32 makes it text, although every ASCII character then brings a NUL.
func isBinary(head []byte) bool {
	head = head[:min(len(head), sniffLen)]
	for _, bom := range [...]string{"\xff\xfe", "\xfe\xff", "\x00\x00\xfe\xff"} {
		if len(head) >= len(bom) && string(head[:len(bom)]) == bom {
			return false
		}
	}
	if bytes.IndexByte(head, 0) >= 0 {
		return true
	}
	for _, m := range magics {
		if len(head) >= len(m) && string(head[:len(m)]) == m {
			return true
		}
	}
	return false
}

// sniffed reads the head of rc and either refuses it as binary, having closed
// it, or gives it back whole.
func sniffed(rc io.ReadCloser) (io.ReadCloser, error) {
	head := make([]byte, sniffLen)
	n, err := io.ReadFull(rc, head)
	head = head[:n]
	switch {
	case isBinary(head):
		rc.Close()
		return nil, &SkipError{Reason: SkipBinary, Err: ErrBinary}
	case err == io.EOF || err == io.ErrUnexpectedEOF:
		return &headed{head: head, rest: rc, err: io.EOF}, nil
	case err != nil && n == 0:
		rc.Close()
		return nil, err
	}
	return &headed{head: head, rest: rc, err: err}, nil
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

package tail

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
)

// headLen is how many first bytes identify a file: a log's first lines hold
// a time, so that two files differ within them.
const headLen = 1024

var errNotRegular = errors.New("not a regular file")

// newID names a file; 65 bits, as many as nobody sees files.
func newID() string { return rand.Text()[:13] }

// headHash identifies a file by its first n bytes: n in two bytes, then half of
// their SHA-256.
func headHash(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	sum := sha256.Sum256(b)
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), sum[:16]...)
}

// hashed is how many bytes a hash is of.
func hashed(head []byte) int {
	if len(head) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16(head))
}

// readHead reads the first bytes of a file, up to headLen.
func readHead(f *os.File, b *[headLen]byte) ([]byte, error) {
	n, err := f.ReadAt(b[:], 0)
	if err == io.EOF {
		err = nil
	}
	return b[:n], err
}

// sameFile reports whether an open file is the one that a position is about.
func sameFile(f *os.File, st fs.FileInfo, p Position) bool {
	if dev, ino := inode(st); dev != p.Dev || ino != p.Ino || st.Size() < p.Offset {
		return false
	}
	n := hashed(p.Head)
	if n == 0 {
		return true
	}
	var b [headLen]byte
	head, err := readHead(f, &b)
	return err == nil && len(head) >= n && bytes.Equal(headHash(head[:n]), p.Head)
}

// still reports whether the file has what was read of it: it was not truncated, nor
// truncated and written again past where we are. What was read before the call is of
// the file that this is about, since a head is written before what follows it. The hash
// grows with the file, up to offset.
func (x *file) still(offset int64) bool {
	var b [headLen]byte
	head, err := readHead(x.f, &b)
	if err != nil {
		return true // an error of reading is no truncation, and told when reading
	}
	n := hashed(x.head)
	if len(head) < n || n > 0 && !bytes.Equal(headHash(head[:n]), x.head) {
		return false
	}
	if st, err := x.f.Stat(); err == nil && st.Size() < offset {
		return false
	}
	if n < headLen && int64(n) < offset {
		x.head = headHash(head[:min(int64(len(head)), offset)])
	}
	return true
}

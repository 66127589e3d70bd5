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
	"path/filepath"
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
	dev, ino := inode(st)
	return dev == p.Dev && ino == p.Ino && sameText(f, st, p)
}

// sameText reports whether an open file begins as the one that a position is about, and
// reaches as far.
func sameText(f *os.File, st fs.FileInfo, p Position) bool {
	if st.Size() < p.Offset {
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
// truncated and written again past where we are, nor does it show another one, see
// reopen. What was read before the call is of
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
	if st, err := x.f.Stat(); err == nil && (st.Size() < offset || !x.is(st)) {
		return false
	}
	if n < headLen && int64(n) < offset {
		x.head = headHash(head[:min(int64(len(head)), offset)])
	}
	return true
}

// is reports whether st is of the inode that the file was opened with.
func (x *file) is(st fs.FileInfo) bool {
	dev, ino := inode(st)
	return dev == x.key.dev && ino == x.key.ino
}

// reopen opens a file anew, at the path it has or another of its folder, and reports
// whether it did. On FUSE an open file shows what others put in its place: its inode is
// that of the name. And where something was unmounted and mounted again what was open
// cannot be read any more. Who reads the file calls it.
func (x *file) reopen(path string) bool {
	if x.key.ino == 0 {
		return false
	}
	names := []string{path}
	if st, err := x.f.Stat(); err == nil && !x.is(st) {
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil {
			return false
		}
		for _, e := range entries {
			if st, err := e.Info(); err == nil && st.Mode().IsRegular() && x.is(st) {
				names = append(names, filepath.Join(filepath.Dir(path), e.Name()))
			}
		}
	}
	p := Position{Identity: Identity{x.key.dev, x.key.ino, x.head}, Offset: x.offset}
	for _, name := range names {
		f, err := openRegular(name)
		if err != nil {
			continue
		}
		if st, err := f.Stat(); err == nil && sameFile(f, st, p) {
			x.f.Close()
			x.f = f
			return true
		}
		f.Close()
	}
	return false
}

// remounted has a file that is followed read on where it is now, on another device with
// the inode and the text that it had: NFS, FUSE, btrfs and others have another number after
// each mount. wait says that this is not known yet.
func (fl *follower) remounted(name string, f *os.File, st fs.FileInfo, key inodeKey) (done, wait bool) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	x := fl.last[name]
	if x == nil || x.ended || x.key.ino != key.ino || x.key.dev == key.dev {
		return false, false
	}
	if x.busy {
		return false, true
	}
	if !sameText(f, st, Position{Identity: Identity{Head: x.head}, Offset: x.offset}) {
		return false, false
	}
	x.f.Close()
	delete(fl.byID, x.key)
	x.f, x.st, x.key = f, st, key
	fl.byID[key] = x
	fl.named(x, name)
	return true, false
}

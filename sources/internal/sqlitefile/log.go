package sqlitefile

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"
)

// LogMagic are the ways a write-ahead log begins ("The WAL File Format" there): by the
// order of bytes in its sums.
var LogMagic = [2]string{"\x37\x7f\x06\x82", "\x37\x7f\x06\x83"}

const (
	logHeader   = 32
	frameHeader = 24
	// frameMemory is what is held of each frame.
	frameMemory = 64
)

// LogMemory is how many bytes OpenLog may hold of a log of the given size.
func LogMemory(size int64) int64 { return size / (512 + frameHeader) * frameMemory }

// OpenLog reads a write-ahead log, whose rows need not be in the database yet. Of each
// page the newest copy counts, of the present log or of what it was before. The
// schema is there where its page is in the log; the rows on pages that no table of
// it leads to are those of one more table, whose columns have no names. Pages that
// are not in the log are no damage: they did not change.
func OpenLog(at io.ReaderAt, size int64) (*DB, error) {
	h := make([]byte, logHeader)
	if _, err := at.ReadAt(h, 0); err != nil {
		return nil, fmt.Errorf("%w: the header of the log: %v", ErrCorrupt, err)
	}
	n := int64(binary.BigEndian.Uint32(h[8:]))
	if magic := string(h[:4]); magic != LogMagic[0] && magic != LogMagic[1] || n < 512 || n > 65536 || n&(n-1) != 0 {
		return nil, fmt.Errorf("%w: the header of the log", ErrCorrupt)
	}
	l := &logPages{at: at, pageSize: n, slot: map[uint32]uint32{}}
	d := &DB{at: l, pageSize: int(n), usable: int(n), pages: 1<<32 - 1, encoding: 1, log: l}
	off := int64(logHeader)
	for ; off+frameHeader+n <= size; off += frameHeader + n {
		if err := l.frame(off, string(h[16:24])); err != nil {
			return nil, err
		}
	}
	err := d.logSchema()
	d.Tables = append(d.Tables, Table{Name: "pages"})
	if err == nil && off < size {
		err = fmt.Errorf("%w: the log is cut", ErrCorrupt)
	}
	return d, err
}

// logSchema reads the schema where it is in the log.
func (d *DB) logSchema() error {
	if d.log.slot[1] == 0 {
		return nil
	}
	b := make([]byte, 100)
	if _, err := d.at.ReadAt(b, 0); err != nil || string(b[:16]) != Magic || int(b[20]) > d.pageSize-480 {
		return fmt.Errorf("%w: the first page in the log", ErrCorrupt)
	}
	d.usable, d.encoding = d.pageSize-int(b[20]), binary.BigEndian.Uint32(b[56:])
	return d.schema()
}

// logPages gives the pages of a database from the frames of its log.
type logPages struct {
	at       io.ReaderAt
	pageSize int64
	slot     map[uint32]uint32 // where in pages a page is, plus one
	pages    []logPage         // as they came first
}

type logPage struct {
	number  uint32
	present bool  // of the present log, and not of what it was before
	at      int64 // of its newest copy
}

// frame takes in the frame at off; salt is that of the present log.
func (l *logPages) frame(off int64, salt string) error {
	var f [frameHeader]byte
	if _, err := l.at.ReadAt(f[:], off); err != nil {
		return fmt.Errorf("%w: a frame of the log: %v", ErrCorrupt, err)
	}
	number, present := binary.BigEndian.Uint32(f[:]), string(f[8:16]) == salt
	if number == 0 {
		return nil
	}
	s := l.slot[number]
	if s == 0 {
		l.pages = append(l.pages, logPage{number: number})
		s = uint32(len(l.pages))
		l.slot[number] = s
	}
	if p := &l.pages[s-1]; present || !p.present {
		p.present, p.at = present, off+frameHeader
	}
	return nil
}

func (l *logPages) ReadAt(p []byte, off int64) (int, error) {
	s := l.slot[uint32(off/l.pageSize)+1]
	if s == 0 {
		return 0, fmt.Errorf("%w: the page is not in the log", ErrCorrupt)
	}
	return l.at.ReadAt(p, l.pages[s-1].at+off%l.pageSize)
}

// rest gives the rows of pages in the log that no table leads to.
func (d *DB) rest() iter.Seq2[fullRow, error] {
	return func(yield func(fullRow, error) bool) {
		w := d.walk(func(fullRow, error) bool { return true })
		w.page(1, 0)
		for _, t := range d.Tables[:len(d.Tables)-1] {
			w.page(t.root, 0)
		}
		on := true
		w.yield = func(r fullRow, err error) bool {
			on = yield(r, err)
			return on
		}
		var kind [1]byte
		for _, p := range d.log.pages {
			if w.saw(p.number) {
				continue
			}
			if _, err := d.log.at.ReadAt(kind[:], p.at); err != nil || kind[0] != leafTable {
				continue
			}
			if w.page(p.number, 0); !on {
				return
			}
		}
	}
}

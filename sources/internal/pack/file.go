package pack

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// file is a file that is read at random: mapped into memory where the system can,
// by reads otherwise. It is immutable, and safe for concurrent use.
type file struct {
	size int64
	data []byte   // the mapping, or nil
	f    *os.File // where there is none
}

// noMap makes every file one that is read: for tests.
var noMap = false

func openFile(name string) (*file, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("not a regular file")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	m := &file{size: info.Size(), f: f}
	if !noMap && m.size > 0 {
		if data, err := mapFile(f, m.size); err == nil {
			f.Close() // the mapping stays
			m.data, m.f = data, nil
		}
	}
	return m, nil
}

// at gives the bytes from off on, up to n of them: of the mapping, or read into
// *buf, which grows as needed. Fewer are given only at the file's end.
func (m *file) at(off, n int64, buf *[]byte) ([]byte, error) {
	if off < 0 || off > m.size {
		return nil, fmt.Errorf("%w: offset %d lies outside the file", ErrCorrupt, off)
	}
	n = min(n, m.size-off)
	if m.data != nil {
		return m.data[off : off+n : off+n], nil
	}
	if int64(cap(*buf)) < n {
		*buf = make([]byte, n)
	}
	b := (*buf)[:n]
	k, err := m.f.ReadAt(b, off)
	if err == io.EOF {
		err = nil
	}
	return b[:k], err
}

// whole gives all of the file, for indexes.
func (m *file) whole() ([]byte, error) {
	var buf []byte
	b, err := m.at(0, m.size, &buf)
	if err == nil && int64(len(b)) != m.size {
		err = io.ErrUnexpectedEOF
	}
	return b, err
}

func (m *file) close() {
	if m.f != nil {
		m.f.Close()
	}
	if m.data != nil {
		unmapFile(m.data)
		m.data = nil
		m.size = 0
	}
}

// guarded runs fn and turns a fault in a mapping, which a file that was cut short
// leads to, and any other panic on hostile bytes into corruption. The value of a
// panic may quote content, so only its type is told.
func guarded(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w (%T)", ErrCorrupt, p)
		}
	}()
	return fn()
}

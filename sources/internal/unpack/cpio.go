package unpack

import (
	"fmt"
	"io"
	"strconv"
)

// The headers of cpio that are read: the portable one of POSIX.1-1997 ("odc"), whose
// numbers are octal, and those of System V ("newc", and the same with sums), whose
// numbers have eight hexadecimal digits. Initial RAM disks and the payload of RPM
// packages are of the second. The binary one of the 1970s is not read.
const (
	cpioPortable = "070707"
	cpioNew      = "070701"
	cpioSum      = "070702"

	cpioPortableHeader = 76
	cpioNewHeader      = 110

	cpioEnd = "TRAILER!!!"
)

// maxCpioName is PATH_MAX of Linux, and what writers bound names by.
const maxCpioName = 4096

// The part of a mode that tells what a file is.
const (
	cpioType    = 0o170000
	cpioRegular = 0o100000
	cpioDir     = 0o040000
	cpioSymlink = 0o120000
)

// cpioFile is what a header says of a file.
type cpioFile struct {
	mode, name, size int64
	pad              int64 // what numbers, names and bodies are multiples of
	header           int64
}

// isCpio reports whether a whole header stands there, of numbers alone: six digits
// may begin a text.
func isCpio(head []byte) bool {
	_, err := cpioHead(head)
	return err == nil
}

// cpioHead reads a header.
func cpioHead(h []byte) (f cpioFile, err error) {
	number := func(from, digits, base int) (n int64) {
		if err == nil {
			n, err = strconv.ParseInt(string(h[from:from+digits]), base, 64)
			if n < 0 || h[from] == '+' || h[from] == '-' {
				err = strconv.ErrSyntax
			}
		}
		return n
	}
	if len(h) < len(cpioNew) {
		return f, ErrCorrupt
	}
	switch magic := string(h[:len(cpioNew)]); {
	case magic == cpioPortable && len(h) >= cpioPortableHeader:
		for from := 6; from < 48; from += 6 {
			number(from, 6, 8)
		}
		f = cpioFile{mode: number(18, 6, 8), name: number(59, 6, 8), size: number(65, 11, 8), pad: 1, header: cpioPortableHeader}
	case (magic == cpioNew || magic == cpioSum) && len(h) >= cpioNewHeader:
		for from := 6; from < cpioNewHeader; from += 8 {
			number(from, 8, 16)
		}
		f = cpioFile{mode: number(14, 8, 16), name: number(94, 8, 16), size: number(54, 8, 16), pad: 4, header: cpioNewHeader}
	default:
		return f, fmt.Errorf("%w: no header of a file", ErrCorrupt)
	}
	if err != nil || f.name < 1 || f.name > maxCpioName {
		return f, fmt.Errorf("%w: no header of a file", ErrCorrupt)
	}
	return f, nil
}

// cpio reads the archives that follow one another too, as initial RAM disks have
// them: after the end of one come zeros, and then the next.
func (w *walker) cpio(in Input, prefix string, depth int) error {
	for {
		h, err := nextCpio(in.R)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		f, err := cpioHead(h)
		if err != nil {
			return err
		}
		b := make([]byte, f.name+padding(f.header+f.name, f.pad))
		if _, err := io.ReadFull(in.R, b); err != nil {
			return unexpected(err)
		}
		name := string(b[:f.name-1]) // ends in a NUL
		if name == cpioEnd {
			continue
		}
		body := &io.LimitedReader{R: in.R, N: f.size}
		switch f.mode & cpioType {
		case cpioRegular:
			if f.size > 0 || f.pad == 1 { // of a file's links, newc gives the last one its bytes
				err = w.entry(prefix, name, f.size, body, depth)
			}
		case cpioDir:
		case cpioSymlink:
			err = w.skip(prefix+CleanName(name), ErrLink)
		default:
			err = w.skip(prefix+CleanName(name), ErrSpecial)
		}
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, body); err != nil {
			return err
		}
		if body.N > 0 {
			return io.ErrUnexpectedEOF
		}
		if _, err := io.CopyN(io.Discard, in.R, padding(f.size, f.pad)); err != nil {
			return unexpected(err)
		}
	}
}

// nextCpio reads a header; io.EOF where there is none, but zeros at most.
func nextCpio(r io.Reader) ([]byte, error) {
	h := make([]byte, cpioNewHeader)
	for {
		if _, err := io.ReadFull(r, h[:1]); err != nil {
			return nil, err
		}
		if h[0] != 0 {
			break
		}
	}
	if _, err := io.ReadFull(r, h[1:cpioPortableHeader]); err != nil {
		return nil, unexpected(err)
	}
	if string(h[:len(cpioPortable)]) == cpioPortable {
		return h[:cpioPortableHeader], nil
	}
	_, err := io.ReadFull(r, h[cpioPortableHeader:])
	return h, unexpected(err)
}

func padding(n, of int64) int64 { return (of - n%of) % of }

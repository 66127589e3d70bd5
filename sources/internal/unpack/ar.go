package unpack

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// arMagic begins an archive of ar, which packages of Debian are; arEnd ends the header
// of each of its members.
const (
	arMagic = "!<arch>\n"
	arEnd   = "`\n"
)

const (
	arHeader = 60
	// maxArNames bounds the table of long names, and a name in front of its member: no
	// archive of real objects has a longer one.
	maxArNames = 1 << 20
)

// isAr reports whether a member's header follows the magic, or nothing.
func isAr(head []byte) bool {
	h := head[len(arMagic):]
	return len(h) == 0 || len(h) >= arHeader && string(h[arHeader-2:arHeader]) == arEnd
}

// ar reads the common form, the table of long names that GNU puts in front, and the
// names that BSD puts in front of each member.
func (w *walker) ar(in Input, prefix string, depth int) error {
	if _, err := io.CopyN(io.Discard, in.R, int64(len(arMagic))); err != nil {
		return err
	}
	var names []byte
	for {
		var h [arHeader]byte
		if _, err := io.ReadFull(in.R, h[:]); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		size, err := strconv.ParseInt(strings.TrimRight(string(h[48:58]), " "), 10, 64)
		if err != nil || size < 0 || string(h[arHeader-2:]) != arEnd {
			return fmt.Errorf("%w: no header of a member", ErrCorrupt)
		}
		body := &io.LimitedReader{R: in.R, N: size}
		name := strings.TrimRight(string(h[:16]), " ")
		switch {
		case name == "//":
			names, err = arNames(body, size)
		case name == "/", name == "/SYM64/", strings.HasPrefix(name, "__.SYMDEF"):
		default:
			if name, err = arName(name, names, body); err == nil {
				err = w.entry(prefix, name, body.N, body, depth)
			}
		}
		if err != nil {
			return err
		}
		if err := skipAr(in.R, body, size); err != nil {
			return err
		}
	}
}

func arNames(r io.Reader, n int64) ([]byte, error) {
	if n > maxArNames {
		return nil, fmt.Errorf("%w: a name of %d bytes", ErrCorrupt, n)
	}
	b := make([]byte, n)
	_, err := io.ReadFull(r, b)
	return b, err
}

// arName is the name of a member, which may stand elsewhere.
func arName(name string, names []byte, body *io.LimitedReader) (string, error) {
	if long, ok := strings.CutPrefix(name, "#1/"); ok {
		n, err := strconv.ParseInt(long, 10, 64)
		if err != nil || n < 0 || n > body.N {
			return "", fmt.Errorf("%w: no length of a name", ErrCorrupt)
		}
		b, err := arNames(body, n)
		return string(bytes.TrimRight(b, "\x00")), err
	}
	if at, err := strconv.Atoi(strings.TrimPrefix(name, "/")); err == nil && strings.HasPrefix(name, "/") {
		if at < 0 || at >= len(names) {
			return "", fmt.Errorf("%w: no such name", ErrCorrupt)
		}
		b, _, _ := bytes.Cut(names[at:], []byte("\n"))
		name = string(b)
	}
	return strings.TrimSuffix(name, "/"), nil
}

// skipAr goes to the next member, which begins at an even offset.
func skipAr(r io.Reader, body *io.LimitedReader, size int64) error {
	if _, err := io.Copy(io.Discard, body); err != nil {
		return err
	}
	if body.N > 0 {
		return io.ErrUnexpectedEOF
	}
	if size%2 == 0 {
		return nil
	}
	_, err := io.CopyN(io.Discard, r, 1)
	if err == io.EOF { // the last one may do without
		err = nil
	}
	return err
}

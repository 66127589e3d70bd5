// Package envelope takes the lines of containers out of what runtimes write around
// them: Docker's json-file and the format of the Kubernetes CRI.
//
// Line n of what it gives is record n of the log: a line that was split over records
// stands whole where it began, and its other records are empty lines. What is no
// record stays as it is, so nothing is lost. It knows nothing of secrets. Start
// reading at Text.Write; parse.go has the formats.
package envelope

import (
	"bytes"
	"io"
	"os"
)

// Formats are the values of --log-format.
const Formats = "auto, plain, docker, cri"

// maxHeld is how much is held of lines whose last record did not come: 64 times what
// Docker and containerd put into one. A line of more is given in parts.
const maxHeld = 1 << 20

// maxWaiting bounds the records that wait behind a line that is not whole.
const maxWaiting = 4096

// New gives the log in r in a format of Formats; auto tells it by the first line.
func New(r io.Reader, format string) (io.Reader, error) {
	t, err := NewText(format, 0, 0)
	if err != nil {
		return nil, err
	}
	if format == "plain" {
		return r, nil
	}
	if head, ok := peek(r); format == "auto" && ok && !mayBegin(nil, head) {
		return r, nil // a file is read faster as one
	}
	return &reader{in: r, text: t}, nil
}

// peek gives the first bytes of a regular file.
func peek(r io.Reader) (head []byte, ok bool) {
	f, isFile := r.(*os.File)
	if !isFile {
		return nil, false
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, false
	}
	at, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, false
	}
	head = make([]byte, len(docker))
	n, err := f.ReadAt(head, at)
	return head[:n], err == nil || err == io.EOF
}

const docker = `{"log":"`

// mayBegin reports whether a log that begins with a and b can be in a format.
func mayBegin(a, b []byte) bool {
	for i := range min(len(a)+len(b), len(docker)) {
		c := byte(0)
		if i < len(a) {
			c = a[i]
		} else {
			c = b[i-len(a)]
		}
		if i == 0 && c >= '0' && c <= '9' {
			return true
		}
		if c != docker[i] {
			return false
		}
	}
	return true
}

type reader struct {
	in    io.Reader
	text  *Text
	out   []byte
	err   error
	chunk [32 << 10]byte
}

// Read gives what is decided.
func (r *reader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.in.Read(r.chunk[:])
		r.out = r.text.Write(r.chunk[:n])
		r.text.Forget(r.text.given) // nobody asks where it stood
		if r.err != nil {
			rest := bytes.Clone(r.out)
			r.out = append(rest, r.text.Close()...)
		}
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

package pack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

func loosePath(dir string, id ID) string {
	s := id.String()
	return filepath.Join(dir, s[:2], s[2:])
}

// openLoose opens a loose object: "TYPE SIZE\0" and the content, in one zlib
// stream. Its reader ends in ErrCorrupt when the bytes are not those of id.
func openLoose(name string, id ID) (k Kind, size int64, rc io.ReadCloser, err error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, 0, nil, err
	}
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return 0, 0, nil, errors.Join(fmt.Errorf("%w: %s is no regular file", ErrCorrupt, id), err)
	}
	z, err := zlib.NewReader(f)
	if err == nil {
		k, size, err = looseHeader(z)
	}
	if err != nil {
		f.Close()
		return 0, 0, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, id, err)
	}
	return k, size, newChecked(z, f, id, k, size), nil
}

// looseHeader reads "TYPE SIZE\0".
func looseHeader(r io.Reader) (k Kind, size int64, err error) {
	var head [32]byte // the longest type has 6 letters, the longest size 19 digits
	for i := range head {
		if _, err := io.ReadFull(r, head[i:i+1]); err != nil {
			return 0, 0, err
		}
		if head[i] != 0 {
			continue
		}
		name, digits, _ := bytes.Cut(head[:i], []byte{' '})
		size, err := strconv.ParseInt(string(digits), 10, 63)
		for k := Commit; k <= Tag && err == nil && size >= 0; k++ {
			if string(name) == k.String() {
				return k, size, nil
			}
		}
		break
	}
	return 0, 0, errors.New("its header does not parse")
}

// checked compares size and hash at the end of a stream with the object's name.
type checked struct {
	r    io.Reader
	c    io.Closer
	id   ID
	left int64
	hash hash.Hash
}

func newChecked(r io.Reader, c io.Closer, id ID, k Kind, size int64) *checked {
	h := sha1.New()
	h.Write(header(k, size))
	return &checked{r: r, c: c, id: id, left: size, hash: h}
}

func (c *checked) Read(p []byte) (n int, err error) {
	err = guarded(func() error {
		n, err = c.r.Read(p)
		return err
	})
	c.hash.Write(p[:n])
	c.left -= int64(n)
	switch {
	case err == io.EOF && (c.left != 0 || ID(c.hash.Sum(nil)) != c.id), c.left < 0:
		return n, fmt.Errorf("%w: %s has another hash", ErrCorrupt, c.id)
	case err != nil && err != io.EOF:
		return n, fmt.Errorf("%w: %s: %w", ErrCorrupt, c.id, err)
	}
	return n, err
}

func (c *checked) Close() error { return c.c.Close() }

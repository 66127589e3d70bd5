// Package lfs knows the pointers that Git LFS keeps in a repository in place of big
// files, and nothing else of it.
package lfs

import (
	"bytes"
	"errors"
	"strconv"
)

// ErrPointer says what a pointer is, and what to do about it.
var ErrPointer = errors.New("a pointer of Git LFS; git lfs fetch --all gets what it stands for, which is scanned where it is checked out")

// limit is the size that a pointer is smaller than (Git LFS specification).
const limit = 1024

// IsPointer reports whether content is a pointer of Git LFS and nothing else: lines
// of keys and values, "version" first and the others sorted.
// See https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md.
func IsPointer(data []byte) bool {
	if len(data) >= limit || !bytes.HasPrefix(data, []byte("version https://git-lfs.github.com/spec/v")) {
		return false
	}
	oid, size := false, false
	for line := range bytes.Lines(data) {
		key, value, _ := bytes.Cut(bytes.TrimRight(line, "\r\n"), []byte{' '})
		switch {
		case string(key) == "version":
		case string(key) == "oid":
			hash, found := bytes.CutPrefix(value, []byte("sha256:"))
			oid = found && len(hash) == 64 && len(bytes.Trim(hash, "0123456789abcdef")) == 0
		case string(key) == "size":
			_, err := strconv.ParseUint(string(value), 10, 63)
			size = err == nil
		case !bytes.HasPrefix(key, []byte("ext-")):
			return false
		}
	}
	return oid && size
}

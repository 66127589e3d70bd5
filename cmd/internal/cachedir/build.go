package cachedir

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"sync"
)

// headLen is how much of an executable is looked into for its build id: the linker
// puts it first, and the Go tool itself looks no further.
const headLen = 64 << 10

// buildID tells this program from others built from other sources: by the id that
// the Go tool gives each build, a hash of all that went into it, or else by the
// hash of the executable.
var buildID = sync.OnceValues(func() (string, error) {
	name, err := os.Executable()
	if err != nil {
		return "", err
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	head := make([]byte, headLen)
	n, err := io.ReadFull(f, head)
	if err != nil && err != io.ErrUnexpectedEOF {
		return "", err
	}
	if id := goBuildID(head[:n]); id != "" {
		return id, nil
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return "", err
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
})

// goBuildID finds the id in the head of an executable: in the text after a mark, or
// in the note of an ELF file. It is empty when there is none.
func goBuildID(head []byte) string {
	if _, rest, ok := bytes.Cut(head, []byte("\xff Go build ID: \"")); ok {
		if id, _, ok := bytes.Cut(rest, []byte("\"\n \xff")); ok {
			return string(id)
		}
	}
	// Of a note: the lengths of name and content, its type, the name.
	for at := 0; ; {
		i := bytes.Index(head[at:], []byte("\x04\x00\x00\x00Go\x00\x00"))
		if i < 0 {
			return ""
		}
		at += i
		if at >= 8 && binary.LittleEndian.Uint32(head[at-8:]) == 4 {
			if n := binary.LittleEndian.Uint32(head[at-4:]); n > 0 && int64(n) <= int64(len(head)-at-8) {
				return string(head[at+8:][:n])
			}
		}
		at += 8
	}
}

package told

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"sync"

	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner/internal/found"
)

// File is a text of the working tree, and what was found in it.
type File struct {
	Path     string
	Sum      [sha256.Size]byte // of its bytes
	Size     int64
	Findings []Finding
}

// maxFile bounds the files that are known by their bytes, which are held meanwhile by
// each worker. Sources are smaller; what is larger is a lock file or data, of which
// there are few.
const maxFile = 1 << 20

// Files knows files of a working tree, and comes to know others. What was found in a
// file depends on its path and its bytes alone. The nil Files knows nothing. It is safe
// for concurrent use.
type Files struct {
	known map[string]*File // by path

	mu    sync.Mutex
	read  map[string]*File
	found map[string][]found.Finding
}

// NewFiles begins with those of a report, nil for none.
func NewFiles(of *Report) *Files {
	fs := &Files{known: map[string]*File{}, read: map[string]*File{}, found: map[string][]found.Finding{}}
	if of != nil {
		for i := range of.Files {
			fs.known[of.Files[i].Path] = &of.Files[i]
		}
	}
	return fs
}

// Open takes the bytes of a file, as far as they are known by, into buf. It gives what
// was found there where it is known, with each secret; else it gives all bytes, to be
// read, and to whom it is told that they were, to their end.
func (fs *Files) Open(path string, r io.Reader, buf *bytes.Buffer) (f *File, rest io.Reader, done func()) {
	if fs == nil {
		return nil, r, func() {}
	}
	buf.Reset()
	_, err := io.CopyN(buf, r, maxFile)
	data := buf.Bytes()
	switch {
	case err == nil: // there may be more
		return nil, io.MultiReader(bytes.NewReader(data), r), func() {}
	case !errors.Is(err, io.EOF):
		return nil, io.MultiReader(bytes.NewReader(data), failing{err}), func() {}
	}
	sum := sha256.Sum256(data)
	if k := fs.known[path]; k != nil && k.Sum == sum && k.Size == int64(len(data)) && !slices.ContainsFunc(k.Findings, func(f Finding) bool { return f.End > k.Size }) {
		out := *k
		out.Findings = slices.Clone(k.Findings)
		for i := range out.Findings {
			if !out.Findings[i].fillBytes(data) {
				return nil, bytes.NewReader(data), func() {}
			}
		}
		return &out, nil, nil
	}
	size := int64(len(data))
	return nil, bytes.NewReader(data), func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.read[path] = &File{Path: path, Sum: sum, Size: size}
	}
}

// failing gives an error that was met before.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// Found takes down what was found in a file.
func (fs *Files) Found(f found.Finding) {
	if fs == nil || f.End == 0 { // its path, of which bytes say nothing
		return
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.found[f.Origin.Path] = append(fs.found[f.Origin.Path], f)
}

// All gives those that were read, when what was found in them can be told again: what
// was decoded is not in their bytes.
func (fs *Files) All() (all []File) {
	for path, f := range fs.read {
		for _, one := range fs.found[path] {
			one.ID = one.Name()
			if !keeps(&one) || one.Line < 1 || len(one.DecodedVia) > 0 || one.Origin.Entry != "" || !one.Allowed.Equal(allow.Verdict{}) {
				f = nil
				break
			}
			f.Findings = append(f.Findings, Finding{Finding: one})
		}
		if f != nil {
			all = append(all, *f)
		}
	}
	slices.SortFunc(all, func(a, b File) int { return cmp.Compare(a.Path, b.Path) })
	return all
}

package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-billy/v5"
	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/idxfile"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
)

// Object reading is go-git's packfile and objfile packages, joined here rather
// than by its filesystem storage, for three reasons: that one is not safe for
// concurrent use; it reloads every index for each object it looks for in an
// alternate; and with a file system it inflates a delta twice. Here the indexes
// are loaded once and shared (they lock), each reader has its own pack files,
// and readers are pooled, so that as many are made as there are workers.

const (
	// bigObject is the size from which an undeltified blob is streamed and not
	// held: the largest source files are below it, and a worker each holding
	// one of them is what memory is planned for.
	bigObject = 16 << 20
	// maxObject is the largest loose object held whole. Commits, trees and tags
	// are; blobs stream. At some 40 bytes a name it is a folder of six million
	// names, while a zlib bomb makes a thousand bytes of each of its own.
	maxObject = 256 << 20
	// baseCache is the memory for delta bases and recently read objects, shared
	// by all readers of a repository and its walk. go-git's default for one
	// reader is 96 MB; the redis history read by four peaks at 590 MB with this.
	baseCache = 128 << 20
)

var (
	// ErrMissing and ErrCorrupt tell an object that is not there from one that is
	// there and cannot be what its name says.
	ErrMissing = errors.New("object not found")
	ErrCorrupt = errors.New("object is corrupt")
)

// Store reads objects by name. Safe for concurrent use.
type Store struct {
	dirs  []string // object folders: the repository's own, then alternates
	packs []pack
	cache cache.Object

	mu   sync.Mutex
	idle []*reader
}

type pack struct {
	file  string
	fs    billy.Filesystem
	index *idxfile.MemoryIndex
}

// newObjectStore loads the pack indexes. A pack that does not load is told in
// bad and passed over: what lies in it will be missing.
func newStore(dirs []string) (s *Store, bad []error) {
	s = &Store{dirs: dirs, cache: cache.NewObjectLRU(baseCache)}
	for _, d := range dirs {
		packDir := filepath.Join(d, "pack")
		entries, err := os.ReadDir(packDir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			bad = append(bad, fmt.Errorf("listing the packs: %w", cause(err)))
		}
		for _, e := range entries {
			base, ok := strings.CutSuffix(e.Name(), ".idx")
			if !ok || !strings.HasPrefix(base, "pack-") {
				continue
			}
			idx, err := loadIndex(filepath.Join(packDir, e.Name()))
			if err != nil {
				bad = append(bad, fmt.Errorf("index of the pack %s: %w", base, err))
				continue
			}
			s.packs = append(s.packs, pack{file: base + ".pack", fs: osfs.New(packDir, osfs.WithBoundOS()), index: idx})
		}
	}
	return s, bad
}

func loadIndex(name string) (idx *idxfile.MemoryIndex, err error) {
	defer guard(&err)
	f, err := os.Open(name)
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	idx = idxfile.NewMemoryIndex()
	return idx, idxfile.NewDecoder(f).Decode(idx)
}

// guard turns a panic of go-git on hostile bytes into corruption. Its value may
// quote content, so only its type is told.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w (%T)", ErrCorrupt, p)
	}
}

// objectReader reads packs through files of its own. One goroutine at a time.
type reader struct {
	store *Store
	packs []*packfile.Packfile
}

func (s *Store) get() *reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.idle); n > 0 {
		r := s.idle[n-1]
		s.idle = s.idle[:n-1]
		return r
	}
	return &reader{store: s, packs: make([]*packfile.Packfile, len(s.packs))}
}

func (s *Store) put(r *reader) {
	s.mu.Lock()
	s.idle = append(s.idle, r)
	s.mu.Unlock()
}

// Close closes the files of the readers that are not in use. The store stays
// usable: they are opened again when needed.
func (s *Store) Close() {
	s.mu.Lock()
	idle := s.idle
	s.idle = nil
	s.mu.Unlock()
	for _, r := range idle {
		r.close()
	}
}

func (r *reader) close() {
	for i, p := range r.packs {
		if p != nil {
			p.Close()
			r.packs[i] = nil
		}
	}
}

func loosePath(dir string, h plumbing.Hash) string {
	s := h.String()
	return filepath.Join(dir, s[:2], s[2:])
}

// Has reports whether the object is there, not whether it can be read.
func (s *Store) Has(h plumbing.Hash) bool {
	for i := range s.packs {
		if ok, err := s.packs[i].index.Contains(h); err == nil && ok {
			return true
		}
	}
	for _, d := range s.dirs {
		if _, err := os.Stat(loosePath(d, h)); err == nil {
			return true
		}
	}
	return false
}

// Read gives a whole object of the wanted type; its bytes are shared and not to
// be written to. Every object's hash is checked.
func (s *Store) Read(want plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	t, data, err := s.ReadAny(h)
	if err == nil && t != want {
		err = fmt.Errorf("%w: %s is a %s, not a %s", ErrCorrupt, h, t, want)
	}
	return data, err
}

// ReadAny is Read for an object of any type.
func (s *Store) ReadAny(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	var first error
	for i := range s.packs {
		if ok, err := s.packs[i].index.Contains(h); err != nil || !ok {
			continue
		}
		t, data, err := s.readPacked(i, h)
		if err == nil {
			return t, data, nil
		}
		first = errors.Join(first, err)
	}
	for _, d := range s.dirs {
		t, rc, err := openLoose(loosePath(d, h), h)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			var data []byte
			data, err = io.ReadAll(io.LimitReader(rc, maxObject+1))
			rc.Close()
			if err == nil && len(data) > maxObject {
				err = fmt.Errorf("%w: %s inflates to more than %d bytes", ErrCorrupt, h, maxObject)
			}
			if err == nil {
				return t, data, nil
			}
		}
		first = errors.Join(first, err)
	}
	if first == nil {
		first = fmt.Errorf("%w: %s", ErrMissing, h)
	}
	return plumbing.InvalidObject, nil, first
}

func (s *Store) readPacked(i int, h plumbing.Hash) (t plumbing.ObjectType, data []byte, err error) {
	r := s.get()
	ok := false
	defer func() {
		if ok {
			s.put(r)
		} else {
			r.close() // its position and caches are not to be trusted
		}
	}()
	defer guard(&err)
	p, err := r.pack(i)
	if err != nil {
		return 0, nil, err
	}
	obj, err := p.Get(h)
	if err != nil {
		return 0, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
	}
	if obj.Hash() != h {
		return 0, nil, fmt.Errorf("%w: %s has another hash", ErrCorrupt, h)
	}
	data, err = objectBytes(obj)
	ok = err == nil
	return obj.Type(), data, err
}

func (r *reader) pack(i int) (*packfile.Packfile, error) {
	if r.packs[i] == nil {
		p := r.store.packs[i]
		f, err := p.fs.Open(p.file)
		if err != nil {
			return nil, fmt.Errorf("opening the pack %s: %w", p.file, cause(err))
		}
		// No file system: objects are then made in memory at once.
		r.packs[i] = packfile.NewPackfileWithCache(p.index, nil, f, r.store.cache, 0)
	}
	return r.packs[i], nil
}

// sink catches the one slice that a MemoryObject's reader writes, uncopied.
type sink struct{ data []byte }

func (s *sink) Write(p []byte) (int, error) {
	if s.data == nil {
		s.data = p
	} else {
		s.data = append(slices.Clip(s.data), p...)
	}
	return len(p), nil
}

func objectBytes(obj plumbing.EncodedObject) ([]byte, error) {
	rc, err := obj.Reader()
	if err != nil {
		return nil, err
	}
	defer rc.Close()
	var s sink
	_, err = io.Copy(&s, rc)
	return s.data, err
}

// OpenBlob gives a blob's bytes: streamed when it is loose or big, from memory
// otherwise. A read of bytes that are not the blob ends in ErrCorrupt.
func (s *Store) OpenBlob(h plumbing.Hash) (io.ReadCloser, error) {
	if rc, err := s.openBig(h); rc != nil || err != nil {
		return rc, err
	}
	for _, d := range s.dirs {
		t, rc, err := openLoose(loosePath(d, h), h)
		if err != nil || t != plumbing.BlobObject {
			if err == nil {
				rc.Close()
			}
			continue // another copy may be whole; Read tells the error
		}
		return rc, nil
	}
	data, err := s.Read(plumbing.BlobObject, h)
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// openBig streams a blob that lies whole in a pack and is bigObject or larger;
// nil otherwise.
func (s *Store) openBig(h plumbing.Hash) (rc io.ReadCloser, err error) {
	defer guard(&err)
	for i := range s.packs {
		p := s.packs[i]
		if ok, err := p.index.Contains(h); err != nil || !ok {
			continue
		}
		offset, err := p.index.FindOffset(h)
		if err != nil {
			return nil, nil
		}
		r := s.get()
		defer s.put(r)
		own, err := r.pack(i)
		if err != nil {
			return nil, nil
		}
		hdr, err := own.Scanner().SeekObjectHeader(offset)
		if err != nil || hdr.Type != plumbing.BlobObject || hdr.Length < bigObject {
			return nil, nil
		}
		f, err := p.fs.Open(p.file)
		if err != nil {
			return nil, cause(err)
		}
		defer f.Close() // the object opens the file again by its name
		obj, err := packfile.NewPackfileWithCache(p.index, p.fs, f, s.cache, bigObject-1).Get(h)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
		}
		rc, err := obj.Reader()
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
		}
		return &checked{rc: rc, h: h, hash: plumbing.NewHasher(plumbing.BlobObject, hdr.Length)}, nil
	}
	return nil, nil
}

// openLoose opens a loose object for streaming.
func openLoose(name string, h plumbing.Hash) (t plumbing.ObjectType, rc io.ReadCloser, err error) {
	defer guard(&err)
	f, err := os.Open(name)
	if err != nil {
		return 0, nil, err
	}
	r, err := objfile.NewReader(f)
	if err != nil {
		f.Close()
		return 0, nil, fmt.Errorf("%w: %s: %w", ErrCorrupt, h, err)
	}
	t, size, err := r.Header()
	if err != nil || size < 0 {
		r.Close()
		f.Close()
		return 0, nil, fmt.Errorf("%w: %s: its header does not parse", ErrCorrupt, h)
	}
	return t, &checked{rc: &looseReader{Reader: r, f: f}, h: h, hash: plumbing.NewHasher(t, size)}, nil
}

type looseReader struct {
	*objfile.Reader
	f *os.File
}

func (l *looseReader) Close() error {
	l.Reader.Close()
	return l.f.Close()
}

// checked compares the hash at the end of a stream with the object's name.
type checked struct {
	rc     io.ReadCloser
	h      plumbing.Hash
	hash   plumbing.Hasher
	closed bool
}

func (c *checked) Read(p []byte) (n int, err error) {
	defer guard(&err)
	n, err = c.rc.Read(p)
	c.hash.Write(p[:n])
	if err == io.EOF && c.hash.Sum() != c.h {
		err = fmt.Errorf("%w: %s has another hash", ErrCorrupt, c.h)
	} else if err != nil && err != io.EOF {
		err = fmt.Errorf("%w: %s: %w", ErrCorrupt, c.h, err)
	}
	return n, err
}

// Close may be called again: go-git's readers give their inflater to a pool at
// each call, and one given twice would serve two objects at once.
func (c *checked) Close() error {
	if c.closed {
		return nil
	}
	c.closed = true
	return c.rc.Close()
}

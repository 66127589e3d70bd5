package pack

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options are limits; zero means the default.
type Options struct {
	// Memory is what decompressed bases of deltas may take, in bytes. Default
	// 32 MB: git takes 96 (core.deltaBaseCacheLimit), which is no faster on the
	// histories measured and doubles the peak of a scan of 100,000 blobs; with
	// less, the trees of a big repository are made over and over.
	Memory int64
	// MaxObject is the largest object held whole. Default 512 MB, git's
	// core.bigFileThreshold: git itself makes no delta of a larger one. Blobs
	// that are not stored as deltas are streamed whatever their size.
	MaxObject int64
}

// Within gives the options of a program that is to take about so much memory, 0 for the
// defaults: an eighth for bases, and no object over a quarter, since a delta, its base
// and what they make are held at once.
func Within(memory int64) Options {
	if memory <= 0 {
		return Options{}
	}
	return Options{Memory: min(32<<20, memory/8), MaxObject: min(512<<20, memory/4)}
}

// bigObject is the size from which an undeltified blob is streamed and not
// held: the largest source files are below it, and a worker each holding one of
// them is what memory is planned for.
const bigObject = 16 << 20

// Store reads objects by name. Safe for concurrent use.
type Store struct {
	dirs  []string
	o     Options
	cache *cache
	tools sync.Pool // of *scratch

	mu     sync.RWMutex
	open   *packSet
	known  map[string]bool // pack files that were opened or did not open
	listed []time.Time     // when each dirs[i]/pack was listed, and had changed
	multi  map[string]map[string]*index
}

// packSet is apart from the Store, so that what is mapped can be unmapped when the
// Store is garbage. Whoever reads a pack keeps the Store alive meanwhile.
type packSet struct{ packs []*packFile }

func (s *packSet) close() {
	for _, p := range s.packs {
		p.close()
	}
	s.packs = nil
}

// Open opens the packs in the object folders dirs: the repository's own, then its
// alternates. A pack that does not open is told in bad and passed over: what lies
// in it will be missing.
func Open(dirs []string, o Options) (s *Store, bad []error) {
	o.Memory = cmp.Or(o.Memory, 32<<20)
	o.MaxObject = cmp.Or(o.MaxObject, 512<<20)
	s = &Store{dirs: dirs, o: o, cache: newCache(o.Memory), listed: make([]time.Time, len(dirs)), known: map[string]bool{}}
	s.tools.New = func() any { return new(scratch) }
	s.open = &packSet{}
	runtime.AddCleanup(s, (*packSet).close, s.open)
	_, bad = s.list()
	return s, bad
}

// list opens the packs that are new since the last call.
func (s *Store) list() (found bool, bad []error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range s.dirs {
		dir := filepath.Join(d, "pack")
		now := time.Now()
		info, err := os.Stat(dir)
		if err == nil && !s.listed[i].IsZero() && info.ModTime().Equal(s.listed[i]) {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			bad = append(bad, fmt.Errorf("listing the packs: %w", cause(err)))
		}
		// A folder that changed a moment ago may change again within the same
		// tick of its clock: look again next time.
		if info != nil && now.Sub(info.ModTime()) > time.Second {
			s.listed[i] = info.ModTime()
		}
		bad = append(bad, s.halves(dir, entries)...)
		for _, e := range entries {
			base, ok := strings.CutSuffix(e.Name(), ".pack")
			if !ok || !strings.HasPrefix(base, "pack-") || s.known[filepath.Join(dir, base)] {
				continue
			}
			p, err := s.openPack(dir, base)
			if errors.Is(err, fs.ErrNotExist) {
				continue // no index yet: git moves it into place last
			}
			if err != nil {
				bad = append(bad, fmt.Errorf("pack %s: %w", base, cause(err)))
			}
			s.known[filepath.Join(dir, base)] = true
			if p != nil {
				s.open.packs, found = append(slices.Clip(s.open.packs), p), true
			}
		}
	}
	return found, bad
}

// halfPack is how long a pack may lie without its index: git writes the pack first and
// moves the index into place last, within seconds.
const halfPack = 10 * time.Minute

// halves tells of indexes without a pack, and of packs without an index that nobody
// is still writing, each once.
func (s *Store) halves(dir string, entries []fs.DirEntry) (bad []error) {
	have := map[string]bool{}
	for _, e := range entries {
		have[e.Name()] = true
	}
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		base, isIndex := strings.CutSuffix(e.Name(), ".idx")
		_, isPack := strings.CutSuffix(e.Name(), ".pack")
		if !strings.HasPrefix(e.Name(), "pack-") || s.known[name] {
			continue
		}
		switch {
		case isIndex && !have[base+".pack"]:
			s.known[name] = true
			bad = append(bad, fmt.Errorf("%s: the pack of this index is missing", e.Name()))
		case isPack && !have[strings.TrimSuffix(e.Name(), ".pack")+".idx"] && !have["multi-pack-index"]:
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > halfPack {
				s.known[name] = true
				bad = append(bad, fmt.Errorf("%s: its index is missing; git index-pack makes it", e.Name()))
			}
		}
	}
	return bad
}

// openPack opens a pack by its own index, or by the multi-pack-index when it has
// none. With an error there may still be a pack, to be read with care.
func (s *Store) openPack(dir, base string) (p *packFile, err error) {
	p = &packFile{name: base, dir: dir, proof: true}
	if p.f, err = openFile(filepath.Join(dir, base+".pack")); err != nil {
		return nil, err
	}
	var damage error
	fail := guarded(func() (err error) {
		var data []byte
		if p.idx, err = openFile(filepath.Join(dir, base+".idx")); err == nil {
			if data, err = p.idx.whole(); err == nil {
				p.x, err, damage = parseIndex(data)
			}
		} else if errors.Is(err, fs.ErrNotExist) {
			p.x, err = s.fromMulti(dir, base)
		}
		if err != nil {
			return err
		}
		p.proof = damage == nil && p.x.crcs != nil
		if err := p.check(); errors.Is(err, ErrCorrupt) {
			return err
		} else if err != nil {
			damage = errors.Join(damage, err)
		}
		return nil
	})
	if fail != nil {
		p.close()
		return nil, fmt.Errorf("its index: %w", cause(fail))
	}
	return p, damage
}

// fromMulti gives the part of the folder's multi-pack-index for one pack.
func (s *Store) fromMulti(dir, base string) (*index, error) {
	if s.multi == nil {
		s.multi = map[string]map[string]*index{}
	}
	if s.multi[dir] == nil {
		f, err := openFile(filepath.Join(dir, "multi-pack-index"))
		if err != nil {
			return nil, err
		}
		defer f.close()
		data, err := f.whole()
		if err != nil {
			return nil, err
		}
		if s.multi[dir], err = parseMulti(data); err != nil {
			return nil, err
		}
	}
	x := s.multi[dir][base]
	if x == nil {
		return nil, fs.ErrNotExist
	}
	return x, nil
}

func (p *packFile) close() {
	p.f.close()
	if p.idx != nil {
		p.idx.close()
	}
}

// Close unmaps and closes the packs. The store stays usable: they are opened
// again when needed.
func (s *Store) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.open.close()
	clear(s.known)
	clear(s.listed)
	s.multi = nil
	s.cache.clear()
}

func (s *Store) all() []*packFile {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.open.packs
}

// again reports whether a miss is worth a second look, as there are packs now
// that were not there before: a repack moves objects while they are read.
func (s *Store) again() bool {
	found, _ := s.list()
	return found
}

// Has reports whether the object is there, not whether it can be read.
func (s *Store) Has(id ID) bool {
	defer runtime.KeepAlive(s)
	for {
		has := false
		guarded(func() error { has = s.has(id); return nil })
		if has || !s.again() {
			return has
		}
	}
}

func (s *Store) has(id ID) bool {
	for _, p := range s.all() {
		if _, ok := p.x.find(id); ok {
			return true
		}
	}
	for _, d := range s.dirs {
		if _, err := os.Stat(loosePath(d, id)); err == nil {
			return true
		}
	}
	return false
}

// Read gives a whole object; its bytes are shared and not to be written to. The
// hash is checked.
func (s *Store) Read(id ID) (Kind, []byte, error) {
	defer runtime.KeepAlive(s)
	for {
		k, data, err := s.read(id)
		if err == nil || errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTooLarge) || !s.again() {
			return k, data, err
		}
	}
}

func (s *Store) read(id ID) (k Kind, data []byte, err error) {
	var first error
	for _, p := range s.all() {
		err := guarded(func() (err error) {
			i, ok := p.x.find(id)
			if !ok {
				return ErrMissing
			}
			k, data, err = s.readAt(p, p.x.offset(i))
			if err == nil && objectID(k, data) != id {
				err = fmt.Errorf("%w: it has another hash", ErrCorrupt)
			}
			return err
		})
		switch {
		case err == nil:
			return k, data, nil
		case !errors.Is(err, ErrMissing):
			first = errors.Join(first, err)
		}
	}
	for _, d := range s.dirs {
		k, data, err := s.readLoose(d, id)
		if err == nil {
			return k, data, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			first = errors.Join(first, err)
		}
	}
	if first == nil {
		first = ErrMissing
	}
	return 0, nil, fmt.Errorf("%s: %w", id, first)
}

func (s *Store) readLoose(dir string, id ID) (Kind, []byte, error) {
	k, size, rc, err := openLoose(loosePath(dir, id), id)
	if err != nil {
		return 0, nil, err
	}
	defer rc.Close()
	if size > s.o.MaxObject {
		return 0, nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, size)
	}
	// The size may lie: nothing is allocated for it before so much was read.
	data, err := io.ReadAll(io.LimitReader(rc, size+1))
	return k, data, err
}

// step is one delta of a chain.
type step struct {
	place
	entry
}

// readAt gives the object whose entry begins at off in p.
func (s *Store) readAt(p *packFile, off int64) (k Kind, data []byte, err error) {
	sc := s.tools.Get().(*scratch)
	defer s.tools.Put(sc)
	chain, k, data, err := s.chain(sc, place{p, off})
	if err != nil {
		return 0, nil, err
	}
	var delta []byte
	for _, at := range slices.Backward(chain) {
		if at.size > s.o.MaxObject {
			return 0, nil, ErrTooLarge
		}
		if delta, err = at.p.inflate(sc, at.entry, 0, delta); err != nil {
			return 0, nil, err
		}
		if data, err = apply(nil, data, delta, s.o.MaxObject, nil); err != nil {
			return 0, nil, err
		}
		s.cache.put(at.place, k, data)
	}
	return k, data, nil
}

// chain goes from an entry down to the first base that is whole, or known
// already, and gives it and the deltas on the way.
func (s *Store) chain(sc *scratch, at place) (chain []step, k Kind, data []byte, err error) {
	// Only ids can lead in a circle; a chain of honest deltas is 50 long, so that
	// looking for one costs nothing there.
	var seen map[place]bool
	for {
		if k, data, ok := s.cache.get(at); ok {
			return chain, k, data, nil
		}
		if len(chain) >= 64 {
			if seen == nil {
				seen = map[place]bool{}
			}
			if seen[at] {
				return nil, 0, nil, fmt.Errorf("%w: its deltas go in a circle", ErrCorrupt)
			}
			seen[at] = true
		}
		e, err := at.p.entryAt(at.off)
		if err != nil {
			return nil, 0, nil, err
		}
		switch e.kind {
		case ofsDelta:
			chain = append(chain, step{at, e})
			at.off = e.base
			continue
		case refDelta:
			chain = append(chain, step{at, e})
			var ok bool
			if at, ok = s.locate(at.p, e.ref); !ok {
				k, data, err := s.looseBase(e.ref)
				return chain, k, data, err
			}
			continue
		}
		if e.size > s.o.MaxObject {
			return nil, 0, nil, fmt.Errorf("%w: %d bytes", ErrTooLarge, e.size)
		}
		if data, err = at.p.inflate(sc, e, 0, nil); err == nil {
			s.cache.put(at, e.kind, data)
		}
		return chain, e.kind, data, err
	}
}

// locate finds an object in a pack, first in the one that asks.
func (s *Store) locate(first *packFile, id ID) (place, bool) {
	if i, ok := first.x.find(id); ok {
		return place{first, first.x.offset(i)}, true
	}
	for _, p := range s.all() {
		if i, ok := p.x.find(id); ok {
			return place{p, p.x.offset(i)}, true
		}
	}
	return place{}, false
}

func (s *Store) looseBase(id ID) (k Kind, data []byte, err error) {
	for _, d := range s.dirs {
		if k, data, err = s.readLoose(d, id); err == nil {
			return k, data, nil
		}
	}
	return 0, nil, fmt.Errorf("%w: the base %s of its delta is missing", ErrCorrupt, id)
}

// OpenBlob gives a blob's bytes: streamed when it is loose, or big and no delta;
// from memory otherwise. A read of bytes that are not the blob ends in ErrCorrupt.
func (s *Store) OpenBlob(id ID) (io.ReadCloser, error) {
	if rc := s.openBig(id); rc != nil {
		return rc, nil
	}
	for _, d := range s.dirs {
		k, _, rc, err := openLoose(loosePath(d, id), id)
		if err != nil {
			continue // another copy may be whole; Read tells the error
		}
		if k == Blob {
			return rc, nil
		}
		rc.Close()
	}
	k, data, err := s.Read(id)
	if err == nil && k != Blob {
		err = fmt.Errorf("%w: %s is a %s, not a blob", ErrCorrupt, id, k)
	}
	if err != nil {
		return nil, err
	}
	return io.NopCloser(bytes.NewReader(data)), nil
}

// openBig streams a blob that lies whole in a pack and is bigObject or larger; nil
// otherwise.
func (s *Store) openBig(id ID) (rc io.ReadCloser) {
	err := guarded(func() error {
		for _, p := range s.all() {
			i, ok := p.x.find(id)
			if !ok {
				continue
			}
			e, err := p.entryAt(p.x.offset(i))
			if err != nil || e.kind != Blob || e.size < bigObject {
				return nil
			}
			z, err := zlib.NewReader(&packReader{s: s, p: p, off: e.data})
			if err == nil {
				rc = newChecked(io.LimitReader(z, e.size), z, id, Blob, e.size)
			}
			return nil
		}
		return nil
	})
	if err != nil {
		return nil // Read meets the same and tells it
	}
	return rc
}

// packReader reads a pack from off on.
type packReader struct {
	s   *Store // kept alive
	p   *packFile
	off int64
	buf []byte
}

func (r *packReader) Read(b []byte) (int, error) {
	src, err := r.p.f.at(r.off, int64(len(b)), &r.buf)
	n := copy(b, src)
	r.off += int64(n)
	if n == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// cause strips the operation and path that os errors repeat.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

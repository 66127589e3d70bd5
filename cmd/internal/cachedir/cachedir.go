// Package cachedir keeps what scans remember in a folder, from one run of the
// program to the next.
//
// A file is named by what it is of and by all that its content depends on: this
// build of the program, the rules, how deep values are decoded and archives
// unpacked. It begins with a checksum, so that one that is damaged, cut short, or
// from elsewhere is not used. What cannot be read or written is told, and costs
// time only: nothing is ever taken from a file that does not prove whole.
//
// The package knows nothing of what is in the files, beyond handing the scanner's
// to the scanner. A file that somebody else can write could hide a secret, so the
// folder must be its user's own and lie outside of what is scanned. Start reading
// at Open.
package cachedir

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
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

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/sources"
)

// maxSize bounds the folder, in bytes. A history of 100,000 blobs and commits takes
// some 10 MB: this is a hundred of them, and not a disk.
const maxSize = 1 << 30

// suffix ends the names of our files; others are left alone.
const suffix = ".quench"

// magic begins each file; a checksum and the content follow.
const magic = "quench cache v1\n"

// Dir is an open folder. Safe for concurrent use, also by several processes: each
// file is replaced as a whole.
type Dir struct {
	path   string
	build  string
	notice func(string)
	limit  int64

	mu    sync.Mutex
	names map[string]bool // files used in this run
}

// Open opens the folder path, and makes it when there is none. It refuses one that
// others can write to. notice is told, in a sentence, of what could not be used or
// kept.
func Open(path string, notice func(string)) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("making the cache folder: %w", err)
	}
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("opening the cache folder: %w", err)
	}
	info, err := os.Stat(abs)
	switch {
	case err != nil:
		return nil, fmt.Errorf("opening the cache folder: %w", err)
	case !info.IsDir():
		return nil, fmt.Errorf("the cache %q is not a folder", path)
	case runtime.GOOS != "windows" && info.Mode().Perm()&0o022 != 0, foreign(info):
		return nil, fmt.Errorf("the cache folder %q can be written by others, who could hide secrets from a scan with it; make it yours alone: chmod 700", path)
	}
	build, err := buildID()
	if err != nil {
		return nil, fmt.Errorf("telling this build of the program from others, for the cache: %w", err)
	}
	return &Dir{path: abs, build: build, notice: notice, limit: maxSize, names: map[string]bool{}}, nil
}

// Outside refuses a folder that lies in what srcs read.
func (d *Dir) Outside(srcs []sources.Source) error {
	for _, src := range srcs {
		p, ok := src.(sources.Placed)
		if !ok {
			continue
		}
		for _, dir := range p.Places() {
			if rel, err := filepath.Rel(dir, d.path); err == nil && filepath.IsLocal(rel) {
				os.Remove(d.path) // when it is empty: it may have been made by Open
				return fmt.Errorf("the cache folder %q lies in %q, which is scanned: what is scanned could bring a cache of its own that hides secrets; name a folder outside", d.path, dir)
			}
		}
	}
	return nil
}

// Found is what is found by one set of rules and options. It is the pipeline's Cache.
type Found struct {
	*Dir
	digest string
}

// Found gives what is found by rules; options is any text that tells other options
// apart.
func (d *Dir) Found(set []*rules.Rule, options string) (*Found, error) {
	h := sha256.New()
	if err := json.NewEncoder(h).Encode(set); err != nil {
		return nil, fmt.Errorf("naming the rules, for the cache: %w", err)
	}
	fmt.Fprintf(h, "%q", options)
	return &Found{d, hex.EncodeToString(h.Sum(nil))}, nil
}

func (d *Found) name(place string) string { return fmt.Sprintf("found %s in %q", d.digest, place) }

// Recall gives what is remembered of a source: nil for one that is nothing to
// remember.
func (d *Found) Recall(src sources.Source) *scanner.Memory {
	place := placeOf(src)
	if place == "" {
		return nil
	}
	m := &scanner.Memory{Cache: &cache.Cache{}, Name: d.digest}
	if data, ok := d.Load(d.name(place)); ok {
		c, err := cache.Parse(data)
		if err != nil {
			d.notice(fmt.Sprintf("what was found in %q before is not used, and all is read: %v", place, err))
			return m
		}
		m.Cache = c
	}
	return m
}

// Keep keeps what is remembered of a source now.
func (d *Found) Keep(src sources.Source, m *scanner.Memory) {
	if m == nil {
		return
	}
	if m.Failed {
		d.notice(fmt.Sprintf("what was found in %q before proved wrong, and all was read again", placeOf(src)))
	}
	if m.Grown {
		d.Save(d.name(placeOf(src)), m.Cache.Bytes())
	}
}

// placeOf names a source by where it lies, a repository by where its objects do.
func placeOf(src sources.Source) string {
	if p, ok := src.(sources.Placed); ok {
		if all := p.Places(); len(all) > 0 {
			return all[0]
		}
	}
	return ""
}

func (d *Dir) file(name string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q", d.build, name))
	return hex.EncodeToString(sum[:16]) + suffix
}

// Load gives the content kept under a name, when there is any that is whole.
func (d *Dir) Load(name string) ([]byte, bool) {
	file := d.file(name)
	d.mu.Lock()
	d.names[file] = true
	d.mu.Unlock()
	path := filepath.Join(d.path, file)
	data, err := d.read(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false
	}
	if err == nil {
		if body, ok := bytes.CutPrefix(data, []byte(magic)); ok && len(body) >= sha256.Size {
			if sum := checksum(file, body[sha256.Size:]); bytes.Equal(sum[:], body[:sha256.Size]) {
				now := time.Now()
				os.Chtimes(path, now, now) // when it was used last, for prune
				return body[sha256.Size:], true
			}
		}
		err = errors.New("it is damaged, or not ours")
	}
	d.notice(fmt.Sprintf("%s is not used, and what it was of is read: %v", path, err))
	return nil, false
}

func (d *Dir) read(path string) ([]byte, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > d.limit {
		return nil, errors.New("it is no file, or too large")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data := make([]byte, info.Size())
	_, err = io.ReadFull(f, data)
	return data, err
}

func checksum(file string, content []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	io.WriteString(h, file)
	h.Write(content)
	h.Sum(sum[:0])
	return sum
}

// Save keeps content under a name, in the place of what was there.
func (d *Dir) Save(name string, content []byte) {
	file := d.file(name)
	d.mu.Lock()
	d.names[file] = true
	d.mu.Unlock()
	err := func() error {
		f, err := atomicfile.Create(filepath.Join(d.path, file))
		if err != nil {
			return err
		}
		sum := checksum(file, content)
		for _, part := range [][]byte{[]byte(magic), sum[:], content} {
			if _, err := f.Write(part); err != nil {
				return errors.Join(err, f.Discard())
			}
		}
		return f.Commit()
	}()
	if err == nil {
		err = d.prune()
	}
	if err != nil {
		d.notice(fmt.Sprintf("what was found is not kept for the next scan: %v", err))
	}
}

// prune removes the files that were not used for longest, until the rest fits, and
// what processes that died left half written.
func (d *Dir) prune() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return err
	}
	var files []fs.FileInfo
	var total int64
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		if strings.HasPrefix(e.Name(), ".") && strings.Contains(e.Name(), suffix+".") && time.Since(info.ModTime()) > time.Hour {
			os.Remove(filepath.Join(d.path, e.Name()))
		}
		if strings.HasSuffix(e.Name(), suffix) {
			files, total = append(files, info), total+info.Size()
		}
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int {
		return cmp.Or(a.ModTime().Compare(b.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	for _, f := range files {
		if total <= d.limit {
			break
		}
		if d.names[f.Name()] {
			continue
		}
		if err := os.Remove(filepath.Join(d.path, f.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		total -= f.Size()
	}
	return nil
}

package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/quench-dev/quench/sources/gittree"
)

// place is where files are read from: a folder that nothing leads out of, or a
// commit's tree.
type place interface {
	// read gives a file by its slash-separated path; one that is not there is
	// fs.ErrNotExist.
	read(rel string, limit int64) ([]byte, error)
	// name is that path as a person would write it.
	name(rel string) string
	Close() error
}

// folder is a folder of a scanned tree. Links lead nowhere out of it.
type folder struct {
	root  *os.Root
	shown string
}

func openFolder(dir, shown string) (*folder, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("looking for configuration in %q: %w", dir, cause(err))
	}
	return &folder{root, shown}, nil
}

func (f *folder) Close() error { return f.root.Close() }

func (f *folder) name(rel string) string {
	return filepath.ToSlash(filepath.Join(f.shown, filepath.FromSlash(rel)))
}

func (f *folder) read(rel string, limit int64) ([]byte, error) {
	info, err := f.root.Lstat(filepath.FromSlash(rel))
	if err != nil {
		return nil, f.fault(rel, err)
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if info, err = f.root.Stat(filepath.FromSlash(rel)); err != nil {
			return nil, fmt.Errorf("reading %s, a link: %w; what configures a scan must lie in the scanned tree", f.name(rel), cause(err))
		}
	}
	return readBounded(f.name(rel), info, limit, func() (*os.File, error) { return f.root.Open(filepath.FromSlash(rel)) })
}

func (f *folder) fault(rel string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("reading %s: %w", f.name(rel), cause(err))
}

// readBounded reads a regular file of at most limit bytes. The kind is asked before
// it is opened: opening a named pipe would wait for its other end.
func readBounded(name string, info fs.FileInfo, limit int64, open func() (*os.File, error)) ([]byte, error) {
	switch {
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("reading %s: not a regular file", name)
	case info.Size() > limit:
		return nil, fmt.Errorf("reading %s: %d bytes, more than the %d such a file may have", name, info.Size(), limit)
	}
	h, err := open()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, cause(err))
	}
	defer h.Close()
	data, err := io.ReadAll(io.LimitReader(h, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, cause(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("reading %s: more than the %d bytes such a file may have", name, limit)
	}
	return data, nil
}

// anywhere is the file system, for files that the user names.
type anywhere struct{ base string }

func (anywhere) Close() error { return nil }

func (a anywhere) name(rel string) string {
	p := filepath.FromSlash(rel)
	if !filepath.IsAbs(p) {
		p = filepath.Join(a.base, p)
	}
	return p
}

func (a anywhere) read(rel string, limit int64) ([]byte, error) {
	p := a.name(rel)
	info, err := os.Stat(p)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, fmt.Errorf("reading %s: %w", p, cause(err))
	}
	return readBounded(p, info, limit, func() (*os.File, error) { return os.Open(p) })
}

// commit is the tree of a commit.
type commit struct {
	*gittree.Tree
	rev string
}

func (c commit) read(rel string, limit int64) ([]byte, error) {
	data, err := c.Tree.Read(rel, limit)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fs.ErrNotExist
	}
	return data, err
}

func (c commit) name(rel string) string { return c.rev + ":" + rel }

// nothing is a tree without files.
type nothing struct{}

func (nothing) read(string, int64) ([]byte, error) { return nil, fs.ErrNotExist }
func (nothing) name(rel string) string             { return rel }
func (nothing) Close() error                       { return nil }

// cause leaves out what the caller tells itself.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

// inside gives the path of ref as seen from the file from, both of one tree; it
// must not lead out of that.
func inside(from, ref string) (string, error) {
	if path.IsAbs(ref) || filepath.IsAbs(ref) || strings.Contains(ref, `\`) {
		return "", fmt.Errorf("%q is no path relative to this file, with slashes", ref)
	}
	p := path.Join(path.Dir(from), ref)
	if p == ".." || strings.HasPrefix(p, "../") {
		return "", fmt.Errorf("%q leads out of the scanned tree", ref)
	}
	return p, nil
}

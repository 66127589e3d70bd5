package sources

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/ignore"
)

// FileOptions say what of a folder is wanted. The zero value reads every
// regular text file.
type FileOptions struct {
	// Gitignore leaves out what .gitignore files and .git/info/exclude name.
	Gitignore bool
	// ExcludeEnv leaves out git-ignored .env* files too. By default they are
	// read although they are ignored: a secret that is kept out of git lies
	// there, and every program of the machine can read it.
	ExcludeEnv bool
	// MaxFileSize is the largest file read, in bytes; larger ones are skipped
	// as too large. Zero is no limit: files are streamed.
	MaxFileSize int64
	// Archives are the limits on archives.
	Archives ArchiveOptions
	// StopAtRepositories passes over folders below the root that are
	// repositories of their own: the caller scans them as such.
	StopAtRepositories bool
	// Kind is the items' Origin.Source; "file" when empty.
	Kind string
	// Prefix is put before every path: where the root lies in its repository.
	Prefix string
}

// Files is the source of a file, or of all files below a folder, in the order
// of their names, bytewise, folders where their name falls. Symbolic links
// are not followed, except root itself; devices, sockets and named pipes are
// never opened; the insides of .git folders are not files.
func Files(root string, opts FileOptions) Source {
	if opts.Kind == "" {
		opts.Kind = "file"
	}
	return &fileSource{root: root, opts: opts}
}

type fileSource struct {
	root string
	opts FileOptions
}

// Places implements Placed.
func (s *fileSource) Places() []string {
	abs, err := filepath.Abs(s.root)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil // Items tells it
	}
	return []string{abs}
}

func (s *fileSource) Items(ctx context.Context, yield func(Item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	info, err := os.Stat(s.root)
	if err != nil {
		return targetError(s.root, err)
	}
	if !info.IsDir() {
		return yield(s.single(info))
	}
	root, err := os.OpenRoot(s.root)
	if err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return yield(s.skip(".", SkipUnreadable, err))
		}
		return targetError(s.root, err)
	}
	w := &walk{fileSource: s, ctx: ctx, yield: yield}
	g := ignore.New(openRegular)
	if s.opts.Gitignore {
		g = ignore.Outer(openRegular, s.root, s.opts.Prefix)
	}
	return w.dir(newFolder(root), ".", g, false)
}

// single is the item of a root that is a file. Its path is the root as it was
// named: there is no folder it could be relative to.
func (s *fileSource) single(info fs.FileInfo) Item {
	it := Item{Origin: Origin{Source: s.opts.Kind, Root: s.root, Path: filepath.ToSlash(s.root)}, Size: info.Size()}
	switch {
	case !info.Mode().IsRegular():
		it.Size, it.Skip = -1, &Skip{Reason: SkipSpecial, Err: fmt.Errorf("not a regular file (%s); to scan what it gives, pipe it in and scan -", info.Mode().Type())}
	case s.opts.MaxFileSize > 0 && info.Size() > s.opts.MaxFileSize:
		it.Skip = tooLarge(info.Size(), s.opts.MaxFileSize)
	default:
		it.Open = func(ctx context.Context) (io.ReadCloser, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			// The root may be a link and is followed: the user named it.
			f, err := os.OpenFile(s.root, os.O_RDONLY|gitrepo.OpenFlags, 0)
			rc, err := plain(f, nil, err)
			if err != nil {
				return nil, err
			}
			return opened(rc, s.opts.Archives)
		}
	}
	return it
}

func tooLarge(size, limit int64) *Skip {
	return &Skip{Reason: SkipTooLarge, Err: fmt.Errorf("%d bytes, the limit is %d", size, limit)}
}

func targetError(target string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%q does not exist; check the spelling, or use - to scan standard input: %w", target, fs.ErrNotExist)
	}
	return fmt.Errorf("cannot scan %q: %w", target, cause(err))
}

// cause strips the operation and path that os errors repeat.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

func (s *fileSource) origin(name string) Origin {
	return Origin{Source: s.opts.Kind, Root: s.root, Path: path.Join(s.opts.Prefix, name)}
}

func (s *fileSource) skip(name string, r Reason, err error) Item {
	if err != nil {
		err = cause(err)
	}
	return Item{Origin: s.origin(name), Size: -1, Skip: &Skip{Reason: r, Err: err}}
}

// folder is an open folder. What lies in it is opened through it, one step from
// there, and no link that takes the place of a parent leads elsewhere. It is
// closed when the walk and all items that were not opened yet let it go.
type folder struct {
	root *os.Root
	refs atomic.Int32
}

func newFolder(root *os.Root) *folder {
	f := &folder{root: root}
	f.refs.Store(1)
	return f
}

func (f *folder) release() {
	if f.refs.Add(-1) == 0 {
		f.root.Close()
	}
}

// walk is the state of one Items call over a folder.
type walk struct {
	*fileSource
	ctx   context.Context
	yield func(Item) error
}

// dir walks one folder and lets it go. In a folder that is ignored only .env*
// files are looked for.
func (w *walk) dir(f *folder, name string, g ignore.Rules, ignored bool) error {
	defer f.release()
	if err := w.ctx.Err(); err != nil {
		return err
	}
	entries, err := list(f.root)
	if err != nil {
		return w.yield(w.skip(name, reasonOf(err), err))
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	isRepo := slices.Contains(names, ".git")
	if name != "." && w.opts.StopAtRepositories && (isRepo || gitrepo.BareNames(names)) && gitrepo.IsRepository(filepath.Join(w.fileSource.root, filepath.FromSlash(name))) {
		return nil
	}
	if w.opts.Gitignore && !ignored && (isRepo || slices.Contains(names, ".gitignore")) {
		g = g.In(f.root, w.opts.Prefix, name, isRepo)
	}
	for _, e := range entries {
		if e.Name() == ".git" {
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.entry(f, e, path.Join(name, e.Name()), g, ignored); err != nil {
			return err
		}
	}
	return nil
}

// list gives the entries of a folder in bytewise order of their names.
func list(root *os.Root) ([]fs.DirEntry, error) {
	f, err := root.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

func reasonOf(err error) Reason {
	if errors.Is(err, fs.ErrNotExist) {
		return SkipMissing // there when it was listed
	}
	return SkipUnreadable
}

func (w *walk) entry(f *folder, e fs.DirEntry, name string, g ignore.Rules, ignored bool) error {
	if e.IsDir() {
		if !ignored && w.opts.Gitignore && g.Ignored(w.opts.Prefix, name, true) {
			if err := w.yield(w.skip(name, SkipIgnored, nil)); err != nil || w.opts.ExcludeEnv {
				return err
			}
			ignored = true
		}
		sub, err := f.root.OpenRoot(e.Name())
		if err != nil {
			return w.yield(w.skip(name, reasonOf(err), err))
		}
		return w.dir(newFolder(sub), name, g, ignored)
	}
	isEnv := !w.opts.ExcludeEnv && strings.HasPrefix(e.Name(), ".env")
	switch {
	case ignored && !isEnv:
		return nil // told once, with its folder
	case w.opts.Gitignore && !ignored && !isEnv && g.Ignored(w.opts.Prefix, name, false):
		return w.yield(w.skip(name, SkipIgnored, nil))
	case e.Type()&fs.ModeSymlink != 0:
		return w.yield(w.skip(name, SkipSymlink, nil))
	case !e.Type().IsRegular():
		return w.yield(w.skip(name, SkipSpecial, nil))
	}
	it := Item{Origin: w.origin(name), Size: -1}
	if w.opts.MaxFileSize > 0 {
		info, err := f.root.Lstat(e.Name())
		if err != nil {
			return w.yield(w.skip(name, reasonOf(err), err))
		}
		if it.Size = info.Size(); it.Size > w.opts.MaxFileSize {
			it.Skip = tooLarge(it.Size, w.opts.MaxFileSize)
			return w.yield(it)
		}
	}
	it.Open = w.opener(f, e.Name(), name)
	return w.yield(it)
}

// opener opens a file through its folder, base being its name there, and a
// second time through a root of its own, since items outlive the walk.
func (w *walk) opener(f *folder, base, name string) func(context.Context) (io.ReadCloser, error) {
	f.refs.Add(1)
	var opened atomic.Bool
	return func(ctx context.Context) (io.ReadCloser, error) {
		if !opened.Swap(true) {
			defer f.release()
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			return w.openText(f.root, base)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		root, err := os.OpenRoot(w.fileSource.root)
		if err != nil {
			return nil, &SkipError{Reason: reasonOf(err), Err: cause(err)}
		}
		defer root.Close()
		return w.openText(root, name)
	}
}

func (w *walk) openText(root *os.Root, name string) (io.ReadCloser, error) {
	f, err := openRegular(root, name)
	if err != nil {
		return nil, err
	}
	return opened(f, w.opts.Archives)
}

// openRegular opens a file that is regular before it is opened and the same
// file after: a link or pipe that takes its place in between is refused.
func openRegular(root *os.Root, name string) (io.ReadCloser, error) {
	before, err := root.Lstat(name)
	if err != nil {
		return nil, &SkipError{Reason: reasonOf(err), Err: cause(err)}
	}
	if !before.Mode().IsRegular() {
		return nil, &SkipError{Reason: SkipSpecial}
	}
	f, err := root.OpenFile(name, os.O_RDONLY|gitrepo.OpenFlags, 0)
	return plain(f, before, err)
}

// plain checks what was opened.
func plain(f *os.File, before fs.FileInfo, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, &SkipError{Reason: reasonOf(err), Err: cause(err)}
	}
	after, err := f.Stat()
	switch {
	case err != nil:
		f.Close()
		return nil, &SkipError{Reason: SkipUnreadable, Err: cause(err)}
	case !after.Mode().IsRegular():
		f.Close()
		return nil, &SkipError{Reason: SkipSpecial}
	case before != nil && !os.SameFile(before, after):
		f.Close()
		return nil, &SkipError{Reason: SkipUnreadable, Err: errors.New("it was replaced while it was opened; scan again")}
	}
	return f, nil
}

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

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// OpenOptions say what of a target is wanted.
type OpenOptions struct {
	// Stdin is what "-" reads.
	Stdin io.Reader
	// History and Worktree say what of a repository is scanned; a target that
	// is none is not affected.
	History, Worktree bool
	// Scope narrows the history, and asks for a repository unless it has nothing
	// but Paths.
	Scope Scope
	// NoGitignore scans git-ignored files too.
	NoGitignore bool
	// ExcludeEnv leaves out git-ignored .env* files, which are scanned by
	// default.
	ExcludeEnv bool
	// MaxFileSize is that of FileOptions.
	MaxFileSize int64
	// Archives are the limits on archives, in files and in history.
	Archives ArchiveOptions
	// Unreachable, TrustAlternates, Memory and Walks are those of GitOptions.
	Unreachable, TrustAlternates bool
	Memory                       int64
	Walks                        Memory
	// Note is told, a line at a time, what is done before anything can be scanned,
	// such as a clone; an empty line when that is done. It may be nil.
	Note func(string)
}

// Open turns a target, as a person names it, into sources. Nothing but the names
// of folders is read. A target is
//
//   - standard input
//     https://…, ssh://…, user@host:path and the like   a repository elsewhere: a
//     clone, which the source's Close takes away
//     git:PATH              a repository, or the folder of one; an error if it is none
//     file:PATH, dir:PATH   the files at PATH, no git
//     PATH                  a file: its content as it is now, also in a repository;
//     a folder in a repository, or a bare one: as git:PATH;
//     any other folder: its files
//
// Repositories below a folder are sources of their own, each one once; the
// folder's own source then leaves them out.
func Open(target string, o OpenOptions) (srcs []Source, err error) {
	if target == "-" {
		if o.Stdin == nil {
			return nil, errors.New("standard input is not available here; name a file or folder")
		}
		return []Source{&stdinSource{r: o.Stdin, o: o.Archives}}, nil
	}
	if src, ok, err := o.remote(target); ok {
		return []Source{src}, err
	}
	if p, ok := strings.CutPrefix(target, "git:"); ok {
		if err := exists(p); err != nil {
			return nil, err
		}
		if _, err := gitrepo.Find(p, o.TrustAlternates); err != nil {
			return nil, err
		}
		return o.repository(p)
	}
	for _, prefix := range []string{"file:", "dir:"} {
		if p, ok := strings.CutPrefix(target, prefix); ok {
			if err := exists(p); err != nil {
				return nil, err
			}
			return []Source{o.narrowed(Files(p, o.files()))}, nil
		}
	}
	if err := exists(target); err != nil {
		return nil, err
	}
	info, err := os.Stat(target)
	if err != nil {
		return nil, targetError(target, err)
	}
	if !info.IsDir() {
		return []Source{o.narrowed(Files(target, o.files()))}, nil
	}
	_, err = gitrepo.Find(target, o.TrustAlternates)
	switch {
	case err == nil:
		return o.repository(target)
	case errors.Is(err, gitrepo.ErrBroken) && !o.Scope.NeedsGit():
		if o.Worktree {
			srcs = append([]Source{o.outer(target)}, o.nested(target)...)
		}
		if o.History {
			srcs = append(srcs, refused{dir: target, err: err})
		}
		return srcs, nil
	case !errors.Is(err, gitrepo.ErrNotRepository) || gitrepo.IsRepository(target) || o.Scope.NeedsGit():
		return nil, err
	}
	return append([]Source{o.outer(target)}, o.nested(target)...), nil
}

func exists(target string) error {
	if target == "" {
		return errors.New("the target is empty; name a file, a folder or a repository, or - for standard input")
	}
	if _, err := os.Stat(target); err != nil {
		return targetError(target, err)
	}
	return nil
}

func (o OpenOptions) files() FileOptions {
	return FileOptions{Gitignore: !o.NoGitignore, ExcludeEnv: o.ExcludeEnv, MaxFileSize: o.MaxFileSize, Archives: o.Archives}
}

// outer is the source of a folder without the repositories in it.
func (o OpenOptions) outer(dir string) Source {
	f := o.files()
	f.StopAtRepositories = true
	return o.narrowed(Files(dir, f))
}

// narrowed leaves only the items of a folder at the scope's paths.
func (o OpenOptions) narrowed(src Source) Source {
	if len(o.Scope.Paths) == 0 {
		return src
	}
	return inPaths{src, o.Scope}
}

type inPaths struct {
	Source
	scope Scope
}

// Items implements Source.
func (n inPaths) Items(ctx context.Context, yield func(Item) error) error {
	return n.Source.Items(ctx, func(it Item) error {
		if it.Origin.Path != "" && !n.scope.InPaths(it.Origin.Path) {
			return nil
		}
		return yield(it)
	})
}

func (o OpenOptions) git(dir string) Source {
	f := o.files()
	f.StopAtRepositories = true
	return Git(dir, GitOptions{History: o.History, Worktree: o.Worktree && !o.Scope.NeedsGit(), Scope: o.Scope, Files: f, Archives: o.Archives, Unreachable: o.Unreachable, TrustAlternates: o.TrustAlternates, Memory: o.Memory, Walks: o.Walks})
}

// repository is one repository and those below its working tree. A scope is of the
// one alone.
func (o OpenOptions) repository(dir string) ([]Source, error) {
	if !o.History && !o.Worktree && !o.Scope.NeedsGit() {
		return nil, fmt.Errorf("nothing of %q is wanted: both its history and its working tree are excluded", dir)
	}
	srcs := []Source{o.git(dir)}
	if o.Scope.NeedsGit() {
		return srcs, nil
	}
	return append(srcs, o.nested(dir)...), nil
}

// nested finds the repositories below dir, in the order of their names. One that
// may not be opened as a repository, such as a .git file that leads astray, is
// scanned as a folder, and its history told as skipped.
func (o OpenOptions) nested(dir string) []Source {
	if gitrepo.IsGitDir(dir) {
		return nil
	}
	var out []Source
	// A folder that cannot be listed is told by the source that walks it.
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return nil
		case !d.IsDir():
			return nil
		case d.Name() == ".git":
			return fs.SkipDir
		case p == dir || !gitrepo.IsRepository(p):
			return nil
		}
		if _, err := gitrepo.Find(p, o.TrustAlternates); err != nil {
			out = append(out, refused{dir: p, err: err}, below(dir, p, o.outer(p)))
			return nil
		}
		out = append(out, below(dir, p, o.git(p)))
		if gitrepo.IsGitDir(p) {
			return fs.SkipDir
		}
		return nil
	})
	return slices.Clip(out)
}

// under is a source whose paths are told from a folder above it, which is what
// the user named.
type under struct {
	Source
	rel string
}

// below makes src, which was opened on p, tell its paths relative to dir.
func below(dir, p string, src Source) Source {
	rel, err := filepath.Rel(dir, p)
	if err != nil {
		return src
	}
	u := under{src, filepath.ToSlash(rel)}
	if g, ok := src.(*gitSource); ok {
		return underGit{u, g}
	}
	return u
}

// underGit is under for a repository.
type underGit struct {
	under
	git *gitSource
}

// Visit implements Visitor.
func (u underGit) Visit(ctx context.Context, items []Item, workers int, f func(*Content) any) (left []int, err error) {
	return u.git.Visit(ctx, items, workers, f)
}

// Attribute implements Attributor.
func (u underGit) Attribute(ctx context.Context, seen []Sighting) ([]Attribution, error) {
	own := slices.Clone(seen)
	for i := range own {
		own[i].Path = strings.TrimPrefix(own[i].Path, u.rel+"/")
	}
	return u.git.Attribute(ctx, own)
}

// Items implements Source.
func (u under) Items(ctx context.Context, yield func(Item) error) error {
	return u.Source.Items(ctx, func(it Item) error {
		if it.Origin.Path != "" {
			it.Origin.Path = path.Join(u.rel, it.Origin.Path)
		}
		return yield(it)
	})
}

// Counts implements Counter.
func (u under) Counts() Counts {
	if c, ok := u.Source.(Counter); ok {
		return c.Counts()
	}
	return Counts{}
}

// Places implements Placed.
func (u under) Places() []string {
	if p, ok := u.Source.(Placed); ok {
		return p.Places()
	}
	return nil
}

// Places implements Placed.
func (n inPaths) Places() []string { return under{Source: n.Source}.Places() }

// Close implements io.Closer.
func (u under) Close() error {
	if c, ok := u.Source.(io.Closer); ok {
		return c.Close()
	}
	return nil
}

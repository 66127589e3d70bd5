// Package gittree reads files of a commit: what configures a scan is read from one
// where the working tree is not to be trusted with it.
//
// It knows paths and objects, not what the files mean. Start reading at Open.
package gittree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// Locate says where the repository begins that a folder lies in: root is its
// working tree's top, prefix the folder below it, slash-separated. A bare
// repository has an empty root. The error wraps ErrNotRepository where there is
// none.
func Locate(dir string, trust bool) (root, prefix string, err error) {
	l, err := gitrepo.Find(dir, trust)
	return l.Worktree, l.Prefix, err
}

// ErrNotRepository says that a folder is in no git repository.
var ErrNotRepository = gitrepo.ErrNotRepository

// Tree is the files of one commit.
type Tree struct {
	repo *gitrepo.Repository
	root plumbing.Hash
	// Commit is its object id in hex.
	Commit string
}

// Open opens the commit that rev names in the repository of dir. HEAD of a
// repository without a commit is fs.ErrNotExist.
func Open(dir, rev string, trust bool) (*Tree, error) {
	l, err := gitrepo.Find(dir, trust)
	if err != nil {
		return nil, err
	}
	r, err := gitrepo.Open(l, 0)
	if err != nil {
		return nil, fmt.Errorf("opening the repository of %q: %w", dir, err)
	}
	if rev == "HEAD" && r.Head.IsZero() {
		r.Objects.Close()
		return nil, fmt.Errorf("the repository of %q has no commit: %w", dir, fs.ErrNotExist)
	}
	h, err := r.Resolve(rev)
	if err != nil {
		r.Objects.Close()
		return nil, err
	}
	c, err := r.Commit(h)
	if err != nil {
		r.Objects.Close()
		return nil, fmt.Errorf("reading commit %s: %w", h, err)
	}
	return &Tree{repo: r, root: c.Tree, Commit: h.String()}, nil
}

// Close frees what the tree holds.
func (t *Tree) Close() error {
	t.repo.Objects.Close()
	return nil
}

// modeFile is the type bits of regular files.
const modeFile = 0o100000

// ErrNotFile says that a path of a tree is a folder, a link or a submodule.
var ErrNotFile = errors.New("not a regular file")

// Read gives the file at a slash-separated path. One that is not there is
// fs.ErrNotExist, a link or a folder ErrNotFile, and more than limit bytes an error.
func (t *Tree) Read(path string, limit int64) ([]byte, error) {
	at, parts := t.root, strings.Split(path, "/")
	for i, name := range parts {
		e, err := t.entry(at, name)
		if err != nil {
			return nil, fmt.Errorf("reading %s in commit %s: %w", path, t.Commit, err)
		}
		kind := e.Mode & gitrepo.ModeType
		if last := i == len(parts)-1; last && kind == modeFile {
			return t.blob(path, e.Hash, limit)
		} else if last || kind != gitrepo.ModeTree {
			return nil, fmt.Errorf("reading %s in commit %s: %w", path, t.Commit, ErrNotFile)
		}
		at = e.Hash
	}
	return nil, fs.ErrNotExist
}

func (t *Tree) entry(tree plumbing.Hash, name string) (gitrepo.TreeEntry, error) {
	data, err := t.repo.Objects.Read(plumbing.TreeObject, tree)
	if err != nil {
		return gitrepo.TreeEntry{}, err
	}
	for e, err := range gitrepo.TreeEntries(data) {
		if err != nil || string(e.Name) == name {
			return e, err
		}
	}
	return gitrepo.TreeEntry{}, fs.ErrNotExist
}

func (t *Tree) blob(path string, id plumbing.Hash, limit int64) ([]byte, error) {
	rc, err := t.repo.Objects.OpenBlob(id)
	if err != nil {
		return nil, fmt.Errorf("reading %s in commit %s: %w", path, t.Commit, err)
	}
	defer rc.Close()
	data, err := io.ReadAll(io.LimitReader(rc, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s in commit %s: %w", path, t.Commit, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s in commit %s has more than the %d bytes such a file may have", path, t.Commit, limit)
	}
	return data, nil
}

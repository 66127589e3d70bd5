package gitrepo

import (
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Folders are folders of trees that were looked into. The zero Folders is ready.
type Folders struct {
	known map[string]map[string]plumbing.Hash // by tree and path

	of      plumbing.Hash // the commit that removed is of
	removed []string
}

// Find gives what stands at a path of a tree.
func (f *Folders) Find(s *Store, root plumbing.Hash, p string) (plumbing.Hash, bool) {
	dir, name := path.Split(p)
	id, ok := f.Files(s, root, strings.TrimSuffix(dir, "/"))[name]
	return id, ok
}

// maxRemoved bounds the paths that a commit took away which are asked about for each
// that it brought. A commit that renames more keeps, nearly always, the files' names.
const maxRemoved = 16

// Removed gives paths of files that a parent of the commit has and the commit has not:
// all of them, or where they are many, those with the name of p.
func (f *Folders) Removed(r *Repository, commit plumbing.Hash, p string) (out []string) {
	if f.of != commit {
		f.of, f.removed = commit, nil
		if c, err := r.Commit(commit); err == nil {
			for _, id := range c.Parents {
				if parent, err := r.Commit(id); err == nil {
					f.diff(r.Objects, parent.Tree, c.Tree, "", 0)
				}
			}
		}
	}
	for _, q := range f.removed {
		if len(f.removed) <= maxRemoved || path.Base(q) == path.Base(p) {
			out = append(out, q)
		}
	}
	return out
}

// diff adds to removed what before has and after, zero for nothing, has not.
func (f *Folders) diff(s *Store, before, after plumbing.Hash, dir string, depth int) {
	if before == after || depth > MaxTreeDepth {
		return
	}
	data, err := s.Read(plumbing.TreeObject, before)
	if err != nil {
		return
	}
	now := map[string]TreeEntry{}
	if !after.IsZero() {
		data, err := s.Read(plumbing.TreeObject, after)
		if err != nil {
			return
		}
		for e, err := range TreeEntries(data) {
			if err == nil {
				now[string(e.Name)] = e
			}
		}
	}
	for e, err := range TreeEntries(data) {
		if err != nil {
			return
		}
		n, stays := now[string(e.Name)]
		switch e.Mode & ModeType {
		case ModeTree:
			if n.Mode&ModeType != ModeTree {
				n.Hash = plumbing.ZeroHash
			}
			f.diff(s, e.Hash, n.Hash, dir+string(e.Name)+"/", depth+1)
		case ModeGitlink:
		default:
			if !stays {
				f.removed = append(f.removed, dir+string(e.Name))
			}
		}
	}
}

// Files gives the blobs and folders in a folder of a tree, by name; nil where it
// cannot be read. They are kept: many files of a scope lie in few folders.
func (f *Folders) Files(s *Store, root plumbing.Hash, dir string) map[string]plumbing.Hash {
	key := root.String() + dir
	if m, known := f.known[key]; known {
		return m
	}
	id := root
	if dir != "" {
		up, name := path.Split(dir)
		id = f.Files(s, root, strings.TrimSuffix(up, "/"))[name]
	}
	var m map[string]plumbing.Hash
	if data, err := s.Read(plumbing.TreeObject, id); err == nil {
		m = map[string]plumbing.Hash{}
		for e, err := range TreeEntries(data) {
			if err == nil && e.Mode&ModeType != ModeGitlink {
				m[string(e.Name)] = e.Hash
			}
		}
	}
	if f.known == nil {
		f.known = map[string]map[string]plumbing.Hash{}
	}
	f.known[key] = m
	return m
}

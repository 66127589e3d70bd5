package gitrepo

import (
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

// Folders are folders of trees that were looked into. The zero Folders is ready.
type Folders struct {
	known map[string]map[string]plumbing.Hash // by tree and path
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

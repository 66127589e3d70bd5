// Package ignore knows which paths git ignores: the patterns of .gitignore files and
// of .git/info/exclude, from folder to folder.
//
// It reads those files through what it is given, and knows nothing of who walks the
// folders. Start reading at Rules.
package ignore

import (
	"bytes"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// Open opens a regular file in a folder.
type Open func(root *os.Root, name string) (io.ReadCloser, error)

// New gives the rules of nothing.
func New(open Open) Rules { return Rules{open: open} }

// Outer gives the rules of the folders above root in the same repository, which hold
// for what lies below root too; prefix is where root lies in it.
func Outer(open Open, root, prefix string) Rules {
	g := New(open)
	if prefix == "" {
		return g
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		return g
	}
	n := len(Split(prefix))
	for range n {
		abs = filepath.Dir(abs)
	}
	top, err := os.OpenRoot(abs)
	if err != nil {
		return g
	}
	defer top.Close()
	parts := Split(prefix)
	g = g.Enter(top, ".", nil, true)
	for i := 1; i < n; i++ {
		g = g.Enter(top, path.Join(parts[:i]...), parts[:i:i], false)
	}
	return g
}

// In gives the patterns in force in the folder root, name in a walk that begins at
// prefix in its repository: patterns there are relative to the repository.
func (g Rules) In(root *os.Root, prefix, name string, isRepo bool) Rules {
	if prefix == "" || g.base != nil || (isRepo && name != ".") {
		return g.Enter(root, ".", Split(name), isRepo)
	}
	g.patterns = g.patterns[:len(g.patterns):len(g.patterns)]
	g.add(root, ".gitignore", Split(path.Join(prefix, name)))
	return g
}

// Ignored reports whether the path is ignored, in a walk that begins at prefix. Rules
// of the repository that the walk's root is a part of know it with its prefix, those
// of nested ones without.
func (g Rules) Ignored(prefix, name string, isDir bool) bool {
	if g.base == nil {
		name = path.Join(prefix, name)
	}
	return g.Match(name, isDir)
}

// limit bounds an ignore file: git's own refuse more than 100 MB; a list
// of patterns a person keeps is far below 1 MB, and each pattern is tried on
// every path below it.
const limit = 1 << 20

// Rules are the patterns in force in one folder: those of its ancestors in
// the same repository, then its own.
type Rules struct {
	open     Open
	patterns []gitignore.Pattern
	base     []string // the repository's root, in path elements below the scan's root
}

// Enter gives the patterns in force in the folder dir of root, whose parent's are
// g; domain is its path from where patterns begin. isRepo says that it holds a
// repository of its own: ignore rules stop there.
func (g Rules) Enter(root *os.Root, dir string, domain []string, isRepo bool) Rules {
	if isRepo {
		g = Rules{open: g.open, base: domain}
		g.add(root, path.Join(dir, ".git/info/exclude"), domain)
	}
	// Full slice: siblings must not write into each other's patterns.
	g.patterns = g.patterns[:len(g.patterns):len(g.patterns)]
	g.add(root, path.Join(dir, ".gitignore"), domain)
	return g
}

// add appends the patterns of one ignore file. One that is not there, is not a
// regular file or cannot be read ignores nothing: more is scanned, never less.
func (g *Rules) add(root *os.Root, name string, domain []string) {
	f, err := g.open(root, name)
	if err != nil {
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return
	}
	g.parse(data, domain)
}

func (g *Rules) parse(data []byte, domain []string) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		g.patterns = append(g.patterns, gitignore.ParsePattern(line, domain))
	}
}

// Match reports whether the path is ignored by a pattern that names it. Its
// parents are asked about on the way down.
func (g Rules) Match(name string, isDir bool) bool {
	if len(g.patterns) == 0 {
		return false
	}
	return gitignore.NewMatcher(g.patterns).Match(Split(name), isDir)
}

// Split gives the elements of a path in a walk, whose root is ".".
func Split(name string) []string {
	if name == "." || name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

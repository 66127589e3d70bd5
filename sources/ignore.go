package sources

import (
	"bytes"
	"io"
	"os"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// ignoreLimit bounds an ignore file: git's own refuse more than 100 MB; a list
// of patterns a person keeps is far below 1 MB, and each pattern is tried on
// every path below it.
const ignoreLimit = 1 << 20

// ignores are the patterns in force in one folder: those of its ancestors in
// the same repository, then its own.
type ignores struct {
	patterns []gitignore.Pattern
	base     []string // the repository's root, in path elements below the scan's root
}

// enter gives the patterns in force in the folder dir of root, whose parent's are
// g; domain is its path from where patterns begin. isRepo says that it holds a
// repository of its own: ignore rules stop there.
func (g ignores) enter(root *os.Root, dir string, domain []string, isRepo bool) ignores {
	if isRepo {
		g = ignores{base: domain}
		g.add(root, path.Join(dir, ".git/info/exclude"), domain)
	}
	// Full slice: siblings must not write into each other's patterns.
	g.patterns = g.patterns[:len(g.patterns):len(g.patterns)]
	g.add(root, path.Join(dir, ".gitignore"), domain)
	return g
}

// add appends the patterns of one ignore file. One that is not there, is not a
// regular file or cannot be read ignores nothing: more is scanned, never less.
func (g *ignores) add(root *os.Root, name string, domain []string) {
	f, err := openRegular(root, name)
	if err != nil {
		return
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, ignoreLimit))
	if err != nil {
		return
	}
	g.parse(data, domain)
}

func (g *ignores) parse(data []byte, domain []string) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	for line := range strings.SplitSeq(string(data), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		g.patterns = append(g.patterns, gitignore.ParsePattern(line, domain))
	}
}

// match reports whether the path is ignored by a pattern that names it. Its
// parents are asked about on the way down.
func (g ignores) match(name string, isDir bool) bool {
	if len(g.patterns) == 0 {
		return false
	}
	return gitignore.NewMatcher(g.patterns).Match(split(name), isDir)
}

func split(name string) []string {
	if name == "." || name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

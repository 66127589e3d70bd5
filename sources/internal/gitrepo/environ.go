package gitrepo

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Git tells its hooks, and a user tells git, by environment variables where the parts
// of a repository lie (git(1), "The Git Repository"). They are about the repository
// that the process is in, so they count for the current folder and for no other
// target; and they are trusted as the command line is.

// fromEnvironment gives the layout that GIT_DIR tells of the current folder.
func fromEnvironment(target, here string, trust bool) (Layout, error) {
	l := Layout{GitDir: absolute(here, os.Getenv("GIT_DIR"))}
	if isFile(l.GitDir) {
		dir, err := followDotGit(here, l.GitDir, true)
		if err != nil {
			return l, err
		}
		l.GitDir = dir
	}
	var err error
	if l.GitDir, err = filepath.EvalSymlinks(l.GitDir); err != nil || !IsGitDir(l.GitDir) {
		return l, fmt.Errorf("GIT_DIR is %q: %w", os.Getenv("GIT_DIR"), ErrNotRepository)
	}
	l.Worktree = os.Getenv("GIT_WORK_TREE")
	if l.Worktree == "" && l.GitDir != here {
		cfg, err := readConfig(l.GitDir)
		if err != nil {
			return l, err
		}
		core := cfg.Raw.Section("core")
		if l.Worktree = core.Option("worktree"); l.Worktree != "" {
			l.Worktree = absolute(l.GitDir, l.Worktree)
		} else if !isTrue(core.Option("bare")) {
			l.Worktree = here
		}
	}
	if l.Worktree != "" {
		if l.Worktree, err = filepath.EvalSymlinks(absolute(here, l.Worktree)); err != nil {
			return l, fmt.Errorf("the working tree of GIT_DIR: %w", err)
		}
		if rel, err := filepath.Rel(l.Worktree, here); err == nil && filepath.IsLocal(rel) && rel != "." {
			l.Prefix = filepath.ToSlash(rel)
		}
	}
	return l.resolve(target, trust)
}

// isHere reports whether a folder is the current one.
func isHere(dir string) bool {
	wd, err := os.Getwd()
	if err == nil {
		wd, err = filepath.EvalSymlinks(wd)
	}
	return err == nil && wd == dir
}

// addEnvironment adds the folders of objects and the index that the environment names.
func (l *Layout) addEnvironment() {
	base := l.Worktree
	if base == "" {
		base = l.GitDir
	}
	if name := os.Getenv("GIT_INDEX_FILE"); name != "" {
		l.Index = absolute(base, name)
	}
	dirs := []string{os.Getenv("GIT_OBJECT_DIRECTORY"), os.Getenv("GIT_QUARANTINE_PATH")}
	for _, dir := range append(dirs, splitPaths(os.Getenv("GIT_ALTERNATE_OBJECT_DIRECTORIES"))...) {
		if dir == "" {
			continue
		}
		real, err := filepath.EvalSymlinks(absolute(base, dir))
		// One that is not there holds nothing, to git as well.
		if err == nil && real != filepath.Join(l.CommonDir, "objects") && !slices.Contains(l.Alternates, real) {
			l.Alternates = append(l.Alternates, real)
		}
	}
}

// splitPaths splits a list of paths, of which those that begin with a quote are quoted
// as in C.
func splitPaths(s string) (paths []string) {
	for s != "" {
		if quoted, err := strconv.QuotedPrefix(s); err == nil && s[0] == '"' {
			if p, err := strconv.Unquote(quoted); err == nil {
				paths = append(paths, p)
			}
			s = strings.TrimPrefix(s[len(quoted):], string(os.PathListSeparator))
			continue
		}
		var p string
		p, s, _ = strings.Cut(s, string(os.PathListSeparator))
		if p != "" {
			paths = append(paths, p)
		}
	}
	return paths
}

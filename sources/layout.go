package sources

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// layout is where the parts of a repository lie on disk. All paths are absolute
// and free of links.
type layout struct {
	worktree  string // its root; empty for a bare repository
	gitDir    string // HEAD and index
	commonDir string // objects and refs; gitDir unless it is a linked worktree
	prefix    string // slash-separated, the scanned folder below worktree
	// alternates are further object folders, each one once, in order.
	alternates []string
}

var (
	errNotRepository = errors.New("not a git repository")
	// errUntrusted: a repository names folders that lie outside it. In a tree
	// from a stranger that could be any repository of this machine.
	errUntrusted = errors.New("leads outside the repository; pass --trust-alternates if that is meant")
)

// metaLimit bounds the files of a few lines that describe a repository: .git,
// commondir, alternates. A path is at most 4 KiB on Linux.
const metaLimit = 64 << 10

// findRepository looks for the repository that path is, or lies in.
func findRepository(target string, trust bool) (layout, error) {
	abs, err := filepath.Abs(target)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return layout{}, targetError(target, err)
	}
	if info, err := os.Stat(abs); err != nil {
		return layout{}, targetError(target, err)
	} else if !info.IsDir() {
		return layout{}, fmt.Errorf("%q: %w but a file; without git: its content is scanned", target, errNotRepository)
	}
	if isGitDir(abs) {
		return layout{gitDir: abs}.resolve(target, trust)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		dot := filepath.Join(dir, ".git")
		info, err := os.Stat(dot)
		if err == nil && (!info.IsDir() || isGitDir(dot)) {
			rel, err := filepath.Rel(dir, abs)
			if err != nil {
				return layout{}, fmt.Errorf("finding %q in the repository %q: %w", target, dir, err)
			}
			l := layout{worktree: dir, gitDir: dot, prefix: filepath.ToSlash(rel)}
			if l.prefix == "." {
				l.prefix = ""
			}
			return l.resolve(target, trust)
		}
		if filepath.Dir(dir) == dir {
			return layout{}, fmt.Errorf("%q: %w, nor is any folder above it; without git: its files are scanned", target, errNotRepository)
		}
	}
}

// isGitDir applies git's own test (is_git_directory): a HEAD, objects and refs,
// where the latter two may lie in the common folder of a linked worktree.
func isGitDir(dir string) bool {
	if _, err := os.Lstat(filepath.Join(dir, "HEAD")); err != nil {
		return false
	}
	if _, err := os.Stat(filepath.Join(dir, "commondir")); err == nil {
		return true
	}
	for _, n := range [...]string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(dir, n)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// isRepository reports whether dir itself, not one above it, is a repository.
func isRepository(dir string) bool {
	if isGitDir(dir) {
		return true
	}
	dot := filepath.Join(dir, ".git")
	info, err := os.Stat(dot)
	return err == nil && (info.Mode().IsRegular() || isGitDir(dot))
}

// bareNames is the cheap half of isGitDir, on the names in a folder.
func bareNames(names []string) bool {
	return slices.Contains(names, "HEAD") && slices.Contains(names, "objects") && slices.Contains(names, "refs")
}

// resolve follows .git files, commondir and alternates, as far as they are to be
// trusted.
func (l layout) resolve(target string, trust bool) (layout, error) {
	var err error
	if l.worktree != "" {
		if l.gitDir, err = followDotGit(l.worktree, l.gitDir, trust); err != nil {
			return l, fmt.Errorf("opening the repository %q: %w", target, err)
		}
	}
	l.commonDir = l.gitDir
	if data, err := readMeta(filepath.Join(l.gitDir, "commondir")); err == nil {
		l.commonDir = absolute(l.gitDir, strings.TrimSpace(data))
		if l.commonDir, err = filepath.EvalSymlinks(l.commonDir); err != nil {
			return l, fmt.Errorf("opening the repository %q: its commondir: %w", target, err)
		}
		// git makes worktrees in COMMON/worktrees/NAME, so an honest one points
		// at the folder that holds it.
		if !trust && !within(l.gitDir, filepath.Join(l.commonDir, "worktrees")) {
			return l, fmt.Errorf("opening the repository %q: its commondir %q %w", target, l.commonDir, errUntrusted)
		}
	}
	objects := filepath.Join(l.commonDir, "objects")
	real, err := filepath.EvalSymlinks(objects)
	if err != nil {
		return l, fmt.Errorf("opening the repository %q: %w", target, err)
	}
	if !trust && !within(real, l.commonDir) {
		return l, fmt.Errorf("opening the repository %q: its objects folder %q %w", target, real, errUntrusted)
	}
	if err := l.addAlternates(objects, trust, 0); err != nil {
		return l, fmt.Errorf("opening the repository %q: %w", target, err)
	}
	return l, nil
}

// followDotGit gives the folder that a .git stands for. A .git file may point
// anywhere; it is believed when the folder it names lies inside the worktree
// or points back: a linked worktree by its gitdir file, a submodule by
// core.worktree.
func followDotGit(worktree, dot string, trust bool) (string, error) {
	info, err := os.Stat(dot)
	if err != nil {
		return "", err
	}
	dir := dot
	if !info.IsDir() {
		data, err := readMeta(dot)
		if err != nil {
			return "", fmt.Errorf("reading %q: %w", dot, cause(err))
		}
		line, ok := strings.CutPrefix(strings.TrimSpace(data), "gitdir:")
		if !ok {
			return "", fmt.Errorf("%q: %w: it is a file without a line \"gitdir: PATH\"", dot, errNotRepository)
		}
		dir = absolute(worktree, strings.TrimSpace(line))
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil || !isGitDir(real) {
		return "", fmt.Errorf("%q points to %q: %w; was the repository moved?", dot, dir, errNotRepository)
	}
	if trust || within(real, worktree) || pointsBack(real, worktree) {
		return real, nil
	}
	return "", fmt.Errorf("%q points to %q, which %w", dot, real, errUntrusted)
}

func pointsBack(gitDir, worktree string) bool {
	if data, err := readMeta(filepath.Join(gitDir, "gitdir")); err == nil {
		back := filepath.Dir(absolute(gitDir, strings.TrimSpace(data)))
		if real, err := filepath.EvalSymlinks(back); err == nil && real == worktree {
			return true
		}
	}
	cfg, err := readConfig(gitDir)
	if err != nil {
		return false
	}
	back := cfg.Raw.Section("core").Option("worktree")
	if back == "" {
		return false
	}
	real, err := filepath.EvalSymlinks(absolute(gitDir, back))
	return err == nil && real == worktree
}

// maxAlternateDepth is git's own limit on alternates of alternates.
const maxAlternateDepth = 5

func (l *layout) addAlternates(objects string, trust bool, depth int) error {
	data, err := readMeta(filepath.Join(objects, "info", "alternates"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading its alternates: %w", cause(err))
	}
	if depth == maxAlternateDepth {
		return fmt.Errorf("its alternates are nested deeper than %d", maxAlternateDepth)
	}
	sc := bufio.NewScanner(strings.NewReader(data))
	sc.Buffer(nil, metaLimit)
	for sc.Scan() {
		line := sc.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		real, err := filepath.EvalSymlinks(absolute(objects, line))
		if err != nil {
			return fmt.Errorf("its alternate %q: %w; the objects there would be missing", line, cause(err))
		}
		if !trust && !within(real, l.commonDir) && (l.worktree == "" || !within(real, l.worktree)) {
			return fmt.Errorf("its alternate %q %w", line, errUntrusted)
		}
		if real == objects || slices.Contains(l.alternates, real) {
			continue
		}
		l.alternates = append(l.alternates, real)
		if err := l.addAlternates(real, trust, depth+1); err != nil {
			return err
		}
	}
	return sc.Err()
}

func readMeta(name string) (string, error) { return readBounded(name, metaLimit) }

// readBounded reads a regular file of at most limit bytes.
func readBounded(name string, limit int64) (string, error) {
	info, err := os.Stat(name)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("not a regular file")
	}
	f, err := os.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if int64(len(data)) > limit {
		return "", fmt.Errorf("longer than %d bytes", limit)
	}
	return string(data), err
}

func absolute(base, p string) string {
	if filepath.IsAbs(p) {
		return filepath.Clean(p)
	}
	return filepath.Join(base, p)
}

// within reports whether p is dir or lies below it.
func within(p, dir string) bool {
	rel, err := filepath.Rel(dir, p)
	return err == nil && filepath.IsLocal(rel)
}

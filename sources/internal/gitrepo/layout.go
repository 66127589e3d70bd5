package gitrepo

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

// Layout is where the parts of a repository lie on disk. All paths are absolute
// and free of links.
type Layout struct {
	Worktree  string // its root; empty for a bare repository
	GitDir    string // HEAD and index
	CommonDir string // objects and refs; gitDir unless it is a linked worktree
	Prefix    string // slash-separated, the scanned folder below Worktree
	// Alternates are further object folders, each one once, in order.
	Alternates []string
	Index      string // the file; empty for the one in GitDir
}

var (
	// ErrNotRepository: there is none at the path, nor above it.
	ErrNotRepository = errors.New("not a git repository")
	// ErrBroken: there is what is left of one.
	ErrBroken = errors.New("a broken git repository")
	// ErrUntrusted: a repository names folders that lie outside it. In a tree
	// from a stranger that could be any repository of this machine.
	ErrUntrusted = errors.New("leads outside the repository; pass --trust-alternates if that is meant")
)

// metaLimit bounds the files of a few lines that describe a repository: .git,
// commondir, alternates. A path is at most 4 KiB on Linux.
const metaLimit = 64 << 10

// Find looks for the repository that path is, or lies in: for the current folder, the
// one that the environment names. One of another user is refused, see ErrOwner; to
// name it by GIT_DIR is to trust it, as in git.
func Find(target string, trust bool) (Layout, error) {
	abs, err := filepath.Abs(target)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return Layout{}, fmt.Errorf("cannot scan %q: %w", target, cause(err))
	}
	if info, err := os.Stat(abs); err != nil {
		return Layout{}, fmt.Errorf("cannot scan %q: %w", target, cause(err))
	} else if !info.IsDir() {
		return Layout{}, fmt.Errorf("%q: %w but a file; without git: its content is scanned", target, ErrNotRepository)
	}
	if !isHere(abs) {
		return find(target, abs, trust)
	}
	var l Layout
	if os.Getenv("GIT_DIR") != "" {
		l, err = fromEnvironment(target, abs, trust)
	} else {
		l, err = find(target, abs, trust)
	}
	if err == nil {
		l.addEnvironment()
	}
	return l, err
}

// find looks in a folder, and above it.
func find(target, abs string, trust bool) (Layout, error) {
	if IsGitDir(abs) {
		return Layout{GitDir: abs}.owned(target, trust)
	}
	if isBroken(abs) {
		return Layout{}, broken(target, abs)
	}
	for dir := abs; ; dir = filepath.Dir(dir) {
		dot := filepath.Join(dir, ".git")
		info, err := os.Stat(dot)
		if err == nil && (!info.IsDir() || IsGitDir(dot)) {
			rel, err := filepath.Rel(dir, abs)
			if err != nil {
				return Layout{}, fmt.Errorf("finding %q in the repository %q: %w", target, dir, err)
			}
			l := Layout{Worktree: dir, GitDir: dot, Prefix: filepath.ToSlash(rel)}
			if l.Prefix == "." {
				l.Prefix = ""
			}
			return l.owned(target, trust)
		}
		if err == nil && isBroken(dot) {
			return Layout{}, broken(target, dot)
		}
		if filepath.Dir(dir) == dir {
			return Layout{}, fmt.Errorf("%q: %w, nor is any folder above it; without git: its files are scanned", target, ErrNotRepository)
		}
	}
}

// IsGitDir applies git's own test (is_git_directory): a HEAD, objects and refs,
// where the latter two may lie in the common folder of a linked worktree.
func IsGitDir(dir string) bool {
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

// IsRepository reports whether dir itself, not one above it, is a repository, or what
// is left of one.
func IsRepository(dir string) bool {
	if IsGitDir(dir) || isBroken(dir) {
		return true
	}
	dot := filepath.Join(dir, ".git")
	info, err := os.Stat(dot)
	return err == nil && (info.Mode().IsRegular() || IsGitDir(dot) || isBroken(dot))
}

// isBroken reports whether dir is what is left of a repository that git would not
// know any more: it has an object folder as git makes it, or commits are named in it,
// and something that IsGitDir asks for is missing. Git says of a working tree around
// it that it is none, and a scan that believed that would be green.
func isBroken(dir string) bool {
	has := func(name string) bool {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		return err == nil
	}
	objects := has("objects") && (has("objects/pack") || has("objects/info"))
	if filepath.Base(dir) == ".git" {
		return (objects || has("refs/heads") || has("packed-refs")) && !IsGitDir(dir)
	}
	// Other folders are asked about by the thousand, and may have such names.
	return objects && (has("HEAD") || has("refs") || has("packed-refs")) && !IsGitDir(dir)
}

func broken(target, dir string) error {
	return fmt.Errorf("%q: %w: of HEAD, objects and refs in %q not all are there; file:%s scans the files alone", target, ErrBroken, dir, target)
}

// BareNames is the cheap half of IsGitDir, on the names in a folder.
func BareNames(names []string) bool {
	return slices.Contains(names, "HEAD") && slices.Contains(names, "objects") && slices.Contains(names, "refs")
}

// owned resolves l and refuses what belongs to others.
func (l Layout) owned(target string, trust bool) (Layout, error) {
	l, err := l.resolve(target, trust)
	if err != nil {
		return l, err
	}
	return l, l.checkOwner(target)
}

// resolve follows .git files, commondir and alternates, as far as they are to be
// trusted.
func (l Layout) resolve(target string, trust bool) (Layout, error) {
	var err error
	if l.Worktree != "" && l.GitDir == filepath.Join(l.Worktree, ".git") {
		if l.GitDir, err = followDotGit(l.Worktree, l.GitDir, trust); err != nil {
			return l, fmt.Errorf("opening the repository %q: %w", target, err)
		}
	}
	l.CommonDir = l.GitDir
	if data, err := readMeta(filepath.Join(l.GitDir, "commondir")); err == nil {
		l.CommonDir = absolute(l.GitDir, strings.TrimSpace(data))
		if l.CommonDir, err = filepath.EvalSymlinks(l.CommonDir); err != nil {
			return l, fmt.Errorf("opening the repository %q: its commondir: %w", target, err)
		}
		// git makes worktrees in COMMON/worktrees/NAME, so an honest one points
		// at the folder that holds it.
		if !trust && !within(l.GitDir, filepath.Join(l.CommonDir, "worktrees")) {
			return l, fmt.Errorf("opening the repository %q: its commondir %q %w", target, l.CommonDir, ErrUntrusted)
		}
	}
	objects := filepath.Join(l.CommonDir, "objects")
	real, err := filepath.EvalSymlinks(objects)
	if err != nil {
		return l, fmt.Errorf("opening the repository %q: %w", target, err)
	}
	if !trust && !within(real, l.CommonDir) {
		return l, fmt.Errorf("opening the repository %q: its objects folder %q %w", target, real, ErrUntrusted)
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
func followDotGit(Worktree, dot string, trust bool) (string, error) {
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
			return "", fmt.Errorf("%q: %w: it is a file without a line \"gitdir: PATH\"", dot, ErrNotRepository)
		}
		dir = absolute(Worktree, strings.TrimSpace(line))
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil || !IsGitDir(real) {
		return "", fmt.Errorf("%q points to %q: %w; was the repository moved?", dot, dir, ErrNotRepository)
	}
	if trust || within(real, Worktree) || pointsBack(real, Worktree) {
		return real, nil
	}
	return "", fmt.Errorf("%q points to %q, which %w", dot, real, ErrUntrusted)
}

func pointsBack(GitDir, Worktree string) bool {
	if data, err := readMeta(filepath.Join(GitDir, "gitdir")); err == nil {
		back := filepath.Dir(absolute(GitDir, strings.TrimSpace(data)))
		if real, err := filepath.EvalSymlinks(back); err == nil && real == Worktree {
			return true
		}
	}
	cfg, err := readConfig(GitDir)
	if err != nil {
		return false
	}
	back := cfg.Raw.Section("core").Option("worktree")
	if back == "" {
		return false
	}
	real, err := filepath.EvalSymlinks(absolute(GitDir, back))
	return err == nil && real == Worktree
}

// maxAlternateDepth is git's own limit on alternates of alternates.
const maxAlternateDepth = 5

func (l *Layout) addAlternates(objects string, trust bool, depth int) error {
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
		if !trust && !within(real, l.CommonDir) && (l.Worktree == "" || !within(real, l.Worktree)) {
			return fmt.Errorf("its alternate %q %w", line, ErrUntrusted)
		}
		if real == objects || slices.Contains(l.Alternates, real) {
			continue
		}
		l.Alternates = append(l.Alternates, real)
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
	f, err := os.OpenFile(name, os.O_RDONLY|OpenFlags, 0)
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

// cause strips the operation and path that os errors repeat.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}

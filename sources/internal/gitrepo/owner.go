package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/config"
)

// ErrOwner: a repository belongs to somebody else, who may have set it up for others
// to stumble over. The rule is git's own (safe.directory in git-config(1)), so that
// what git refuses is refused here and what git was told to trust is trusted.
var ErrOwner = errors.New("belongs to another user")

// checkOwner refuses a repository of somebody else that safe.directory does not name.
// As in git, the owners of the working tree, of a .git file and of the git folder
// count.
func (l Layout) checkOwner(target string) error {
	paths := []string{l.GitDir}
	if l.Worktree != "" {
		paths = append(paths, l.Worktree)
		if dot := filepath.Join(l.Worktree, ".git"); isFile(dot) {
			paths = append(paths, dot)
		}
	}
	// Git's own tests set this, which only makes it stricter.
	other := isTrue(os.Getenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")) || slices.ContainsFunc(paths, func(p string) bool { return !ownedByUs(p) })
	if !other {
		return nil
	}
	name := l.Worktree
	if name == "" {
		name = l.GitDir
	}
	safe, err := safeDirectories()
	if isSafe(safe, name) {
		return nil
	}
	refused := fmt.Errorf("opening the repository %q: it %w; if it is to be trusted: git config --global --add safe.directory %s", target, ErrOwner, name)
	if err != nil {
		return fmt.Errorf("%w; %w", refused, err)
	}
	return refused
}

func isFile(name string) bool {
	info, err := os.Lstat(name)
	return err == nil && info.Mode().IsRegular()
}

// isTrue reads a boolean of git's environment.
func isTrue(s string) bool {
	switch strings.ToLower(s) {
	case "true", "yes", "on":
		return true
	}
	n, err := strconv.Atoi(s)
	return err == nil && n != 0
}

// isSafe reports whether the values of safe.directory, in their order, name dir.
func isSafe(values []string, dir string) (safe bool) {
	for _, v := range values {
		switch folder, below := strings.CutSuffix(v, "/*"); {
		case v == "": // takes back what stood before
			safe = false
		case v == "*":
			safe = true
		case below:
			safe = safe || dir != clean(folder) && within(dir, clean(folder))
		default:
			safe = safe || dir == clean(v)
		}
	}
	return safe
}

// clean gives a folder of a configuration as layouts have it: absolute, without links.
func clean(dir string) string {
	if rest, ok := strings.CutPrefix(dir, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, rest)
	}
	if !filepath.IsAbs(dir) && dir != "." {
		return "" // git takes no other relative path either
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return ""
	}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		return real
	}
	return abs
}

// safeDirectories are the values of safe.directory in the configuration of the system
// and of the user and on git's command line; never in a repository's own. includeIf
// is not followed.
func safeDirectories() (values []string, err error) {
	for _, name := range configFiles() {
		more, e := safeIn(name, 0)
		values, err = append(values, more...), errors.Join(err, e)
	}
	return append(values, safeInEnvironment()...), err
}

// configFiles are the files that git calls protected configuration.
func configFiles() (names []string) {
	if !isTrue(os.Getenv("GIT_CONFIG_NOSYSTEM")) {
		if name := os.Getenv("GIT_CONFIG_SYSTEM"); name != "" {
			names = append(names, name)
		} else {
			names = append(names, "/etc/gitconfig")
			if runtime.GOOS == "darwin" { // of Homebrew's git
				names = append(names, "/opt/homebrew/etc/gitconfig", "/usr/local/etc/gitconfig")
			}
		}
	}
	if name, set := os.LookupEnv("GIT_CONFIG_GLOBAL"); set {
		return append(names, name)
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return names
	}
	xdg := os.Getenv("XDG_CONFIG_HOME")
	if xdg == "" {
		xdg = filepath.Join(home, ".config")
	}
	return append(names, filepath.Join(xdg, "git", "config"), filepath.Join(home, ".gitconfig"))
}

// maxInclude is git's own limit on files that include files.
const maxInclude = 10

// safeIn reads one configuration file and those it includes. One that is not there
// holds nothing.
func safeIn(name string, depth int) (values []string, err error) {
	defer guard(&err)
	data, err := os.ReadFile(name)
	if err != nil || depth > maxInclude {
		return nil, nil
	}
	cfg := config.New()
	if err := config.NewDecoder(bytes.NewReader(data)).Decode(cfg); err != nil {
		return nil, fmt.Errorf("%s does not parse", name)
	}
	for _, p := range cfg.Section("include").OptionAll("path") {
		if !filepath.IsAbs(p) && !strings.HasPrefix(p, "~/") {
			p = filepath.Join(filepath.Dir(name), p)
		}
		more, e := safeIn(clean(p), depth+1)
		values, err = append(values, more...), errors.Join(err, e)
	}
	return append(values, cfg.Section("safe").OptionAll("directory")...), err
}

// safeInEnvironment reads what "git -c safe.directory=…" and the like hand on to
// hooks.
func safeInEnvironment() (values []string) {
	add := func(key, value string) {
		if strings.EqualFold(key, "safe.directory") {
			values = append(values, value)
		}
	}
	n, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT"))
	for i := range min(n, 1000) {
		add(os.Getenv(fmt.Sprint("GIT_CONFIG_KEY_", i)), os.Getenv(fmt.Sprint("GIT_CONFIG_VALUE_", i)))
	}
	// 'key'='value' 'key'='value', or in older versions 'key=value'; a quote within
	// is '\''.
	for rest := os.Getenv("GIT_CONFIG_PARAMETERS"); rest != ""; {
		var word string
		word, rest = shellWord(strings.TrimLeft(rest, " "))
		key, value, _ := strings.Cut(word, "=")
		add(key, value)
	}
	return values
}

// shellWord takes a word off s, with its quotes taken away.
func shellWord(s string) (word, rest string) {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\'':
			quoted = !quoted
		case c == '\\' && !quoted && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case c == ' ' && !quoted:
			return b.String(), s[i:]
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}

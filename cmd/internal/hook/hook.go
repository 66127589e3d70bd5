// Package hook installs git hooks and reads what git tells them.
//
// It knows hooks and the git binary, which every user of a hook has, and says what is
// to be scanned; it does not scan. Start reading at Kinds, then ParseRefs and Install.
package hook

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Ref is one line of what git tells a pre-push hook: a ref that is pushed.
type Ref struct {
	Local, LocalID   string
	Remote, RemoteID string
}

// Deletes reports whether the push deletes the remote ref.
func (r Ref) Deletes() bool { return isZero(r.LocalID) }

// Creates reports whether the remote ref is new.
func (r Ref) Creates() bool { return isZero(r.RemoteID) }

func isZero(id string) bool { return strings.Trim(id, "0") == "" }

// maxLine bounds a line of the list: two refs and two ids; refs are file names
// to git, 4,096 bytes each at most.
const maxLine = 16 << 10

// ParseRefs reads the list a pre-push hook gets on standard input (githooks(5)):
// "<local ref> <local id> <remote ref> <remote id>" a line.
func ParseRefs(r io.Reader) (out []Ref, err error) {
	err = eachLine(r, "pre-push", "<local ref> <local id> <remote ref> <remote id>", func(f []string) bool {
		if len(f) != 4 || !isID(f[1]) || !isID(f[3]) || f[0] == "" || f[2] == "" {
			return false
		}
		out = append(out, Ref{Local: f[0], LocalID: f[1], Remote: f[2], RemoteID: f[3]})
		return true
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// ParseReceived reads the list a pre-receive hook gets, "<old id> <new id> <ref>" a
// line, and gives the new ids. A ref that is deleted has none.
func ParseReceived(r io.Reader) (tips []string, err error) {
	err = eachLine(r, "pre-receive", "<old id> <new id> <ref>", func(f []string) bool {
		if len(f) != 3 || !isID(f[0]) || !isID(f[1]) || f[2] == "" {
			return false
		}
		if !isZero(f[1]) {
			tips = append(tips, f[1])
		}
		return true
	})
	if err != nil {
		return nil, err
	}
	return tips, nil
}

// eachLine calls f with the fields of each line, until it says that one is wrong.
func eachLine(r io.Reader, hook, want string, f func(fields []string) bool) error {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLine)
	for n := 1; s.Scan(); n++ {
		if strings.TrimSpace(s.Text()) != "" && !f(strings.Split(s.Text(), " ")) {
			return fmt.Errorf("line %d of the list of refs is not what git gives a %s hook: want %q", n, hook, want)
		}
	}
	if err := s.Err(); err != nil {
		return fmt.Errorf("reading the list of refs: %w", err)
	}
	return nil
}

func isID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	return strings.Trim(s, "0123456789abcdef") == ""
}

// Pushed says which commits a push brings to a remote: those reachable from
// tips and not from what the remote is known to have.
func Pushed(refs []Ref, tracking []string) (tips, exclude []string) {
	for _, r := range refs {
		if r.Deletes() {
			continue
		}
		tips = append(tips, r.LocalID)
		if !r.Creates() {
			exclude = append(exclude, r.RemoteID)
		}
	}
	return tips, append(exclude, tracking...)
}

// Tracking lists the ids of the remote-tracking refs of a remote: what it had
// when it was last asked. A push to an address has none.
func Tracking(dir, remote string) ([]string, error) {
	if remote == "" || strings.ContainsAny(remote, ":*?[\\ ") || strings.HasPrefix(remote, "-") || strings.HasPrefix(remote, "/") || strings.HasPrefix(remote, ".") {
		return nil, nil
	}
	out, err := git(dir, "for-each-ref", "--format=%(objectname)", "refs/remotes/"+remote+"/")
	if err != nil {
		return nil, err
	}
	return strings.Fields(out), nil
}

// mark identifies a hook of ours.
const mark = "# installed by quench hook install"

// kept is what a foreign hook is renamed to.
const kept = ".before-quench"

// ErrForeign means that there is a hook already that is not ours.
var ErrForeign = errors.New("there is another hook already")

// Install writes the hook called name into the folder git uses for dir, and
// says where. A foreign hook is refused, or with force kept beside it.
func Install(dir, name, program string, force bool) (path string, err error) {
	path, err = hookPath(dir, name)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return "", fmt.Errorf("reading the present hook: %w", err)
	case bytes.Contains(old, []byte(mark)):
	case !force:
		return "", fmt.Errorf("%s: %w; call `quench hook run %s \"$@\"` from it, or replace it with --force", path, ErrForeign, name)
	default:
		if err := os.Rename(path, path+kept); err != nil {
			return "", fmt.Errorf("keeping the present hook: %w", err)
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return "", fmt.Errorf("making the folder for hooks: %w", err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s\nexec %s hook run %s \"$@\"\n", mark, shellQuote(program), name)
	// A hook must be executable, also when it was there and was not.
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		return "", fmt.Errorf("writing the hook: %w", err)
	}
	return path, os.Chmod(path, 0o755)
}

// Uninstall removes a hook of ours and puts back the one it replaced.
func Uninstall(dir, name string) (path string, err error) {
	path, err = hookPath(dir, name)
	if err != nil {
		return "", err
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("there is no hook to remove: %w", err)
	}
	if !bytes.Contains(old, []byte(mark)) {
		return "", fmt.Errorf("%s: %w; it is left alone", path, ErrForeign)
	}
	if err := os.Remove(path); err != nil {
		return "", fmt.Errorf("removing the hook: %w", err)
	}
	if err := os.Rename(path+kept, path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("putting the earlier hook back: %w", err)
	}
	return path, nil
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// hookPath asks git, which knows core.hooksPath and linked worktrees.
func hookPath(dir, name string) (string, error) {
	out, err := git(dir, "rev-parse", "--git-path", "hooks/"+name)
	if err != nil {
		return "", err
	}
	p := strings.TrimRight(out, "\r\n")
	if !filepath.IsAbs(p) {
		p = filepath.Join(dir, p)
	}
	return p, nil
}

// git runs the git binary in dir.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		if errs.Len() > 0 {
			err = errors.New(strings.TrimSpace(errs.String()))
		}
		return "", fmt.Errorf("asking git (git %s): %w", args[0], err)
	}
	return out.String(), nil
}

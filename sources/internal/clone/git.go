package clone

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing/transport"
	"github.com/go-git/go-git/v5/plumbing/transport/http"
)

// Clone makes a bare repository with all refs of r in the empty folder dir. With an
// error, or when ctx ends, part of one may be there.
func (r Remote) Clone(ctx context.Context, dir string, o Options) error {
	if o.Note == nil {
		o.Note = func(string) {}
	}
	clone := r.byGoGit
	if o.Git != "" {
		clone = r.byGit
	}
	if err := clone(ctx, dir, o); err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		return fmt.Errorf("cloning %s: %w", r, err)
	}
	return nil
}

// helper is a credential helper (gitcredentials(7)) that has what it tells from its
// environment, which only processes of this user can read, unlike a command line.
const helper = `!f() { test "$1" = get && printf 'username=%s\npassword=%s\n' "$QUENCH_CLONE_USER" "$QUENCH_CLONE_PASSWORD"; }; f`

// byGit runs git clone. The user's configuration counts, as for any clone of theirs;
// nothing is asked for, no hook runs and no template is copied.
func (r Remote) byGit(ctx context.Context, dir string, o Options) error {
	args := []string{"-c", "core.hooksPath=" + os.DevNull, "-c", "core.fsmonitor=false", "-c", "core.askPass=", "-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "fetch.recurseSubmodules=false",
		"clone", "--mirror", "--template=", "--progress", "--", r.address, dir}
	cmd := exec.CommandContext(ctx, o.Git, args...)
	cmd.Env = append(environment(os.Environ()), "GIT_ALLOW_PROTOCOL="+schemes[r.scheme], "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=", "SSH_ASKPASS=", "LC_ALL=C")
	if os.Getenv("GIT_SSH_COMMAND") == "" && os.Getenv("GIT_SSH") == "" {
		cmd.Env = append(cmd.Env, "GIT_SSH_COMMAND=ssh -oBatchMode=yes")
	}
	if r.user != nil {
		cmd.Env = append(cmd.Env, r.credentials()...)
	}
	grouped(cmd)
	cmd.WaitDelay = 5 * time.Second
	said := &lines{note: func(s string) { o.Note(r.masked(s)) }}
	cmd.Stderr = said
	if err := cmd.Run(); err != nil {
		if text := said.last(); text != "" {
			return errors.New(r.masked(text))
		}
		return err
	}
	return nil
}

// credentials are configuration by environment: a helper for this host alone, in the
// place of the user's own.
func (r Remote) credentials() []string {
	n, _ := strconv.Atoi(os.Getenv("GIT_CONFIG_COUNT"))
	u, err := url.Parse(r.address)
	if err != nil {
		return nil
	}
	key := "credential." + u.Scheme + "://" + u.Host + ".helper"
	password, _ := r.user.Password()
	return []string{
		fmt.Sprintf("GIT_CONFIG_COUNT=%d", n+2),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=", n),
		fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", n+1, key), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", n+1, helper),
		"QUENCH_CLONE_USER=" + r.user.Username(), "QUENCH_CLONE_PASSWORD=" + password,
	}
}

// byGoGit needs no binary, except for a folder: its owner's git serves that.
func (r Remote) byGoGit(ctx context.Context, dir string, o Options) (err error) {
	if r.scheme == "file" {
		return errors.New("git is not installed, and a clone of a folder needs it; name the folder itself, without file://")
	}
	defer func() {
		// The value may quote what the server sent.
		if p := recover(); p != nil {
			err = fmt.Errorf("what the server sends does not parse (%T)", p)
		}
	}()
	opts := &git.CloneOptions{URL: r.address, Mirror: true, Progress: &lines{note: func(s string) { o.Note(r.masked(s)) }}}
	if r.user != nil {
		password, _ := r.user.Password()
		opts.Auth = &http.BasicAuth{Username: r.user.Username(), Password: password}
	}
	_, err = git.PlainCloneContext(ctx, dir, true, opts)
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return nil // the scan tells that there is nothing in it
	}
	if err != nil {
		return errors.New(r.masked(err.Error()))
	}
	return nil
}

// lines notes each line as it is complete, and keeps the end of what are no signs of
// progress.
type lines struct {
	note func(string)
	buf  []byte
	kept [][]byte
}

const (
	maxLine = 1 << 10 // a server may say what it likes
	maxKept = 20
)

func (l *lines) Write(b []byte) (int, error) {
	l.buf = append(l.buf, b...)
	for {
		i := bytes.IndexAny(l.buf, "\r\n")
		if i < 0 {
			if len(l.buf) > maxLine {
				l.buf = l.buf[:0]
			}
			return len(b), nil
		}
		line := bytes.TrimSpace(l.buf[:min(i, maxLine)])
		if l.buf[i] == '\n' && len(line) > 0 && !bytes.Contains(line, []byte("% (")) {
			l.kept = append(l.kept, bytes.Clone(line))
			l.kept = l.kept[max(0, len(l.kept)-maxKept):]
		}
		if len(line) > 0 {
			l.note(string(line))
		}
		l.buf = append(l.buf[:0], l.buf[i+1:]...)
	}
}

// last gives what git said at last that was wrong, or all that is kept of it.
func (l *lines) last() string {
	io.WriteString(l, "\n")
	for i, line := range l.kept {
		if bytes.HasPrefix(line, []byte("fatal:")) || bytes.HasPrefix(line, []byte("error:")) {
			return string(bytes.Join(l.kept[i:], []byte("; ")))
		}
	}
	return strings.TrimSpace(string(bytes.Join(l.kept, []byte("; "))))
}

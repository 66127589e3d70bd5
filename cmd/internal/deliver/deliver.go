// Package deliver takes a token just issued to where it is used: a file, a
// command's standard input, or a secret of GitHub Actions.
//
// It is given a function that writes the value and never holds it longer than it
// takes to pass on: not in an argument, an environment, or a temporary file that
// others can read. It knows nothing of tokens. Start reading at To.
package deliver

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
)

// ErrUnknown: nobody can tell whether it arrived. Other errors of Deliver mean that it
// did not.
var ErrUnknown = errors.New("it is not known whether it arrived")

// To says where to. Exactly one of File, Command and GitHub is given.
type To struct {
	// File is replaced whole, mode 0600.
	File string
	// Command is a program and its arguments, started without a shell. The value is
	// on its standard input.
	Command []string
	// GitHub is a secret of GitHub Actions.
	GitHub *GitHub
	// Env are further variables for Command, NAME=value, never a secret.
	Env []string
	// Output takes what Command prints.
	Output io.Writer
	// Timeout bounds Command; 0 is DefaultTimeout.
	Timeout time.Duration
}

// DefaultTimeout is what a secret store or a deployment tool takes at most, several
// times over.
const DefaultTimeout = time.Minute

// inherited are the variables that Command gets of ours: what programs need to find
// others and their own configuration, and none that could hold a secret of ours.
var inherited = []string{"PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "TZ", "SystemRoot", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME", "KUBECONFIG", "SSH_AUTH_SOCK"}

// Deliver writes the value by write.
func (t To) Deliver(ctx context.Context, write func(io.Writer) error) error {
	if t.File != "" {
		f, err := atomicfile.Create(t.File)
		if err != nil {
			return fmt.Errorf("delivering to %q: %w", t.File, err)
		}
		if err := write(f); err != nil {
			return fmt.Errorf("delivering to %q: %w", t.File, errors.Join(err, f.Discard()))
		}
		if err := f.Commit(); err != nil {
			return fmt.Errorf("delivering to %q: %w", t.File, err)
		}
		return nil
	}
	if t.GitHub != nil {
		return t.GitHub.deliver(ctx, write)
	}
	return t.run(ctx, write)
}

func (t To) run(ctx context.Context, write func(io.Writer) error) error {
	if t.Timeout == 0 {
		t.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, t.Timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.Command[0], t.Command[1:]...)
	cmd.WaitDelay = time.Second // for children of it that keep its pipes open
	cmd.Stdout, cmd.Stderr = t.Output, t.Output
	for _, name := range inherited {
		if v, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+v)
		}
	}
	cmd.Env = append(cmd.Env, t.Env...)
	var value bytes.Buffer
	defer func() { clear(value.Bytes()[:value.Cap()]) }()
	value.Grow(4096) // once, so that no copy is left behind
	if err := write(&value); err != nil {
		return err
	}
	cmd.Stdin = bytes.NewReader(value.Bytes())
	err := cmd.Run()
	switch {
	case ctx.Err() == context.DeadlineExceeded:
		return fmt.Errorf("delivering by %q: it took longer than %v: %w", strings.Join(t.Command, " "), t.Timeout, ErrUnknown)
	case err != nil:
		return fmt.Errorf("delivering by %q: %w", strings.Join(t.Command, " "), err)
	}
	return nil
}

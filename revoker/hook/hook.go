// Package hook runs a program of the operator's about one incident: JSON on its
// standard input, and nothing else that it did not ask for.
//
// There is no shell, so that nothing of an incident is ever a part of a command; the
// environment is empty but for what is named; the program and all that it started end
// with the time it is given; what it writes is counted and never kept, since it may
// repeat anything. The package knows processes and nothing of incidents. Start reading
// at Command.
package hook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

const (
	// DefaultTimeout is enough for a program that calls somebody once.
	DefaultTimeout = 10 * time.Second
	// MaxTimeout is half of the time for which one process has a target for itself.
	MaxTimeout = 15 * time.Second
	// drain is how long what a program left behind may hold its output open.
	drain = time.Second
	// maxInput bounds the JSON, in bytes: an incident of a thousand places has 200 kB.
	maxInput = 4 << 20
)

// Refused is the exit code of a program that will never take this incident: EX_DATAERR
// of sysexits. All others but 0 ask for another try.
const Refused = 65

// ErrRefused: the program ended with Refused.
var ErrRefused = errors.New("it will not take this one")

// Command is a program and its fixed arguments.
type Command struct {
	Args []string // the first is its absolute path
	// Env are names of variables that it gets besides PATH.
	Env     []string
	Timeout time.Duration // 0 is DefaultTimeout
}

// Check reports what is wrong with a command, as far as it can be told without running
// it.
func (c Command) Check() error {
	switch {
	case len(c.Args) == 0 || !filepath.IsAbs(c.Args[0]):
		return errors.New("command: want the absolute path of a program, and its arguments; there is no shell")
	case strings.ContainsRune(strings.Join(c.Args, ""), 0):
		return errors.New("command: an argument holds a NUL")
	case c.Timeout < 0 || c.Timeout > MaxTimeout:
		return fmt.Errorf("timeout: want a time up to %s", MaxTimeout)
	}
	for _, name := range c.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("env: %q is no name of a variable", name)
		}
	}
	return nil
}

// environment is what the program sees.
func (c Command) environment() []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin"}
	if runtime.GOOS == "windows" { // programs do not start without these
		env = []string{"PATH=" + os.Getenv("PATH"), "SystemRoot=" + os.Getenv("SystemRoot")}
	}
	for _, name := range c.Env {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// trusted refuses a program that others than its owner could change.
func trusted(path string) error {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return err
	case !st.Mode().IsRegular():
		return fmt.Errorf("%q is no program", path)
	case runtime.GOOS != "windows" && st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("%q can be changed by others: chmod go-w it", path)
	}
	return nil
}

// counter counts and forgets.
type counter struct{ n int64 }

func (c *counter) Write(p []byte) (int, error) { c.n += int64(len(p)); return len(p), nil }

// Run runs the program with input and waits for it. A nil error means that it took it;
// the error never repeats what the program wrote.
func (c Command) Run(ctx context.Context, input []byte) error {
	if err := c.Check(); err != nil {
		return err
	}
	if len(input) > maxInput {
		return fmt.Errorf("%w: it has more than %d bytes", ErrRefused, maxInput)
	}
	path := c.Args[0]
	if err := trusted(path); err != nil {
		return err
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = DefaultTimeout
	}
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	cmd := exec.CommandContext(call, path, c.Args[1:]...)
	var out counter
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(input), &out, &out
	cmd.Env = c.environment()
	// Not the folder that quench runs in, which may be a scanned tree.
	cmd.Dir = filepath.VolumeName(path) + string(filepath.Separator)
	cmd.WaitDelay = drain
	group(cmd)
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case call.Err() != nil && ctx.Err() == nil:
		return fmt.Errorf("it did not end within %s", timeout)
	case errors.As(err, &exit) && exit.ExitCode() == Refused:
		return fmt.Errorf("%w: exit code %d, after %d bytes of output", ErrRefused, Refused, out.n)
	case errors.As(err, &exit):
		return fmt.Errorf("it ended with %s, after %d bytes of output", exit.ProcessState, out.n)
	case errors.Is(err, exec.ErrWaitDelay): // it ended well and left something behind
		return nil
	case err != nil:
		return fmt.Errorf("it could not be run: %w", err)
	}
	return nil
}

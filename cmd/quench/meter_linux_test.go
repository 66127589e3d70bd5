package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// newTerminal gives the two ends of a pseudo-terminal of 80 columns.
func newTerminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { user.Close() })
	fd := int(user.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: 80})
	}
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// On a terminal a scan shows how far it is, and takes that away; --no-progress, a
// dumb terminal and a pipe show nothing. Standard input, held open, makes the scan
// last until the line was seen.
func TestProgressOnTerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.txt")
	if err := os.WriteFile(file, []byte("nothing here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, term string
		args       []string
		shown      bool
	}{
		{"terminal", "xterm", nil, true},
		{"no-progress", "xterm", []string{"--no-progress"}, false},
		{"dumb", "dumb", nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			user, program := newTerminal(t)
			in, held, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			cmd := exec.CommandContext(t.Context(), "quench", append([]string{"scan", file, "-"}, c.args...)...)
			cmd.Env = append(os.Environ(), "TERM="+c.term, "XDG_STATE_HOME="+t.TempDir(), "QUENCH_REGISTRY=")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = in, program, program
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			program.Close()
			seen := make(chan string)
			go func() {
				var all strings.Builder
				buf := make([]byte, 4096)
				told := false
				for {
					n, err := user.Read(buf) // EIO once the program is gone
					all.Write(buf[:n])
					if !told && strings.Contains(all.String(), "scanning ") {
						told = true
						held.Close()
					}
					if err != nil {
						break
					}
				}
				seen <- all.String()
			}()
			if !c.shown {
				io.WriteString(held, strings.Repeat("a line of a log\n", 1000))
				time.AfterFunc(0, func() { held.Close() })
			}
			err = cmd.Wait()
			out := <-seen
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if shown := strings.Contains(out, "scanning "); shown != c.shown {
				t.Errorf("progress shown: %v, want %v: %q", shown, c.shown, out)
			}
			if i := strings.LastIndex(out, "no findings"); i < 0 || strings.Contains(out[i:], "scanning ") {
				t.Errorf("the summary is not the last that is shown: %q", out)
			}
		})
	}
}

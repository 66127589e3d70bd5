// Package redactcmd passes what a scan reads from standard input on, redacted.
//
// It knows files, time and a passon.Writer; what is a secret and what stands for it
// is that one's. Start reading at Open.
package redactcmd

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/passon"
	"github.com/quench-dev/quench/scanner/redact"
)

// Delay bounds how long a complete line is held because a secret of several lines
// may begin there: who follows a log waits a second for it at most, and a program
// writes a key at once.
const Delay = time.Second

// Through is standard input that passes on what is read from it. A nil Through
// does nothing.
type Through struct {
	in     io.Reader
	out    io.Writer
	format string
	close  func() error
	after  func(time.Duration, func()) *time.Timer

	mu     sync.Mutex
	w      *passon.Writer  // nil before Start
	next   *redact.Options // of Restart, until nothing is undecided
	err    error           // of Start
	timer  *time.Timer
	closed bool
}

// Open makes cmd read standard input through what it returns, which is nil where
// to, the value of --redact-to, is empty. What is read is a log in a format of
// envelope.Formats. The report of a command that passes its
// input on to standard output goes to standard error.
func Open(cmd *cobra.Command, to, format string, targets []string) (*Through, error) {
	if to == "" {
		return nil, nil
	}
	if len(targets) != 1 || targets[0] != "-" {
		return nil, errors.New("--redact-to passes standard input on: the one target must be -")
	}
	t := &Through{in: cmd.InOrStdin(), out: cmd.OutOrStdout(), format: format, close: func() error { return nil }, after: time.AfterFunc}
	if to == "-" {
		// So that a reader who goes away is an error, after which there is a report,
		// and not the end of the process.
		signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
		cmd.SetOut(cmd.ErrOrStderr())
	} else {
		if err := os.MkdirAll(to, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of --redact-to: %w", err)
		}
		f, err := os.OpenFile(filepath.Join(to, "stdin"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the file in the folder of --redact-to: %w", err)
		}
		t.out, t.close = f, f.Close
	}
	cmd.SetIn(t)
	return t, nil
}

// Start says how to redact, all but Out. Nothing may be read before.
func (t *Through) Start(o redact.Options) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.w, t.err = passon.New(o, t.format, passon.Position{}, t.out)
}

// Restart has what comes redacted in another way, from the next line on before which
// nothing is undecided. Tags are those of another run then.
func (t *Through) Restart(o redact.Options) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.next = &o
}

// write passes on what of p is decided.
func (t *Through) write(p []byte) error {
	for len(p) > 0 {
		n := len(p)
		if t.next != nil {
			if at, ok := t.w.Done(); ok {
				w, err := passon.New(*t.next, t.format, passon.Position{Begin: at, Passed: at}, t.out)
				if err != nil {
					return err
				}
				t.w, t.next = w, nil
			} else if i := bytes.IndexByte(p, '\n'); i >= 0 {
				n = i + 1
			}
		}
		if _, err := t.w.Write(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// Read reads and passes on what of it is decided. What could not be passed on is
// read all the same, with the error.
func (t *Through) Read(p []byte) (int, error) {
	n, err := t.in.Read(p)
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err != nil {
		return 0, t.err
	}
	if t.closed || t.w == nil {
		return 0, os.ErrClosed
	}
	if n > 0 {
		if werr := t.write(p[:n]); werr != nil {
			return n, werr
		}
		if t.timer == nil && t.w.Holds() {
			t.timer = t.after(Delay, t.late)
		}
	}
	return n, err
}

// late passes on what was held for Delay. Its error is that of the next Read.
func (t *Through) late() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.timer = nil
	if !t.closed {
		t.w.Late()
	}
}

// Close passes on the rest of what was read, and says what went wrong at all.
func (t *Through) Close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	if t.timer != nil {
		t.timer.Stop()
	}
	var err error
	if t.w != nil {
		err = t.w.Close()
	}
	return errors.Join(err, t.close())
}

package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quench-dev/quench/cmd/internal/progress"
	"github.com/quench-dev/quench/scanner"
)

// meter shows progress where somebody looks: on a terminal. A nil meter shows none.
type meter struct {
	p  scanner.Progress
	m  *progress.Meter
	on bool
}

// meter starts one on standard error, if that is a terminal. TERM=dumb is one on
// which no line can be written again.
func (f *outputFlags) meter(cmd *cobra.Command) *meter {
	tty, ok := cmd.ErrOrStderr().(*os.File)
	if f.noProgress || !ok || !term.IsTerminal(int(tty.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	m := &meter{on: true}
	m.m = progress.Start(tty, &m.p)
	return m
}

func (m *meter) counters() *scanner.Progress {
	if m == nil {
		return nil
	}
	return &m.p
}

// over gives a writer for what goes to the same terminal.
func (m *meter) over(out io.Writer) io.Writer {
	if m == nil {
		return out
	}
	return &above{m, out}
}

// above writes above the line as long as that is shown, then to out.
type above struct {
	m   *meter
	out io.Writer
}

func (a *above) Write(b []byte) (int, error) {
	if a.m.on {
		return a.m.m.Write(b)
	}
	return a.out.Write(b)
}

func (m *meter) stop() {
	if m != nil && m.on {
		m.m.Stop()
		m.on = false
	}
}

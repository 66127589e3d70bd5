package progress

import (
	"io"
	"os"

	"golang.org/x/term"

	"github.com/quench-dev/quench/scanner"
)

// Terminal shows progress where somebody looks: on a terminal. A nil one shows none.
type Terminal struct {
	p  scanner.Progress
	m  *Meter
	on bool
}

// On starts one on what standard error is, if that is a terminal. TERM=dumb is one on
// which no line can be written again.
func On(stderr io.Writer) *Terminal {
	tty, ok := stderr.(*os.File)
	if !ok || !term.IsTerminal(int(tty.Fd())) || os.Getenv("TERM") == "dumb" {
		return nil
	}
	m := &Terminal{on: true}
	m.m = Start(tty, &m.p)
	return m
}

// Counters are what it shows.
func (m *Terminal) Counters() *scanner.Progress {
	if m == nil {
		return nil
	}
	return &m.p
}

// Over gives a writer for what goes to the same terminal.
func (m *Terminal) Over(out io.Writer) io.Writer {
	if m == nil {
		return out
	}
	return &above{m, out}
}

// above writes above the line as long as that is shown, then to out.
type above struct {
	m   *Terminal
	out io.Writer
}

func (a *above) Write(b []byte) (int, error) {
	if a.m.on {
		return a.m.m.Write(b)
	}
	return a.out.Write(b)
}

// Stop ends it.
func (m *Terminal) Stop() {
	if m != nil && m.on {
		m.m.Stop()
		m.on = false
	}
}

// Note shows a line of text for as long as nothing else is shown.
func (m *Terminal) Note(text string) {
	if m != nil {
		m.m.Note(text)
	}
}

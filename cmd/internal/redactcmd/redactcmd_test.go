package redactcmd

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/redact"
)

// opened reads in through a command whose report goes to report.
func opened(t *testing.T, in io.Reader, out, report io.Writer) *Through {
	t.Helper()
	cmd := &cobra.Command{}
	cmd.SetIn(in)
	cmd.SetOut(out)
	cmd.SetErr(report)
	th, err := Open(cmd, "-", "auto", []string{"-"})
	if err != nil {
		t.Fatal(err)
	}
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	th.Start(redact.Options{Engine: e, Rules: set})
	if cmd.InOrStdin() != io.Reader(th) || cmd.OutOrStdout() != report {
		t.Error("the command does not read through it, or reports to where it is passed on")
	}
	return th
}

// TestHeldForADelay has a line that may begin a secret pass when Delay is over.
func TestHeldForADelay(t *testing.T) {
	var out bytes.Buffer
	th := opened(t, strings.NewReader("a\nvalue: 5\n"), &out, io.Discard)
	var late func()
	th.after = func(d time.Duration, f func()) *time.Timer {
		if d != Delay {
			t.Errorf("after %v", d)
		}
		late = f
		return time.NewTimer(time.Hour)
	}
	if _, err := th.Read(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if late == nil || strings.Contains(out.String(), "value") {
		t.Fatalf("%q is passed on at once", &out)
	}
	late()
	if out.String() != "a\nvalue: 5\n" {
		t.Errorf("late: %q", &out)
	}
	if err := th.Close(); err != nil || out.String() != "a\nvalue: 5\n" {
		t.Errorf("%v, %q", err, &out)
	}
}

// TestReaderGone gives what was read along with the error of who was to get it.
func TestReaderGone(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	th := opened(t, strings.NewReader("hello\n"), w, io.Discard)
	n, err := th.Read(make([]byte, 100))
	if n != 6 || err == nil || !strings.Contains(err.Error(), "closed pipe") {
		t.Errorf("%d, %v", n, err)
	}
	if err := th.Close(); err == nil {
		t.Error("the error is gone")
	}
}

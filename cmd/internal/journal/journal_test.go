package journal

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/cmd/internal/intake/intaketest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

func TestParse(t *testing.T) {
	for _, x := range []struct{ in, sender, text, fields string }{
		{`{"MESSAGE":"hi","_SYSTEMD_UNIT":"a.service","_COMM":"x"}`, "a.service", "hi", ""},
		{`{"MESSAGE":[104,105,255],"SYSLOG_IDENTIFIER":"a"}`, "a", "hi\xff", ""},
		{`{"MESSAGE":["one","two"],"_COMM":"c"}`, "c", "one\ntwo", ""},
		{`{"MESSAGE":"hi","DB_URL":"x","_CMDLINE":"a b","_PID":"1","PRIORITY":"6","SYSLOG_PID":"1"}`, "journal", "hi", "DB_URL=x\n_CMDLINE=a b"},
		{`{"MESSAGE":null}`, "", "", ""},
		{`no entry`, "journal", "no entry", ""},
	} {
		list, _, err := Parse([]byte(x.in))
		if (err != nil) != (x.in == "no entry") {
			t.Errorf("%s: %v", x.in, err)
		}
		sender, text, fields := "", "", ""
		for _, r := range list {
			if strings.HasSuffix(r.Sender, " (fields)") {
				fields = string(r.Text)
				continue
			}
			sender, text = r.Sender, string(r.Text)
		}
		if sender != x.sender || text != x.text || fields != x.fields {
			t.Errorf("%s: %q says %q, with %q", x.in, sender, text, fields)
		}
	}
}

// TestLongEntry leaves out an entry that is too long, and says so.
func TestLongEntry(t *testing.T) {
	c := intaketest.New(t, "journald")
	var told []string
	in := `{"MESSAGE":"` + strings.Repeat("a", maxEntry) + `"}` + "\n" + `{"MESSAGE":"` + intaketest.Token(1) + `"}`
	err := Read(t.Context(), strings.NewReader(in), Options{Sink: c.Sink, Trouble: func(_ string, err error) { told = append(told, err.Error()) }})
	if err != nil || len(told) != 1 || told[0] != errLong.Error() {
		t.Errorf("%v, told %q", err, told)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Want(t, "github-pat journal:1")
}

// TestCursor writes down the cursor of what is recorded, and no later one.
func TestCursor(t *testing.T) {
	c := intaketest.New(t, "journald")
	state := filepath.Join(t.TempDir(), "cursor")
	r := &reader{o: Options{Sink: c.Sink, State: state}}
	in := `{"__CURSOR":"c1","MESSAGE":"hello"}` + "\n" + `{"__CURSOR":"c2","MESSAGE":"-----BEGIN RSA PRIV` + `ATE KEY-----"}` + "\n" + `{"__CURSOR":"c3","MESSAGE":"x"}` + "\n"
	if err := r.read(t.Context(), strings.NewReader(in)); err != nil {
		t.Fatal(err)
	}
	saved := func() string {
		t.Helper()
		if err := r.save(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(state)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	if got := saved(); got != "c1" {
		t.Errorf("cursor %s", got)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := saved(); got != "c3" {
		t.Errorf("cursor %s at the end", got)
	}
}

// TestNoProgram says that there is no journalctl.
func TestNoProgram(t *testing.T) {
	c := intaketest.New(t, "journald")
	err := Follow(t.Context(), Options{Sink: c.Sink, State: filepath.Join(t.TempDir(), "c"), Program: "quench-has-no-such-program"})
	if err == nil || !strings.Contains(err.Error(), "following the journal") {
		t.Error(err)
	}
}

// FuzzJournal reads lines of any kind, and loses the text of none.
func FuzzJournal(f *testing.F) {
	f.Add([]byte(`{"__CURSOR":"c1","__REALTIME_TIMESTAMP":"17","MESSAGE":[1,2],"A":["b",[3]]}` + "\nx\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := bufio.NewReader(bytes.NewReader(in))
		for {
			line, err := entry(b)
			if len(line) > 0 {
				list, cursor, perr := Parse(line)
				if errors.Is(perr, errEntry) && !bytes.Equal(list[0].Text, line) {
					t.Fatalf("%q is scanned as %q", line, list[0].Text)
				}
				if strings.ContainsAny(cursor, "\n\x00") {
					t.Fatalf("cursor %q", cursor)
				}
				for _, r := range list {
					if r.Place < 0 || strings.ContainsAny(r.Sender, "\n\x00") {
						t.Fatalf("%+v", r)
					}
				}
			}
			if err != nil {
				return
			}
		}
	})
}

// TestEnded says that journalctl ended, with what it said and what to try.
func TestEnded(t *testing.T) {
	program, err := exec.LookPath("false")
	if err != nil {
		t.Skip("there is no false(1)")
	}
	c := intaketest.New(t, "journald")
	state := filepath.Join(t.TempDir(), "cursor")
	if err := os.WriteFile(state, []byte("c1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var told error
	err = Follow(ctx, Options{Sink: c.Sink, State: state, From: "checkpoint", Program: program, Trouble: func(_ string, err error) { told = err; cancel() }})
	if err != nil || told == nil || !strings.Contains(told.Error(), "delete that file") || !strings.Contains(told.Error(), "exit status 1") {
		t.Errorf("%v, told %v", err, told)
	}
}

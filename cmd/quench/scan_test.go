package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/quench-dev/quench/rules"
)

func init() {
	scriptCmds["fill"] = scriptFill
	scriptCmds["code"] = scriptCode
	scriptCmds["binary"] = scriptBinary
	scriptCmds["odd"] = scriptOdd
	scriptCmds["sameid"] = scriptSameID
	scriptCmds["emptydir"] = scriptEmptyDir
}

var marker = regexp.MustCompile(`@@(base64:)?([a-z]+)@@`)

// fill FILE replaces @@name@@ in a file by the first line of $WORK/name, and
// @@base64:name@@ by that in base64 with text around it.
func scriptFill(ts *testscript.TestScript, _ bool, args []string) {
	text := marker.ReplaceAllStringFunc(ts.ReadFile(args[0]), func(m string) string {
		sub := marker.FindStringSubmatch(m)
		value, _, _ := strings.Cut(ts.ReadFile(filepath.Join(ts.Getenv("WORK"), sub[2])), "\n")
		if sub[1] != "" {
			return base64.StdEncoding.EncodeToString([]byte("the value is " + value + ", keep it"))
		}
		return value
	})
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// code N COMMAND… runs a command and wants exit code N.
func scriptCode(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exitErr *exec.ExitError
	if errors.As(err, &exitErr) {
		got = exitErr.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// binary FILE writes a binary file.
func scriptBinary(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o755))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\x7fELF\x00\x00\x01\x02\x00"), 0o600))
}

// odd FILE TOKENFILE writes the token between bytes that are no UTF-8.
func scriptOdd(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte("\xff\xfe\xfa"+ts.ReadFile(args[1])+"\xc3\x28\n"), 0o600))
}

// sameid A B wants the findings of two JSON lines reports to have the same ids.
func scriptSameID(ts *testscript.TestScript, _ bool, args []string) {
	ids := func(file string) (out []string) {
		for line := range strings.Lines(ts.ReadFile(file)) {
			var r struct {
				ID string `json:"finding_id"`
			}
			ts.Check(json.Unmarshal([]byte(line), &r))
			out = append(out, r.ID)
		}
		return out
	}
	a, b := ids(args[0]), ids(args[1])
	if len(a) < 2 || strings.Join(a, " ") != strings.Join(b, " ") {
		ts.Fatalf("ids differ: %q and %q", a, b)
	}
}

// emptydir DIR wants a folder to be empty.
func scriptEmptyDir(ts *testscript.TestScript, _ bool, args []string) {
	list, err := os.ReadDir(ts.MkAbs(args[0]))
	ts.Check(err)
	for _, e := range list {
		ts.Fatalf("%s holds %s", args[0], e.Name())
	}
}

// pat is a token that the built-in rules find, made here.
func pat(t *testing.T, seed uint64) string {
	t.Helper()
	s, err := rules.Expand("ghp_{30:alnum}{6:crc32}", seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// quench is the real program with a home of its own.
func quench(t *testing.T, home string, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "quench", args...)
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_STATE_HOME="+home+"/state", "XDG_CONFIG_HOME="+home+"/config", "XDG_CACHE_HOME="+home+"/cache", "QUENCH_REGISTRY=", "QUENCH_PEPPER=", "NO_COLOR=1")
	return cmd
}

// A finding on standard input is told as soon as its line is complete.
func TestStdinStreams(t *testing.T) {
	cmd := quench(t, t.TempDir(), "scan", "--format", "jsonl", "-")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := range 3 {
		if _, err := in.Write([]byte("line\nkey=" + pat(t, uint64(i)) + "\n")); err != nil {
			t.Fatal(err)
		}
		if !lines.Scan() || !strings.Contains(lines.Text(), `"start_line":`+strconv.Itoa(2*i+2)) {
			t.Fatalf("after line %d: %q", 2*i+2, lines.Text())
		}
	}
	in.Close()
	for lines.Scan() {
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitFindings {
		t.Fatalf("exit: %v", err)
	}
}

// Interrupted, a scan reports what it found and says that it is not complete.
func TestInterrupted(t *testing.T) {
	for _, found := range []bool{true, false} {
		cmd := quench(t, t.TempDir(), "scan", "--format", "jsonl", "-")
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if found {
			in.Write([]byte("key=" + pat(t, 1) + "\n"))
			lines.Scan()
		} else {
			// More than a pipe holds: when it is written, the scan has begun.
			in.Write(bytes.Repeat([]byte("nothing\n"), 100_000))
		}
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		last := ""
		for lines.Scan() {
			last = lines.Text()
		}
		cmd.Wait()
		want := exitIncomplete
		if found {
			want = exitFindings
		}
		if got := cmd.ProcessState.ExitCode(); got != want || !strings.Contains(last, `"interrupted":true`) {
			t.Errorf("found %v: exit code %d, want %d; last line %s", found, got, want, last)
		}
	}
}

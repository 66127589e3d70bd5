package deliver

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain lets this test be the command that a token is delivered to.
func TestMain(m *testing.M) {
	switch os.Getenv("DELIVER_TEST") {
	case "echo":
		b, _ := io.ReadAll(os.Stdin)
		os.Stdout.Write(append([]byte("got "), b...))
		for _, e := range os.Environ() {
			os.Stdout.WriteString(e + "\n")
		}
		os.Exit(0)
	case "fail":
		os.Exit(3)
	case "hang":
		time.Sleep(time.Hour)
	}
	os.Exit(m.Run())
}

func value(w io.Writer) error {
	_, err := io.WriteString(w, "the value\n")
	return err
}

func TestCommand(t *testing.T) {
	t.Setenv("AWS_SECRET_ACCESS_KEY", "ours")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	to := To{Command: []string{self, "an argument"}, Env: []string{"DELIVER_TEST=echo", "QUENCH_TOKEN_ID=id"}, Output: &out}
	if err := to.Deliver(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	if s := out.String(); !strings.HasPrefix(s, "got the value\n") || strings.Contains(s, "AWS_SECRET") || !strings.Contains(s, "QUENCH_TOKEN_ID=id") || !strings.Contains(s, "PATH=") {
		t.Errorf("the command had %q", s)
	}
	to.Env = []string{"DELIVER_TEST=fail"}
	if err := to.Deliver(t.Context(), value); err == nil || !strings.Contains(err.Error(), "exit status 3") || strings.Contains(err.Error(), "the value") {
		t.Errorf("error %v", err)
	}
	to.Env, to.Timeout = []string{"DELIVER_TEST=hang"}, time.Millisecond
	if err := to.Deliver(t.Context(), value); err == nil || !strings.Contains(err.Error(), "took longer than 1ms") {
		t.Errorf("error %v", err)
	}
	to.Command, to.Timeout = []string{filepath.Join(t.TempDir(), "gone")}, 0
	if err := to.Deliver(t.Context(), value); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	broken := errors.New("broken")
	if err := to.Deliver(context.Background(), func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
}

func TestFile(t *testing.T) {
	name := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	if err := (To{File: name}).Deliver(t.Context(), func(io.Writer) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(name); string(b) != "old" {
		t.Errorf("after a failure the file holds %q", b)
	}
	if err := (To{File: name}).Deliver(t.Context(), value); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(name)
	fi, err := os.Stat(name)
	if err != nil || string(b) != "the value\n" || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("the file holds %q, mode %v, %v", b, fi.Mode(), err)
	}
	if err := (To{File: filepath.Join(name, "under")}).Deliver(t.Context(), value); err == nil {
		t.Error("a file under a file was written")
	}
}

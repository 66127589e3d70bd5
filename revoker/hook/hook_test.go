package hook

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// script writes a program.
func script(t *testing.T, text string) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("the programs are shell scripts")
	}
	path := filepath.Join(t.TempDir(), "hook")
	// Written elsewhere and moved: a child forked meanwhile may hold the first open.
	if err := os.WriteFile(path+".new", []byte("#!/bin/sh\n"+text), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
	return path
}

// A program gets its input, its arguments as they are, and no environment but what was
// named.
func TestRun(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("HOOK_PASSED", "passed")
	t.Setenv("HOOK_KEPT", "kept")
	path := script(t, `{ printf '%s\n' "$@"; cat; echo; env; pwd; } > "$1"`)
	err := Command{Args: []string{path, out, "$(echo shell)"}, Env: []string{"HOOK_PASSED", "HOOK_MISSING"}}.Run(t.Context(), []byte(`{"a":1}`))
	b, rerr := os.ReadFile(out)
	if err != nil || rerr != nil {
		t.Fatal(err, rerr)
	}
	got := string(b)
	for _, want := range []string{"\n$(echo shell)\n", "\n{\"a\":1}\n", "HOOK_PASSED=passed", "\n/\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "kept") || strings.Contains(got, "HOME=") {
		t.Errorf("more environment than was named:\n%s", got)
	}
}

// What a program writes is in no error; exit codes say whether to try again.
func TestErrors(t *testing.T) {
	for text, want := range map[string]string{
		"echo its-output; exit 3":         "exit status 3, after 11 bytes",
		"echo its-output >&2; exit 65":    ErrRefused.Error(),
		"kill -9 $$":                      "signal: killed",
		"head -c 3000000 /dev/zero":       "",
		"exec 0<&-; exit 0":               "",
		"(sleep 30; echo its-output) & :": "", // left behind, and not waited for
	} {
		err := Command{Args: []string{script(t, text)}}.Run(t.Context(), make([]byte, 1<<20))
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "its-output")) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if errors.Is(err, ErrRefused) != (want == ErrRefused.Error()) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// A program that hangs ends, with what it started. On a busy machine it may not have come
// to start anything in its time: then it has more.
func TestTimeout(t *testing.T) {
	file := filepath.Join(t.TempDir(), "pid")
	path := script(t, `sleep 600 & echo $! > "$1.new"; mv "$1.new" "$1"; echo started; sleep 600`)
	var pid []byte
	for timeout := 500 * time.Millisecond; pid == nil; timeout = min(2*timeout, MaxTimeout) {
		err := Command{Args: []string{path, file}, Timeout: timeout}.Run(t.Context(), nil)
		if err == nil || !strings.Contains(err.Error(), "did not end within "+timeout.String()) {
			t.Fatal(err)
		}
		if pid, err = os.ReadFile(file); err != nil && timeout == MaxTimeout {
			t.Fatal(err)
		}
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(pid)))
	if err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(20 * time.Second); !gone(t, n); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("what it started goes on")
		}
	}
}

// gone reports whether a process has ended, whoever is to wait for it.
func gone(t *testing.T, pid int) bool {
	t.Helper()
	p, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	if p.Signal(syscall.Signal(0)) != nil {
		return true
	}
	stat, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return strings.Contains(string(stat), ") Z ")
}

// Programs that others could change, and commands that are none, do not run.
func TestRefuses(t *testing.T) {
	path := script(t, "exit 0")
	for name, c := range map[string]Command{
		"no path": {}, "relative": {Args: []string{"hook"}}, "none": {Args: []string{path + "x"}}, "folder": {Args: []string{filepath.Dir(path)}},
		"slow": {Args: []string{path}, Timeout: time.Hour}, "variable": {Args: []string{path}, Env: []string{"A=b"}},
	} {
		if c.Run(t.Context(), nil) == nil {
			t.Errorf("%s: it ran", name)
		}
	}
	if err := (Command{Args: []string{path}}).Run(t.Context(), make([]byte, maxInput+1)); !errors.Is(err, ErrRefused) {
		t.Errorf("too much: %v", err)
	}
	if err := os.Chmod(path, 0o722); err != nil {
		t.Fatal(err)
	}
	if err := (Command{Args: []string{path}}).Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "chmod") {
		t.Errorf("others can change it: %v", err)
	}
}

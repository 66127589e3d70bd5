package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// unlimited runs a command in the empty folder dir with no limit on core files.
func unlimited(cmd *exec.Cmd, dir string) {
	cmd.Args = append([]string{"sh", "-c", `ulimit -c unlimited || exit 99; exec "$@"`, "sh"}, cmd.Args...)
	cmd.Path, cmd.Err, cmd.Dir = "/bin/sh", nil, dir
}

// holds are the files below dir that hold value.
func holds(t *testing.T, dir, value string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(value)) {
			all = append(all, filepath.Base(path))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// crash sends sig to a process, and returns how that ended it.
func crash(t *testing.T, cmd *exec.Cmd, sig syscall.Signal) syscall.WaitStatus {
	t.Helper()
	if err := cmd.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	var failed *exec.ExitError
	if !errors.As(err, &failed) {
		t.Fatalf("%v ended it with %v", sig, err)
	}
	return failed.Sys().(syscall.WaitStatus)
}

// A process that holds a token and crashes leaves no core file, though whoever started
// it allows for them, and nothing else that holds the token. What is seen here would be
// seen: a shell that holds the token, and crashes alike, leaves it behind.
func TestNoCore(t *testing.T) {
	home := t.TempDir()
	value := run(t, home, "token", "issue", "--owner", "ann", "--purpose", "x")
	body := value[len(value)-20:]

	dir := t.TempDir()
	control := exec.Command("sh", "-c", `read -r held; echo ready; read -r more; echo "$held"`)
	unlimited(control, dir)
	in, _ := control.StdinPipe()
	out, err := control.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := control.Start(); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(in, value)
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Skip("core files cannot be allowed here: the hard limit is lower")
	}
	status := crash(t, control, syscall.SIGABRT)
	if left := holds(t, dir, body); !status.CoreDump() || len(left) == 0 {
		pattern, _ := os.ReadFile("/proc/sys/kernel/core_pattern")
		t.Logf("a shell that crashes (core %v) leaves no file here; core_pattern is %q: only what the kernel says is looked at", status.CoreDump(), bytes.TrimSpace(pattern))
	} else {
		t.Logf("a shell that crashes leaves %v with the token", left)
	}

	for _, sig := range []syscall.Signal{syscall.SIGABRT, syscall.SIGQUIT, syscall.SIGSEGV} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := quench(t, home, "scan", "--format", "jsonl", "-")
			cmd.Env = append(cmd.Env, "GOTRACEBACK=crash") // Go leaves a core only then
			unlimited(cmd, dir)
			var traces bytes.Buffer
			cmd.Stderr = &traces
			in, _ := cmd.StdinPipe()
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(in, "key=%s\n", value)
			if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || !strings.Contains(line, "quench") {
				t.Fatalf("the token was not found: %d bytes, %v", len(line), err)
			}
			limits, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", cmd.Process.Pid))
			if err != nil || !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(limits) {
				t.Errorf("its limits are %v\n%s", err, limits)
			}
			// Go raises SIGABRT when it has told what its goroutines did.
			if status := crash(t, cmd, sig); !status.Signaled() || status.CoreDump() {
				t.Errorf("%v: signalled %v by %v, core %v; want a crash without one", sig, status.Signaled(), status.Signal(), status.CoreDump())
			}
			if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
				t.Errorf("it left %v, %v", list, err)
			}
			if !strings.Contains(traces.String(), "goroutine ") || strings.Contains(traces.String(), body) {
				t.Errorf("its traces are %d bytes, and hold the token: %v", traces.Len(), strings.Contains(traces.String(), body))
			}
			if left := holds(t, home, body); len(left) > 0 {
				t.Errorf("%v hold the token", left)
			}
		})
	}
}

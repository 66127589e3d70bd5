package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
)

// pemLines is a private key.
func pemLines(t *testing.T, seed uint64) string {
	t.Helper()
	s, err := rules.Expand("-----BEGIN RSA PRIV"+"ATE KEY-----\n{64:b64}\n{64:b64}\n{64:b64}\n{40:b64}\n-----END RSA PRIV"+"ATE KEY-----\n", seed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A private key that begins in a log and ends in the one that comes after it is found,
// once and where it begins: at each kind of rotation, cut at a line and within one, in
// pieces, with a restart and a kill between, and in the records of containers.
func TestWatchKeyOverRotation(t *testing.T) {
	cri := func(s string) string {
		var b strings.Builder
		for l := range strings.Lines(s) {
			b.WriteString("2026-01-02T03:04:05.123456789Z stdout F " + l)
		}
		return b.String()
	}
	rename := func(t *testing.T, log string) {
		if err := os.Rename(log, log+".1"); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		name     string
		rotate   func(t *testing.T, log string)
		folder   bool
		wrap     func(string) string
		again    string // between the two halves
		inOne    bool   // the rest comes at once, and more after it
		registry bool
	}{
		{name: "renamed", rotate: rename},
		{name: "renamed in a folder", rotate: rename, folder: true},
		{name: "truncated", rotate: func(t *testing.T, log string) {
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "deleted", rotate: func(t *testing.T, log string) {
			if err := os.Remove(log); err != nil {
				t.Fatal(err)
			}
		}, inOne: true},
		{name: "containers", rotate: rename, wrap: cri},
		{name: "killed", rotate: rename, again: "kill", registry: true, inOne: true},
		{name: "killed in a folder", rotate: rename, folder: true, again: "kill", registry: true},
		{name: "stopped", rotate: rename, again: "stop"},
		{name: "stopped in a folder", rotate: rename, folder: true, again: "stop", registry: true, wrap: cri},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			if c.registry {
				run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			}
			if err := os.Mkdir(filepath.Join(home, "logs"), 0o700); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(home, "logs", "app.log")
			path := log
			if c.folder {
				path = filepath.Dir(log)
			}
			wrap := c.wrap
			if wrap == nil {
				wrap = func(s string) string { return s }
			}
			key := wrap(pemLines(t, 7))
			cut := len(key) / 2
			if c.wrap != nil {
				cut = strings.LastIndexByte(key[:cut], '\n') + 1
			}
			appendTo(t, log, wrap("one "+pat(t, 1)+"\n")+key[:cut])
			w := startWatch(t, home, path)
			if f := w.next(t); f.Rule != "github-pat" {
				t.Fatalf("%+v", f)
			}
			c.rotate(t, log)
			rest := key[cut:]
			if !c.inOne {
				nl := strings.IndexByte(rest, '\n') + 1
				appendTo(t, log, rest[:nl])
				rest = rest[nl:]
			}
			switch c.again {
			case "kill":
				w.Process.Kill()
				w.Wait()
				w = startWatch(t, home, path)
			case "stop":
				w.stop(t)
				w = startWatch(t, home, path)
			}
			appendTo(t, log, rest+wrap("two "+pat(t, 2)+"\n"))
			got := map[string]int{}
			for range 2 {
				f := w.next(t)
				got[f.Rule]++
				if f.Rule == "private-key" && (f.Line != 2 || filepath.Dir(f.Path) != filepath.Dir(log)) {
					t.Errorf("%+v", f)
				}
			}
			if got["private-key"] != 1 || got["github-pat"] != 1 {
				t.Fatalf("got %v", got)
			}
			if last := w.stop(t); !strings.Contains(last, `"findings":`) {
				t.Error(last)
			}
			w = startWatch(t, home, path)
			if last := w.stop(t); !strings.Contains(last, `"findings":0`) {
				t.Errorf("told again: %s", last)
			}
		})
	}
}

// Of a private key that begins in a log and ends in the next nothing is passed on but its
// first and last line, also when a kill is between.
func TestWatchPassesOnKeyOverRotation(t *testing.T) {
	for _, c := range []struct {
		name   string
		kill   bool
		rotate func(log string) error
	}{
		{"renamed", false, func(log string) error { return os.Rename(log, log+".1") }},
		{"truncated", false, func(log string) error { return os.Truncate(log, 0) }},
		{"killed", true, func(log string) error { return os.Rename(log, log+".1") }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			log, dir := filepath.Join(home, "logs", "app.log"), filepath.Join(home, "clean")
			if err := os.Mkdir(filepath.Dir(log), 0o700); err != nil {
				t.Fatal(err)
			}
			key := strings.SplitAfter(pemLines(t, 7), "\n")
			appendTo(t, log, "one\n"+strings.Join(key[:3], ""))
			w := startWatch(t, home, "--redact-to", dir, log)
			out := filepath.Join(dir, log)
			awaitFile(t, out, "one\n"+key[0]+"TAG\n") // late
			if err := c.rotate(log); err != nil {
				t.Fatal(err)
			}
			if c.kill {
				w.Process.Kill()
				w.Wait()
			}
			appendTo(t, log, key[3])
			if c.kill {
				w = startWatch(t, home, "--redact-to", dir, log)
			}
			awaitFile(t, out, "one\n"+key[0]+"TAG\nTAG\n")
			if c.kill { // within the second file
				w.Process.Kill()
				w.Wait()
				w = startWatch(t, home, "--redact-to", dir, log)
			}
			appendTo(t, log, strings.Join(key[4:], "")+"two\n")
			awaitFile(t, out, "one\n"+key[0]+"TAG\nTAG\n"+key[5]+"two\n")
			w.stop(t)
		})
	}
}

//go:build unix

package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A watch tells its service manager when it is ready and stops, and reloads rules, paths
// and policy on SIGHUP; a fault changes nothing. Its log holds no secret.
func TestWatchDaemon(t *testing.T) {
	home := t.TempDir()
	socket := filepath.Join(home, "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "200000")
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	rule := func(id, prefix string) string {
		return fmt.Sprintf("provider = \"test\"\nname = \"test\"\n[[rule]]\nid = %q\ndescription = \"d\"\npattern = '%s_[0-9]{12}'\nkeywords = [\"%s_\"]\nconfidence = \"high\"\nexamples = ['%s_{12:digits}']\nnegatives = ['%s_x']\n", id, prefix, prefix, prefix, prefix)
	}
	file, paths, policy := write("rules.toml", rule("test-one", "onekey")), write("paths", "# more\n"), write("policy.toml", "")
	one, two := write("one.log", ""), write("two.log", "old twokey_000000000000\n")
	w := startWatch(t, home, "--revoke=auto", "--rules", file, "--paths-from", paths, "--policy", policy, one)
	told := map[string]bool{}
	tells := func(want string) {
		t.Helper()
		b := make([]byte, 1000)
		for end := time.Now().Add(20 * time.Second); !told[want]; {
			manager.SetReadDeadline(end)
			n, err := manager.Read(b)
			if err != nil {
				t.Fatalf("never told %s: %v", want, err)
			}
			state, _, _ := strings.Cut(string(b[:n]), "\n")
			told[state] = true
		}
		delete(told, want)
	}
	tells("READY=1")
	tells("WATCHDOG=1")
	appendTo(t, one, "onekey_123456789012\ntwokey_123456789012\n")
	if f := w.next(t); f.Rule != "test-one" {
		t.Fatal(f)
	}

	write("rules.toml", "[[rule]]\nid = 1\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "not reloaded, going on as before")
	tells("RELOADING=1")
	tells("READY=1")
	appendTo(t, one, "onekey_223456789012\n")
	if f := w.next(t); f.Rule != "test-one" || f.Line != 3 {
		t.Fatal(f)
	}

	write("rules.toml", rule("test-two", "twokey"))
	write("paths", two+"\n")
	write("policy.toml", "[notify]\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "rules_added=[test-two] rules_removed=[test-one] paths_added=["+two+"]")
	if f := w.next(t); f.Rule != "test-two" || f.Path != two {
		t.Fatal(f)
	}
	appendTo(t, one, "onekey_323456789012\ntwokey_323456789012\n")
	if f := w.next(t); f.Rule != "test-two" || f.Path != one || f.Line != 5 {
		t.Fatal(f)
	}

	write("paths", "")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "paths_removed=["+two+"]")
	if last := w.stop(t); !strings.Contains(last, `"findings":4`) {
		t.Error(last)
	}
	tells("STOPPING=1")
	for _, l := range w.said() {
		if strings.Contains(l, "23456789012") {
			t.Errorf("the log holds a secret: %s", l)
		}
	}
}

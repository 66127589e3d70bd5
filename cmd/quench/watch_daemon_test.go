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
	// Read all the time, as a manager does: the kernel keeps ten messages, and the watch
	// waits for room.
	states := make(chan string, 10_000)
	go func() {
		for b := make([]byte, 1000); ; {
			n, err := manager.Read(b)
			if err != nil {
				return
			}
			state, _, _ := strings.Cut(string(b[:n]), "\n")
			states <- state
		}
	}()
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
		for end := time.After(20 * time.Second); !told[want]; {
			select {
			case state := <-states:
				told[state] = true
			case <-end:
				t.Fatalf("never told %s", want)
			}
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

// A reload reaches all that is read and done: rules those of messages and of what is
// passed on, paths what is passed on and the uses in access logs, and the policy what is
// revoked.
func TestWatchReload(t *testing.T) {
	home := t.TempDir()
	issue := func(owner string) (value, file string) {
		value = run(t, home, "token", "issue", "--owner", owner, "--purpose", "b")
		file = filepath.Join(home, owner)
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		return value, file
	}
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first, firstFile := issue("first")
	second, secondFile := issue("second")
	rule := func(id, prefix string) string {
		return fmt.Sprintf("provider = \"test\"\nname = \"test\"\n[[rule]]\nid = %q\ndescription = \"d\"\npattern = '%s_[0-9]{12}'\nkeywords = [\"%s_\"]\nconfidence = \"high\"\nexamples = ['%s_{12:digits}']\nnegatives = ['%s_x']\n", id, prefix, prefix, prefix, prefix)
	}
	if err := os.Mkdir(filepath.Join(home, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	one, two := write("logs/one.log", "onekey_111111111111 twokey_111111111111\n"), filepath.Join(home, "logs", "two.log")
	file, policy, paths := write("rules.toml", rule("test-one", "onekey")), write("policy.toml", ""), write("paths", one+"\n")
	clean, syslog := filepath.Join(home, "clean"), freePort(t)
	w := startWatch(t, home, "--revoke=auto", "--rules", file, "--policy", policy, "--paths-from", paths, "--redact-to", clean,
		"--access-log", "combined", "--syslog", "tcp://"+syslog)
	c, err := net.Dial("tcp", syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	say := func(text string) { fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: %s\n", text) }
	want := func(rule string, line int) {
		t.Helper()
		if f := w.next(t); f.Rule != rule || f.Line != line {
			t.Fatalf("%+v, want %s on line %d", f, rule, line)
		}
	}
	dead := func(file string, want bool) {
		t.Helper()
		if out := run(t, home, "token", "verify", "--file", file); strings.Contains(out, "refused: revoked") != want {
			t.Fatalf("dead should be %v: %s", want, out)
		}
	}
	want("test-one", 1)
	awaitFile(t, filepath.Join(clean, one), "TAG twokey_111111111111\n")
	say("onekey_111111111111 twokey_111111111111")
	want("test-one", 1)
	appendTo(t, one, first+"\n")
	w.next(t)
	dead(firstFile, true)

	write("rules.toml", rule("test-two", "twokey"))
	write("paths", one+"\n"+two+"\n")
	write("policy.toml", "[protect]\nowners = [\"second\"]\n")
	appendTo(t, two, "")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "policy=changed")
	say("onekey_222222222222 twokey_222222222222")
	want("test-two", 2)
	appendTo(t, two, "onekey_222222222222 twokey_222222222222\n")
	want("test-two", 1)
	awaitFile(t, filepath.Join(clean, two), "onekey_222222222222 TAG\n")
	appendTo(t, one, "twokey_333333333333\n")
	want("test-two", 3)
	awaitFile(t, filepath.Join(clean, one), "TAG twokey_111111111111\nTAG\nTAG\n")
	say(second)
	if f := w.next(t); f.Line != 3 || f.Done == "" {
		t.Fatalf("%+v", f)
	}
	dead(secondFile, false)

	// What a reload cannot have changes nothing.
	write("paths", home+"/*/**\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "would be passed on again")
	appendTo(t, two, "twokey_444444444444\n")
	want("test-two", 2)
	w.stop(t)
}

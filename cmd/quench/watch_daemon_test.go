//go:build unix

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"regexp"
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
			for state := range strings.SplitSeq(string(b[:n]), "\n") {
				states <- state
			}
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
	file, paths, policy := write("rules.toml", oneRule("test-one", "onekey")), write("paths", "# more\n"), write("policy.toml", "")
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
	tells("STATUS=not reloaded, going on as before")
	appendTo(t, one, "onekey_223456789012\n")
	if f := w.next(t); f.Rule != "test-one" || f.Line != 3 {
		t.Fatal(f)
	}

	write("rules.toml", oneRule("test-two", "twokey"))
	write("paths", two+"\n")
	write("policy.toml", "[notify]\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "rules_added=[test-two] rules_removed=[test-one] paths_added=["+two+"]")
	w.says(t, `msg="these flags are as they were given: a restart changes them" flags="[format revoke]"`)
	tells("STATUS=reloaded")
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

// oneRule is a file of a rule for prefix_ and twelve digits.
func oneRule(id, prefix string) string {
	return fmt.Sprintf("provider = \"test\"\nname = \"test\"\n[[rule]]\nid = %q\ndescription = \"d\"\npattern = '%s_[0-9]{12}'\nkeywords = [\"%s_\"]\nconfidence = \"high\"\nexamples = ['%s_{12:digits}']\nnegatives = ['%s_x']\n", id, prefix, prefix, prefix, prefix)
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
	if err := os.Mkdir(filepath.Join(home, "logs"), 0o700); err != nil {
		t.Fatal(err)
	}
	one, two := write("logs/one.log", "onekey_111111111111 twokey_111111111111\n"), filepath.Join(home, "logs", "two.log")
	file, policy, paths := write("rules.toml", oneRule("test-one", "onekey")), write("policy.toml", ""), write("paths", one+"\n")
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

	write("rules.toml", oneRule("test-two", "twokey"))
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
	id := regexp.MustCompile(`"id": "([^"]+)",[^{}]*"owner": "second"`).FindStringSubmatch(run(t, home, "token", "list", "--format", "json"))
	if id == nil {
		t.Fatal(run(t, home, "token", "list", "--format", "json"))
	}
	// By its endpoint, since the verification above was a use, too.
	appendTo(t, two, fmt.Sprintf("192.0.2.7 - %s [%s] \"GET / HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n", id[1], time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700")))
	for end := time.Now().Add(20 * time.Second); !strings.Contains(run(t, home, "usage", "show", id[1], "--format", "json"), `"name": "GET /"`); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("no use of the new path is recorded: %s", run(t, home, "usage", "show", id[1], "--format", "json"))
		}
	}

	// What a reload cannot have changes nothing.
	write("paths", home+"/*/**\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "would be passed on again")
	appendTo(t, two, "twokey_444444444444\n")
	want("test-two", 3)
	w.stop(t)
}

// A reload reaches what is not a file, too: standard input and the journal have the new
// rules, new connections the new certificate, and a new path the logs that were rotated
// before it was watched. What changed in a file of the configuration is told.
func TestWatchReloadInputs(t *testing.T) {
	home := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	// The journal goes on when told to.
	entry := func(cursor, message string) string {
		return `{"__CURSOR":"` + cursor + `","__REALTIME_TIMESTAMP":"1700000000000000","SYSLOG_IDENTIFIER":"shop","MESSAGE":"` + message + `"}` + "\n"
	}
	journal := filepath.Join(home, "journal")
	if err := syscall.Mkfifo(journal, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(write("journalctl", "#!/bin/sh\nexec cat "+journal+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", home+":"+os.Getenv("PATH"))
	first := writeCertificate(t, home)
	file, paths, config := write("rules.toml", oneRule("test-one", "onekey")), write("paths", ""), write("config.toml", "")
	syslog, otlp := freePort(t), freePort(t)
	cmd := quench(t, home, "watch", "--format", "jsonl", "--rules", file, "--paths-from", paths, "--config", config, "--journald", "all",
		"--syslog", "tls://"+syslog, "--otlp", otlp, "--tls-cert", filepath.Join(home, "cert.pem"), "--tls-key", filepath.Join(home, "key.pem"), "-")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	w, err := beginWatch(t, cmd)
	if err != nil {
		t.Fatal(err)
	}
	j, err := os.OpenFile(journal, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	want := func(rule, path string) {
		t.Helper()
		if f := w.next(t); f.Rule != rule || f.Path != path {
			t.Fatalf("%+v, want %s in %s", f, rule, path)
		}
	}
	dial := func(addr string, only *x509.CertPool) (*tls.Conn, error) {
		return tls.Dial("tcp", addr, &tls.Config{RootCAs: only})
	}
	served := func(which string, cert, other *x509.CertPool) {
		t.Helper()
		for _, addr := range []string{syslog, otlp} {
			c, err := dial(addr, cert)
			if err != nil {
				t.Fatalf("%s has not the %s certificate: %v", addr, which, err)
			}
			c.Close()
			if c, err := dial(addr, other); err == nil {
				c.Close()
				t.Errorf("%s has not only the %s certificate", addr, which)
			}
		}
	}
	both := " onekey_111111111111 twokey_111111111111\n"
	io.WriteString(stdin, "first"+both)
	want("test-one", "stdin")
	fmt.Fprint(j, entry("c1", strings.TrimSpace(both)))
	want("test-one", "shop")
	old, err := dial(syslog, first)
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	served("first", first, x509.NewCertPool())

	// A certificate that is none is refused with all else.
	second := writeCertificate(t, home)
	cert, err := os.ReadFile(filepath.Join(home, "cert.pem"))
	if err != nil {
		t.Fatal(err)
	}
	write("cert.pem", "none")
	write("rules.toml", oneRule("test-two", "twokey"))
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "reading --tls-cert and --tls-key")
	served("first", first, second)
	io.WriteString(stdin, "second"+both)
	want("test-one", "stdin")

	write("cert.pem", string(cert))
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	appendTo(t, log+".1", "rotated"+both)
	write("paths", log+"\n")
	write("config.toml", "[[allow]]\npaths = ['never']\n")
	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "rules_added=[test-two] rules_removed=[test-one] paths_added=["+log+"] files_changed=["+config+"] tls=changed")
	w.says(t, `flags="[format journald otlp syslog]"`)
	want("test-two", log+".1")
	served("second", second, first)
	io.WriteString(stdin, "third"+both)
	want("test-two", "stdin")
	fmt.Fprint(j, entry("c2", strings.TrimSpace(both)))
	want("test-two", "shop")
	fmt.Fprintf(old, "<34>Oct 11 22:14:15 web shop[812]:%s", both) // on the connection of before
	want("test-two", "127.0.0.1/web/shop")

	w.Process.Signal(syscall.SIGHUP)
	w.says(t, "changed=nothing")
	w.stop(t)
}

// writeCertificate writes a certificate of its own for loopback, and its key, to cert.pem
// and key.pem, and gives who trusts it.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	for name, b := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: der}, "key.pem": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(b), 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "cert.pem" {
			pool.AppendCertsFromPEM(pem.EncodeToMemory(b))
		}
	}
	return pool
}

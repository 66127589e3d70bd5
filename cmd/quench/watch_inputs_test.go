package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Logs of containers are followed: a token that is split over records is found where it
// begins in the file, through a kill between its records, and once in the database.
func TestWatchContainers(t *testing.T) {
	const at = "2026-01-02T03:04:05.123456789Z"
	record := map[string]func(stream, text string, whole bool) string{
		"cri": func(stream, text string, whole bool) string {
			return at + " " + stream + " " + map[bool]string{true: "F", false: "P"}[whole] + " " + text + "\n"
		},
		"docker": func(stream, text string, whole bool) string {
			return `{"log":"` + text + map[bool]string{true: `\n`}[whole] + `","stream":"` + stream + `","time":"` + at + `"}` + "\n"
		},
	}
	for kind, rec := range record {
		t.Run(kind, func(t *testing.T) {
			home := t.TempDir()
			run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			log := filepath.Join(home, "0.log")
			appendTo(t, log, rec("stdout", "start", true)+rec("stderr", "key="+pat(t, 0), true))
			w := startWatch(t, home, log)
			want := func(line int) {
				t.Helper()
				if f := w.next(t); f.Rule != "github-pat" || f.Line != line {
					t.Fatalf("got %+v, want line %d", f, line)
				}
			}
			want(2)
			appendTo(t, log, rec("stdout", "key="+pat(t, 1)[:20], false)+rec("stderr", "other", true))
			w.stop(t)
			w = startWatch(t, home, log)
			appendTo(t, log, rec("stdout", pat(t, 1)[20:], true))
			want(3)
			w.Process.Kill()
			w.Wait()
			appendTo(t, log, rec("stdout", "key="+pat(t, 2), true))
			w = startWatch(t, home, log)
			want(6)
			if last := w.stop(t); !strings.Contains(last, `"findings":1`) {
				t.Errorf("summary %s", last)
			}
		})
	}
}

// freePort is a port of loopback that is kept for the test.
func freePort(t *testing.T) string {
	t.Helper()
	addr, free, err := keepPort()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	return addr
}

// A token of the registry that comes by syslog, by OTLP or in the journal is dead, and
// OTLP says so before it answers.
func TestWatchInputs(t *testing.T) {
	home := t.TempDir()
	issue := func(name string) (value, file string) {
		file = filepath.Join(home, name)
		value = run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
		if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
			t.Fatal(err)
		}
		return value, file
	}
	bySyslog, syslogFile := issue("syslog")
	byOTLP, otlpFile := issue("otlp")
	syslog, otlp := freePort(t), freePort(t)
	w := startWatch(t, home, "--revoke=auto", "--syslog", "tcp://"+syslog, "--otlp", otlp)
	body, err := json.Marshal(map[string]any{"resourceLogs": []any{map[string]any{"scopeLogs": []any{map[string]any{"logRecords": []any{
		map[string]any{"timeUnixNano": "1700000000000000000", "body": map[string]string{"stringValue": "token " + byOTLP}}}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is known
		resp, err := http.Post("http://"+otlp+"/v1/logs", "application/json", strings.NewReader(string(body)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Fatal(resp.Status)
		}
		if out := run(t, home, "token", "verify", "--file", otlpFile); !strings.Contains(out, "refused: revoked") {
			t.Fatalf("after the answer: %s", out)
		}
	}
	if f := w.next(t); f.Path != "unknown" || f.Done == "" {
		t.Errorf("%+v", f)
	}
	c, err := net.Dial("tcp", syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: token %s used\n", bySyslog)
	if f := w.next(t); f.Path != "127.0.0.1/web/shop" || f.Done == "" {
		t.Errorf("%+v", f)
	}
	if out := run(t, home, "token", "verify", "--file", syslogFile); !strings.Contains(out, "refused: revoked") {
		t.Error(out)
	}
	if last := w.stop(t); !strings.Contains(last, `"findings":2`) {
		t.Errorf("summary %s", last)
	}
}

// The journal is read on behind its cursor, and journalctl is started again when it ends.
func TestWatchJournal(t *testing.T) {
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	// It writes what lies there for the cursor it is given, and waits.
	script := "#!/bin/sh\necho \"$@\" >> " + home + "/args\nfor a in \"$@\"; do case $a in --after-cursor=*) cat " + home + "/after-${a#--after-cursor=}; exec sleep 100;; esac; done\ncat " + home + "/start\nexec sleep 100\n"
	if err := os.WriteFile(filepath.Join(bin, "journalctl"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	entry := func(cursor, message string) string {
		return `{"__CURSOR":"` + cursor + `","__REALTIME_TIMESTAMP":"1700000000000000","SYSLOG_IDENTIFIER":"shop","MESSAGE":"` + message + `"}` + "\n"
	}
	appendTo(t, filepath.Join(home, "start"), entry("c1", "token "+pat(t, 1))+entry("c2", "hello"))
	appendTo(t, filepath.Join(home, "after-c2"), entry("c3", "token "+pat(t, 2)))
	appendTo(t, filepath.Join(home, "after-c3"), entry("c4", "token "+pat(t, 3)))
	for i := range 3 {
		w := startWatch(t, home, "--journald", "all")
		if f := w.next(t); f.Path != "shop" {
			t.Errorf("run %d: %+v", i, f)
		}
		if last := w.stop(t); !strings.Contains(last, `"findings":1`) {
			t.Errorf("run %d: %s", i, last)
		}
	}
	args, err := os.ReadFile(filepath.Join(home, "args"))
	if err != nil || !strings.Contains(string(args), "--after-cursor=c3") {
		t.Errorf("%s %v", args, err)
	}
}

// What was rotated away before the first start is read then, and not again; with --from
// end it is not.
func TestWatchOlder(t *testing.T) {
	home := t.TempDir()
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	appendTo(t, log+".1", "x\nkey="+pat(t, 1)+"\n")
	w := startWatch(t, home, "--from", "end", log)
	if last := w.stop(t); !strings.Contains(last, `"findings":0`) {
		t.Errorf("from the end: %s", last)
	}
	w = startWatch(t, home, log)
	if f := w.next(t); f.Path != log+".1" || f.Line != 2 {
		t.Errorf("%+v", f)
	}
	w.stop(t)
	w = startWatch(t, home, log)
	appendTo(t, log, "key="+pat(t, 2)+"\n")
	if f := w.next(t); f.Path != log {
		t.Errorf("%+v", f)
	}
	if last := w.stop(t); !strings.Contains(last, `"findings":1`) {
		t.Errorf("again: %s", last)
	}
}

// What comes in messages is passed on, each sender's in a file of its own, whatever its
// name is, and all that is read is counted.
func TestWatchPassesMessagesOn(t *testing.T) {
	home := t.TempDir()
	syslog, clean := freePort(t), filepath.Join(home, "clean")
	w := startWatch(t, home, "--syslog", "tcp://"+syslog, "--redact-to", clean)
	c, err := net.Dial("tcp", syslog)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	key := strings.Split(strings.TrimSpace(pemLines(t, 7)), "\n")
	fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: token %s used\n", pat(t, 1))
	for _, l := range key {
		fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: %s\n", l)
		fmt.Fprintf(c, "<34>1 2026-01-02T03:04:05Z ../../etc .. 1 - - said %s\n", "nothing")
	}
	fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: last\n")
	for range 2 {
		w.next(t)
	}
	awaitFile(t, filepath.Join(clean, "syslog", "127.0.0.1_web_shop.log"), "token TAG used\nTAG\nlast\n")
	last := w.stop(t)
	if !strings.Contains(last, `"findings":2`) || strings.Contains(last, `"bytes":0`) {
		t.Errorf("summary %s", last)
	}
	w.says(t, "msg=read input=syslog bytes=")
	var names []string
	filepath.WalkDir(home, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".log") {
			rel, _ := filepath.Rel(clean, path)
			names = append(names, rel)
		}
		return err
	})
	if len(names) != 2 || names[0] != "syslog/127.0.0.1_.._.._etc_...log" {
		t.Errorf("files %q", names)
	}
	all := filepath.Join(home, "stdout")
	out, err := os.Create(all)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := quench(t, home, "watch", "--syslog", "tcp://"+syslog, "--redact-to", "-")
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	var again net.Conn
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if again, err = net.Dial("tcp", syslog); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
	defer again.Close()
	fmt.Fprintf(again, "<34>Oct 11 22:14:15 web shop[812]: token %s used\n", pat(t, 2))
	awaitFile(t, all, "token TAG used\n")
}

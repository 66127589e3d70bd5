package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var redactionTag = regexp.MustCompile(`\[quench:[a-z0-9-]+:redacted-[0-9a-f]{10}\]`)

// awaitFile waits until a file holds what is wanted, tags apart.
func awaitFile(t *testing.T, name, want string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(name)
		got := redactionTag.ReplaceAllString(string(b), "TAG")
		if err == nil && got == want {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%s holds %d bytes, want %d: %.300q, want %.300q (%v)", name, len(got), len(want), got, want, err)
		}
	}
}

// What is watched is passed on without its secrets, byte for byte otherwise, through
// rotation, kills at any moment and restarts: there is no gap, and nothing is there
// twice.
func TestWatchPassesOn(t *testing.T) {
	home := t.TempDir()
	logs, dir := filepath.Join(home, "logs"), filepath.Join(home, "clean")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(logs, "app.log")
	out := filepath.Join(dir, log)
	want := ""
	add := func(i int) {
		text := fmt.Sprintf("line %d\r\nkey=%s used %d\n\x00binary \xff\n", i, pat(t, uint64(i)), i)
		appendTo(t, log, text)
		want += strings.ReplaceAll(text, pat(t, uint64(i)), "TAG")
	}
	add(0)
	w := startWatch(t, home, "--redact-to", dir, log)
	awaitFile(t, out, want)
	rounds := 6
	for i := range rounds {
		add(10*i + 1)
		if i == rounds/2 {
			awaitFile(t, out, want)
			if err := os.Rename(log, log+".old"); err != nil {
				t.Fatal(err)
			}
		}
		add(10*i + 2)
		time.Sleep(time.Duration(i*300) * time.Millisecond) // before and after a save
		w.Process.Kill()
		w.Wait()
		add(10*i + 3)
		w = startWatch(t, home, "--redact-to", dir, log)
	}
	appendTo(t, log, "the last has no end")
	awaitFile(t, out, want)
	w.stop(t)
	// A last line without its end waits, since a secret may stand there.
	awaitFile(t, out, want)
	add2 := ": now it has\n"
	appendTo(t, log, add2)
	w = startWatch(t, home, "--redact-to", dir, log)
	awaitFile(t, out, want+"the last has no end"+add2)
	w.stop(t)
}

// Uses in an access log are recorded as they come, each once, through a rotation and a
// kill.
func TestWatchAccessLog(t *testing.T) {
	home := t.TempDir()
	value := run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	file := filepath.Join(home, "token")
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
	id := regexp.MustCompile(`"id": ?"([^"]+)"`).FindStringSubmatch(run(t, home, "token", "list", "--format", "json"))
	if id == nil {
		t.Fatal("no id in the list of tokens")
	}
	log := filepath.Join(home, "access.log")
	n := 0
	add := func() {
		n++
		appendTo(t, log, fmt.Sprintf("192.0.2.7 - %s [%s] \"GET /v1/things/%d HTTP/1.1\" 200 12 \"-\" \"curl/8\"\n", id[1], time.Now().UTC().Format("02/Jan/2006:15:04:05 -0700"), n))
	}
	uses := func() int {
		t.Helper()
		var got struct{ Events int }
		out := run(t, home, "usage", "show", id[1], "--format", "json")
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return got.Events
	}
	await := func() {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); uses() != n; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d uses, want %d", uses(), n)
			}
		}
	}
	add()
	w := startWatch(t, home, "--access-log", "combined", log)
	await()
	add()
	if err := os.Rename(log, log+".1"); err != nil {
		t.Fatal(err)
	}
	add()
	await()
	add()
	w.Process.Kill()
	w.Wait()
	add()
	w = startWatch(t, home, "--access-log", "combined", log)
	add()
	await()
	w.stop(t)
	if got := uses(); got != n {
		t.Errorf("%d uses, want %d", got, n)
	}
}

// Two watches that would write the same files: the second is refused, and says what to do.
func TestWatchTwice(t *testing.T) {
	home := t.TempDir()
	log, dir := filepath.Join(home, "app.log"), filepath.Join(home, "clean")
	appendTo(t, log, "hello\n")
	refused := func(want string, args ...string) {
		t.Helper()
		out, err := quench(t, home, append([]string{"watch"}, args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) {
			t.Errorf("watch %q: %v: %s", args, err, out)
		}
	}
	w := startWatch(t, home, log)
	refused("set XDG_STATE_HOME to another folder", log)
	w.stop(t)
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	w = startWatch(t, home, "--redact-to", dir, log)
	refused("another quench uses it; name another folder", "--redact-to", dir, log)
	w.Process.Kill()
	w.Wait()
	w = startWatch(t, home, "--redact-to", dir, log)
	w.stop(t)
}

// More files than are begun at once, and a kill before all are: each is passed on once.
func TestWatchPassesManyOn(t *testing.T) {
	home := t.TempDir()
	logs, dir := filepath.Join(home, "logs"), filepath.Join(home, "clean")
	if err := os.Mkdir(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	const n = 60
	name := func(i int) string { return filepath.Join(logs, fmt.Sprintf("%d.log", i)) }
	for i := range n {
		appendTo(t, name(i), fmt.Sprintf("one %d\n", i))
	}
	w := startWatch(t, home, "--redact-to", dir, logs)
	state := filepath.Join(dir, ".quench-positions.json")
	saved := func() bool {
		b, _ := os.ReadFile(state)
		return strings.Count(string(b), `"Passed":`) == n && strings.Count(string(b), `"Passed":0`) == 0
	}
	for end := time.Now().Add(20 * time.Second); !saved(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never writes all positions down")
		}
	}
	for range 3 {
		before, err := os.Stat(state)
		if err != nil {
			t.Fatal(err)
		}
		w.Process.Kill()
		w.Wait()
		w = startWatch(t, home, "--redact-to", dir, logs)
		for end := time.Now().Add(5 * time.Second); time.Now().Before(end); { // until it writes some down
			if now, err := os.Stat(state); err == nil && !os.SameFile(before, now) {
				break
			}
		}
	}
	for i := range n {
		appendTo(t, name(i), "two\n")
	}
	for i := range n {
		awaitFile(t, filepath.Join(dir, name(i)), fmt.Sprintf("one %d\ntwo\n", i))
	}
	w.stop(t)
}

// Files are passed on to a pipe as they come, each whole line at a time; the report goes
// to standard error, and the watch ends with an error when the reader goes away.
func TestWatchPassesOnToPipe(t *testing.T) {
	home := t.TempDir()
	one, two := filepath.Join(home, "one.log"), filepath.Join(home, "two.log")
	appendTo(t, one, "one\n")
	appendTo(t, two, "two\r\n\x00\n")
	cmd := quench(t, home, "watch", "--format", "jsonl", "--redact-to", "-", one, two)
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	var report bytes.Buffer
	cmd.Stdout, cmd.Stderr = in, &report
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Kill()
	in.Close()
	lines := bufio.NewScanner(out)
	next := func(n int) string {
		t.Helper()
		var got []string
		for range n {
			if !lines.Scan() {
				t.Fatalf("the pipe ended: %v", lines.Err())
			}
			got = append(got, redactionTag.ReplaceAllString(lines.Text(), "TAG"))
		}
		slices.Sort(got) // of two files the order is any
		return strings.Join(got, "|")
	}
	if got, want := next(3), "\x00|one|two"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	appendTo(t, one, "key="+pat(t, 1)[:10])
	appendTo(t, one, pat(t, 1)[10:]+" used\n")
	if got := next(1); got != "key=TAG used" {
		t.Errorf("%q", got)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for end := time.Now().Add(20 * time.Second); ; {
		appendTo(t, two, "more\n")
		select {
		case err := <-done:
			if err == nil || !strings.Contains(report.String(), "pipe") || !strings.Contains(report.String(), `"rule_id":"github-pat"`) {
				t.Errorf("it ended with %v:\n%s", err, report.String())
			}
			return
		case <-time.After(20 * time.Millisecond):
		}
		if time.Now().After(end) {
			t.Fatal("it goes on without a reader")
		}
	}
}

//go:build linux

package main

import (
	"bytes"
	"database/sql"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// The faults that a watch must take, with real files and processes: few rounds by
// default, as many as the plan asks for by make watch-faults.

// rounds is a number of the environment, or less.
func rounds(t *testing.T, name string, short int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return short
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		t.Fatalf("%s=%q: %v", name, s, err)
	}
	return n
}

// follower is a watch that may run for long, with its metrics.
type follower struct {
	*exec.Cmd
	addr     string
	out, err syncBuffer
	ended    chan error
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// follow starts a watch as the user uid; 0 is the one of the test.
func follow(t *testing.T, home string, uid uint32, args ...string) *follower {
	t.Helper()
	return followWith(t, home, func(cmd *exec.Cmd) {
		if uid != 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		}
	}, args...)
}

// followWith starts a watch that was prepared.
func followWith(t *testing.T, home string, prepare func(*exec.Cmd), args ...string) *follower {
	t.Helper()
	f := &follower{addr: freePort(t), ended: make(chan error, 1)}
	f.Cmd = exec.Command("quench", append([]string{"watch", "--format", "jsonl", "--metrics", f.addr}, args...)...)
	f.Env = quench(t, home).Env
	f.Stdout, f.Stderr = &f.out, &f.err
	prepare(f.Cmd)
	if err := f.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { f.ended <- f.Wait() }()
	t.Cleanup(func() { f.Process.Kill() })
	return f
}

// says waits until its log holds a text.
func (f *follower) says(t *testing.T, want string) {
	t.Helper()
	waitFor(t, 90*time.Second, func() bool { return strings.Contains(f.err.String(), want) }, func() string {
		return fmt.Sprintf("it never says %q:\n%s", want, f.err.String())
	})
}

func waitFor(t *testing.T, d time.Duration, ok func() bool, why func() string) {
	t.Helper()
	for end := time.Now().Add(d); !ok(); time.Sleep(500 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatal(why())
		}
	}
}

var metricClient = &http.Client{Timeout: 10 * time.Second}

// metric is one number that it shows, -1 while it shows none.
func (f *follower) metric(name string) float64 {
	resp, err := metricClient.Get("http://" + f.addr + "/metrics")
	if err != nil {
		return -1
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	m := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(name) + ` (\S+)$`).FindSubmatch(b)
	if m == nil {
		return -1
	}
	n, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return -1
	}
	return n
}

// reads waits until it has read so many bytes.
func (f *follower) reads(t *testing.T, bytes int64) {
	t.Helper()
	waitFor(t, time.Minute, func() bool { return f.metric(`quench_watch_read_bytes_total{input="files"}`) >= float64(bytes) }, func() string {
		return fmt.Sprintf("it read %v bytes of %d:\n%s", f.metric(`quench_watch_read_bytes_total{input="files"}`), bytes, f.err.String())
	})
}

// stop ends it as systemd does.
func (f *follower) stop(t *testing.T) {
	t.Helper()
	f.Process.Signal(syscall.SIGTERM)
	if err := <-f.ended; err != nil {
		t.Errorf("it ended with %v:\n%s", err, f.err.String())
	}
}

// stored are the findings in the database: all of them, and the files they are in.
func stored(t *testing.T, home string) (rows, files int) {
	t.Helper()
	db, err := sql.Open("sqlite", registryFile(t, home))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.QueryRow("SELECT count(*), count(DISTINCT source) FROM findings").Scan(&rows, &files); err != nil {
		t.Fatal(err)
	}
	return rows, files
}

func registryFile(t *testing.T, home string) (path string) {
	t.Helper()
	filepath.WalkDir(home, func(p string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(p, "registry.db") {
			path = p
		}
		return nil
	})
	if path == "" {
		t.Fatal("no registry")
	}
	return path
}

// piece is a thousand lines, the last of which holds a token.
func piece(t *testing.T, i int) []byte {
	t.Helper()
	var b bytes.Buffer
	for n := range 999 {
		fmt.Fprintf(&b, "2026-01-02T03:04:%02d.%06dZ INFO request %d of %d done in %d ms\n", n%60, i, n, i, (n*7919+i)%1000)
	}
	fmt.Fprintf(&b, "login with %s failed\n", pat(t, uint64(i)))
	return b.Bytes()
}

// Under rotations of each kind, a thousand lines each, no token is lost and none found
// twice. The next rotation comes as soon as the watch reads the file, not when it has
// read it; of a truncated file, of which nobody else has the bytes, when it has.
func TestWatchRotations(t *testing.T) {
	n := rounds(t, "QUENCH_TEST_ROTATIONS", 12)
	for _, kind := range []string{"rename", "copytruncate", "truncate", "recreate", "symlink"} {
		t.Run(kind, func(t *testing.T) {
			home := t.TempDir()
			run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			dir := filepath.Join(home, "logs")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(dir, "app.log")
			w := follow(t, home, 0, log)
			w.says(t, "watching ")
			total, start := int64(0), time.Now()
			for i := range n {
				data := piece(t, i)
				rotateLog(t, kind, log, i, data)
				if kind == "truncate" || kind == "copytruncate" {
					w.reads(t, total+int64(len(data)))
				} else {
					w.reads(t, total+1)
				}
				total += int64(len(data))
			}
			w.reads(t, total)
			took := time.Since(start)
			w.stop(t)
			rows, files := stored(t, home)
			if told := strings.Count(w.out.String(), `"rule_id":"github-pat"`); rows != n || files != n || told != n {
				t.Errorf("of %d tokens %d are stored, of %d files, and %d told:\n%s", n, rows, files, told, w.err.String())
			}
			t.Logf("%d rotations in %v: %d MB, %d tokens stored, each once", n, took.Round(time.Millisecond), total>>20, rows)
		})
	}
}

// rotateLog puts away what the log holds and writes data to it.
func rotateLog(t *testing.T, kind, log string, i int, data []byte) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	switch kind {
	case "rename":
		must(os.Rename(log, log+".1"))
	case "copytruncate":
		old, err := os.ReadFile(log)
		must(err)
		must(os.WriteFile(log+".1", old, 0o600))
		must(os.Truncate(log, 0))
	case "truncate":
		must(os.Truncate(log, 0))
	case "recreate":
		must(os.Remove(log))
	case "symlink":
		to := fmt.Sprintf("%s.%d", log, i)
		must(os.WriteFile(to, nil, 0o600))
		must(os.Symlink(filepath.Base(to), log+".new"))
		must(os.Rename(log+".new", log))
		if i > 1 {
			must(os.Remove(fmt.Sprintf("%s.%d", log, i-2)))
		}
	}
	// In pieces that end within lines.
	for len(data) > 0 {
		n := min(len(data), 10_007)
		appendTo(t, log, string(data[:n]))
		data = data[n:]
	}
}

// Killed again and again while a program writes and its logs are rotated, a watch of the
// folder loses nothing and stores nothing twice.
func TestWatchKilledOften(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	lasts := time.Duration(rounds(t, "QUENCH_TEST_KILL_SECONDS", 3)) * time.Second
	home := t.TempDir()
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	dir := filepath.Join(home, "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "app.log")
	over, written := make(chan bool), make(chan int)
	go func() {
		i := 0
		for ; ; i++ {
			select {
			case <-over:
				written <- i
				return
			case <-time.After(5 * time.Millisecond):
			}
			if i%10 == 0 && i > 0 {
				os.Rename(log, fmt.Sprintf("%s.%d", log, i))
			}
			appendTo(t, log, string(piece(t, i)))
		}
	}()
	kills := 0
	for end := time.Now().Add(lasts); time.Now().Before(end); kills++ {
		w := follow(t, home, 0, dir)
		time.Sleep(time.Duration(20+rand.IntN(400)) * time.Millisecond)
		w.Process.Kill()
		<-w.ended
	}
	close(over)
	n := <-written
	w := follow(t, home, 0, dir)
	w.says(t, "watching ") // all that was there is read
	w.stop(t)
	rows, _ := stored(t, home)
	if rows != n {
		t.Errorf("%d tokens were written, %d are stored", n, rows)
	}
	t.Logf("%d kills in %v: %d tokens written, %d stored", kills, lasts, n, rows)
}

// nowhere fails where a file under dir, but for logs, holds a text.
func nowhere(t *testing.T, dir, text string) {
	t.Helper()
	filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(p, "/logs/") {
			return nil
		}
		if b, _ := os.ReadFile(p); bytes.Contains(b, []byte(text)) {
			t.Errorf("%s holds a secret", p)
		}
		return nil
	})
}

// While its database is locked by somebody nothing is read, nothing spooled and no
// position saved, though logs are rotated; then all is found.
func TestWatchDatabaseGone(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the store to give up")
	}
	t.Parallel() // it waits more than it works
	lasts := time.Duration(rounds(t, "QUENCH_TEST_GONE_SECONDS", 1)) * time.Second
	home := t.TempDir()
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	dir := filepath.Join(home, "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "app.log")
	w := follow(t, home, 0, log)
	w.says(t, "watching ")
	db, err := sql.Open("sqlite", registryFile(t, home))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("PRAGMA busy_timeout = 10000; BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	n := 0
	rotated := func() {
		os.Rename(log, fmt.Sprintf("%s.%d", log, n%3))
		appendTo(t, log, string(piece(t, n)))
		n++
	}
	rotated()
	w.says(t, "what was found cannot be stored")
	for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		rotated()
	}
	if got := w.metric("quench_watch_blocked_seconds"); got <= 0 {
		t.Errorf("blocked for %v s", got)
	}
	var positions int
	if err := db.QueryRow(`SELECT count(*) FROM watch_files WHERE "offset" > 0`).Scan(&positions); err != nil || positions > 0 {
		t.Errorf("%d positions are saved, %v", positions, err)
	}
	nowhere(t, home, pat(t, 0))
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	w.says(t, "storing works again")
	size := int64(0)
	for i := range n {
		size += int64(len(piece(t, i)))
	}
	w.reads(t, size)
	w.stop(t)
	if rows, _ := stored(t, home); rows != n {
		t.Errorf("%d of %d tokens are stored", rows, n)
	}
	nowhere(t, home, pat(t, 0))
	t.Logf("gone for %v: %d files rotated meanwhile, all %d tokens stored", lasts, n, n)
}

// mount puts a small file system at dir, where that is allowed.
func mount(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("nothing can be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// A full disk under the registry: it says so, loses nothing and goes on.
func TestWatchDiskFull(t *testing.T) {
	home := t.TempDir()
	mount(t, filepath.Join(home, "state"), "4m")
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	dir := filepath.Join(home, "logs")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "app.log")
	appendTo(t, log, "hello\n")
	w := follow(t, home, 0, log)
	w.says(t, "watching ")
	filler := filepath.Join(home, "state", "filler")
	os.WriteFile(filler, make([]byte, 8<<20), 0o600) // until it is full
	const n = 50
	for i := range n {
		appendTo(t, log, string(piece(t, i)))
	}
	w.says(t, "cannot be s")
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.says(t, "storing works again")
	waitFor(t, time.Minute, func() bool { rows, _ := stored(t, home); return rows == n }, func() string { return w.err.String() })
	w.stop(t)
}

// A full disk under the positions of a watch without a registry: what leaks is told
// meanwhile, since nothing else is kept; it is said, and when there is room again the
// positions are written down, so that a restart tells nothing twice.
func TestWatchPositionsFull(t *testing.T) {
	home := t.TempDir()
	state := filepath.Join(home, "state")
	mount(t, state, "256k")
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	w := follow(t, home, 0, log)
	w.says(t, "watching ")
	told := func(n int) {
		t.Helper()
		waitFor(t, time.Minute, func() bool { return strings.Count(w.out.String(), `"rule_id":"github-pat"`) == n }, func() string {
			return fmt.Sprintf("not %d told: %s\n%s", n, w.out.String(), w.err.String())
		})
	}
	filler := filepath.Join(state, "filler")
	os.WriteFile(filler, make([]byte, 1<<20), 0o600) // until it is full
	appendTo(t, log, "key="+pat(t, 1)+"\n")
	told(1)
	w.says(t, "positions cannot be saved")
	appendTo(t, log, "key="+pat(t, 2)+"\n")
	told(2)
	if said := w.err.String(); strings.Contains(said, "works again") || strings.Count(said, "positions cannot be saved") != 1 {
		t.Errorf("while the disk is full it says:\n%s", said)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w.says(t, "storing works again")
	w.Process.Kill()
	<-w.ended
	w = follow(t, home, 0, log)
	w.says(t, "watching ")
	appendTo(t, log, "key="+pat(t, 3)+"\n")
	told(1)
	w.stop(t)
	told(1)
}

// A folder is unmounted under the watch, and comes back.
func TestWatchUnmounted(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	dir := filepath.Join(home, "logs")
	mount(t, dir, "4m")
	log := filepath.Join(dir, "app.log")
	appendTo(t, log, "k="+pat(t, 1)+"\n")
	w := follow(t, home, 0, dir)
	w.says(t, "watching ")
	if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
		t.Fatal(err)
	}
	w.says(t, "was something unmounted")
	mount(t, dir, "4m")
	appendTo(t, log, "x\nk="+pat(t, 2)+"\n")
	waitFor(t, time.Minute, func() bool { rows, _ := stored(t, home); return rows == 2 }, func() string { return w.err.String() })
	w.stop(t)
}

// A file that may not be read is said, and read when it may.
func TestWatchUnreadable(t *testing.T) {
	home := t.TempDir()
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	dir := filepath.Join(home, "logs")
	log := filepath.Join(dir, "app.log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	appendTo(t, log, "k="+pat(t, 1)+"\n")
	if err := os.Chmod(log, 0); err != nil {
		t.Fatal(err)
	}
	uid := uint32(0)
	if os.Getuid() == 0 { // who may read everything
		uid = 65534
		for p := home; p != "/tmp" && p != "/"; p = filepath.Dir(p) {
			os.Chmod(p, 0o755)
		}
		filepath.WalkDir(home, func(p string, _ fs.DirEntry, _ error) error { return os.Lchown(p, int(uid), int(uid)) })
	}
	for p := filepath.Dir(quench(t, home).Path); uid != 0 && p != "/tmp" && p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	w := follow(t, home, uid, log)
	w.says(t, "permission denied")
	if err := os.Chmod(log, 0o400); err != nil {
		t.Fatal(err)
	}
	w.says(t, "it is read again")
	waitFor(t, time.Minute, func() bool { rows, _ := stored(t, home); return rows == 1 }, func() string { return w.err.String() })
	w.stop(t)
}

// A full disk under what is passed on, and a rotation of it: it says so, waits, and
// nothing is missing or there twice, also after a kill while it was full.
func TestWatchPassesOnToFullDisk(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "clean")
	mount(t, dir, "1m")
	log := filepath.Join(home, "app.log")
	out := filepath.Join(dir, log)
	appendTo(t, log, "hello\n")
	w := follow(t, home, 0, "--redact-to", dir, log)
	awaitFile(t, out, "hello\n")
	filler := filepath.Join(dir, "filler")
	full := func() { os.WriteFile(filler, make([]byte, 2<<20), 0o600) } // until it is full
	full()
	want := "hello\n"
	add := func(i int) {
		text := strings.Repeat(fmt.Sprintf("line %d\n", i), 2000) + "key=" + pat(t, uint64(i)) + "\n"
		appendTo(t, log, text)
		want += strings.ReplaceAll(text, pat(t, uint64(i)), "TAG")
	}
	add(1)
	w.says(t, "waiting until it can be passed on")
	add(2)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	awaitFile(t, out, want)
	full()
	add(3)
	waitFor(t, time.Minute, func() bool { return strings.Count(w.err.String(), "no space left") >= 2 }, func() string { return w.err.String() })
	w.Process.Kill()
	<-w.ended
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	w = follow(t, home, 0, "--redact-to", dir, log)
	awaitFile(t, out, want)
	if err := os.Rename(out, out+".1"); err != nil {
		t.Fatal(err)
	}
	waitFor(t, time.Minute, func() bool { appendTo(t, log, "more\n"); _, err := os.Stat(out); return err == nil }, func() string { return w.err.String() })
	lines := func(names ...string) (n int) {
		for _, name := range names {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			n += strings.Count(string(b), "more\n")
		}
		return n
	}
	written := lines(log)
	waitFor(t, 20*time.Second, func() bool { return lines(out, out+".1") == written }, func() string {
		return fmt.Sprintf("%d of %d lines came through the rotation", lines(out, out+".1"), written)
	})
	w.stop(t)
}

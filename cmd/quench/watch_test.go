package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quench-dev/quench/rules"
)

// watching is a real quench watch.
type watching struct {
	*exec.Cmd
	out *bufio.Scanner
	due chan string // deadlines it told of
	all chan bool   // closed when its log is read to the end

	mu   sync.Mutex
	errs []string // lines of its log
}

// said is what its log holds so far.
func (w *watching) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.errs)
}

// says waits until its log holds a text.
func (w *watching) says(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		for _, l := range w.said() {
			if strings.Contains(l, want) {
				return
			}
		}
	}
	t.Fatalf("its log never says %q:\n%s", want, strings.Join(w.said(), "\n"))
}

// startWatch starts it and waits until it says that it watches.
func startWatch(t *testing.T, home string, args ...string) *watching {
	t.Helper()
	w, err := beginWatch(t, quench(t, home, append([]string{"watch", "--format", "jsonl"}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// beginWatch starts cmd, a watch, and waits until it says that it watches.
func beginWatch(t *testing.T, cmd *exec.Cmd) (*watching, error) {
	t.Helper()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	errs, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	t.Cleanup(func() { cmd.Process.Kill() })
	w := &watching{Cmd: cmd, out: bufio.NewScanner(out), due: make(chan string, 10), all: make(chan bool)}
	w.out.Buffer(nil, 1<<20)
	ready := make(chan bool, 1)
	go func() {
		s := bufio.NewScanner(errs)
		for s.Scan() {
			w.mu.Lock()
			w.errs = append(w.errs, s.Text())
			w.mu.Unlock()
			if strings.HasPrefix(s.Text(), "watching ") {
				ready <- true
			}
			if due, ok := strings.CutPrefix(s.Text(), "deadline: "); ok {
				w.due <- due
			}
		}
		close(ready)
		close(w.all)
	}()
	if !<-ready {
		return nil, fmt.Errorf("watch ended before it watched: %w\n%s", cmd.Wait(), strings.Join(w.said(), "\n"))
	}
	return w, nil
}

// next is the next finding.
func (w *watching) next(t *testing.T) (f struct {
	Rule string `json:"rule_id"`
	Path string `json:"path"`
	Line int    `json:"start_line"`
	Done string `json:"contained"`
	Pair string `json:"pair_rule_id"`
}) {
	t.Helper()
	if !w.out.Scan() {
		t.Fatal("watch ended")
	}
	if err := json.Unmarshal(w.out.Bytes(), &f); err != nil {
		t.Fatal(err)
	}
	return f
}

// stop stops it as systemd does and gives its last line. Its log is read before Wait,
// which closes the pipe, with what nobody has read.
func (w *watching) stop(t *testing.T) string {
	t.Helper()
	w.Process.Signal(syscall.SIGTERM)
	last := ""
	for w.out.Scan() {
		last = w.out.Text()
	}
	<-w.all
	if err := w.Wait(); err != nil {
		t.Errorf("watch ended with %v", err)
	}
	return last
}

// keyPair is an id and its secret, two lines apart.
func keyPair(t *testing.T) string {
	t.Helper()
	s, err := rules.Expand("id=AKIA{16:base32}\n\naws_secret_access_key={40:b64}\n", 1)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func appendTo(t *testing.T, file, text string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// run runs quench to its end and gives its output.
func run(t *testing.T, home string, args ...string) string {
	t.Helper()
	out, err := quench(t, home, args...).Output()
	if err != nil && len(out) == 0 {
		t.Fatalf("quench %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

// Lines are found as they come, through rotation, truncation and a restart, each
// once.
func TestWatch(t *testing.T) {
	for _, registry := range []bool{true, false} {
		t.Run(fmt.Sprintf("registry %v", registry), func(t *testing.T) {
			home := t.TempDir()
			log := filepath.Join(home, "app.log")
			if registry {
				run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			}
			appendTo(t, log, "before "+pat(t, 0)+"\n")
			w := startWatch(t, home, log)
			want := func(line int) {
				t.Helper()
				if f := w.next(t); f.Rule != "github-pat" || f.Path != log || f.Line != line {
					t.Fatalf("got %+v, want line %d", f, line)
				}
			}
			want(1)
			appendTo(t, log, "two\nkey="+pat(t, 1)[:20])
			appendTo(t, log, pat(t, 1)[20:]+"\n")
			want(3)
			appendTo(t, log, keyPair(t))
			if f := w.next(t); f.Rule != "aws-secret-access-key" || f.Pair != "aws-access-key-id" || f.Line != 6 {
				t.Fatalf("got %+v, want a pair", f)
			}
			if err := os.Rename(log, log+".1"); err != nil {
				t.Fatal(err)
			}
			appendTo(t, log, "key="+pat(t, 2)+"\n")
			want(1)
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
			appendTo(t, log, "x\n")
			appendTo(t, log, "k="+pat(t, 3)+"\n")
			want(2)
			if last := w.stop(t); !strings.Contains(last, `"findings":5`) {
				t.Errorf("summary %s", last)
			}
			appendTo(t, log, "key="+pat(t, 4)+"\n")
			w = startWatch(t, home, log)
			want(3)
			if last := w.stop(t); !strings.Contains(last, `"findings":1`) {
				t.Errorf("summary after the restart %s", last)
			}
		})
	}
}

// Killed at any time, watch loses no leak and stores none twice: every token
// that was written is dead in the end, in one incident.
func TestWatchKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("starts many processes")
	}
	home := t.TempDir()
	log := filepath.Join(home, "app.log")
	const rounds = 12
	var files []string
	for i := range rounds {
		file := filepath.Join(home, fmt.Sprint("token", i))
		if err := os.WriteFile(file, []byte(run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	for i := range rounds {
		w := startWatch(t, home, "--revoke=auto", log)
		value, err := os.ReadFile(files[i])
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, log, "line\ntoken "+string(value)+" used\n")
		// At a different moment each time, from before the read to after the
		// report.
		time.Sleep(time.Duration(i) * time.Millisecond)
		w.Process.Kill()
		w.Wait()
	}
	w := startWatch(t, home, "--revoke=auto", log)
	for _, file := range files {
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			out := run(t, home, "token", "verify", "--file", file)
			if strings.Contains(out, "refused: revoked") {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("still %s", out)
			}
		}
	}
	w.stop(t)
	var incidents []struct {
		Token  string `json:"token_id"`
		State  string
		Places []struct{ Line int }
	}
	if err := json.Unmarshal([]byte(run(t, home, "incident", "list", "--format", "json")), &incidents); err != nil || len(incidents) != rounds {
		t.Fatalf("%d incidents for %d tokens, %v", len(incidents), rounds, err)
	}
	for _, i := range incidents {
		if i.State != "dead" {
			t.Errorf("%+v", i)
		}
	}
	if out := run(t, home, "audit", "verify"); strings.Contains(out, "tampered") {
		t.Error(out)
	}
}

// Deadlines are told of while it runs, those of tokens issued meanwhile, too.
func TestWatchTellsDeadlines(t *testing.T) {
	home := t.TempDir()
	run(t, home, "token", "issue", "--owner", "ann", "--purpose", "missed", "--ttl", "1ms")
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	w := startWatch(t, home, log)
	for _, purpose := range []string{"missed", "meanwhile"} {
		if purpose == "meanwhile" {
			run(t, home, "token", "issue", "--owner", "ann", "--purpose", purpose, "--ttl", "300ms")
		}
		if due := <-w.due; !strings.Contains(due, "  expiry    ") || !strings.HasSuffix(due, "  ann ("+purpose+")") {
			t.Errorf("told of %q, want the expiry of %q", due, purpose)
		}
	}
	w.stop(t)
	if out := run(t, home, "audit", "list"); strings.Count(out, "token.expiry_passed") != 2 {
		t.Errorf("audit:\n%s", out)
	}
}

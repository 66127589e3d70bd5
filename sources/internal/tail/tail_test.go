package tail

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// watched records what a Follow gave, by file.
type watched struct {
	mu    sync.Mutex
	data  map[string]*bytes.Buffer
	log   []string
	last  map[string]Position
	stop  context.CancelFunc
	done  chan error
	ready chan struct{}
}

func start(t *testing.T, o Options) *watched {
	t.Helper()
	w := &watched{data: map[string]*bytes.Buffer{}, last: map[string]Position{}, done: make(chan error, 1), ready: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	o.Ready = func(int) { close(w.ready) }
	if o.Rescan == 0 {
		o.Rescan = 50 * time.Millisecond
	}
	go func() {
		w.done <- Follow(ctx, o, func(e Event) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			name := filepath.Base(e.Path)
			switch e.Kind {
			case Begin:
				w.log = append(w.log, fmt.Sprintf("begin %s at %d", name, e.Position.Offset))
			case Data:
				if w.data[name] == nil {
					w.data[name] = &bytes.Buffer{}
				}
				w.data[name].Write(e.Data)
				w.last[name] = e.Position
			case End:
				w.log = append(w.log, "end "+name)
			}
			return nil
		})
	}()
	<-w.ready
	t.Cleanup(func() { w.end(t) })
	return w
}

func (w *watched) end(t *testing.T) {
	w.stop()
	if err, ok := <-w.done; ok && err != nil {
		t.Errorf("following ended with %v", err)
	}
	w.done = closed
}

var closed = func() chan error { c := make(chan error); close(c); return c }()

// wait waits until a file's data are want.
func (w *watched) wait(t *testing.T, name, want string) {
	t.Helper()
	var got string
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		if b := w.data[name]; b != nil {
			got = b.String()
		}
		w.mu.Unlock()
		if got == want {
			return
		}
	}
	t.Fatalf("%s gave %q, want %q; %v", name, got, want, w.log)
}

func add(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppend(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	add(t, log, "old\n")
	w := start(t, Options{Paths: []string{log}})
	add(t, log, "par")
	add(t, log, "tial\r\n\x00")
	w.wait(t, "app.log", "old\npartial\r\n\x00")
}

func TestFromEnd(t *testing.T) {
	dir := t.TempDir()
	add(t, filepath.Join(dir, "a.log"), "old\n")
	w := start(t, Options{Paths: []string{dir}, FromEnd: true})
	add(t, filepath.Join(dir, "a.log"), "new\n")
	add(t, filepath.Join(dir, "b.log"), "a new file is read whole\n")
	w.wait(t, "a.log", "new\n")
	w.wait(t, "b.log", "a new file is read whole\n")
}

func TestNotYetThere(t *testing.T) {
	log := filepath.Join(t.TempDir(), "late.log")
	w := start(t, Options{Paths: []string{log}})
	add(t, log, "first\n")
	w.wait(t, "late.log", "first\n")
}

func TestRotation(t *testing.T) {
	for name, rotate := range map[string]func(t *testing.T, log string){
		"rename":       func(t *testing.T, log string) { must(t, os.Rename(log, log+".1")) },
		"delete":       func(t *testing.T, log string) { must(t, os.Remove(log)) },
		"truncate":     func(t *testing.T, log string) { must(t, os.Truncate(log, 0)) },
		"copytruncate": func(t *testing.T, log string) { must(t, os.Truncate(log, 0)) },
	} {
		t.Run(name, func(t *testing.T) {
			log := filepath.Join(t.TempDir(), "app.log")
			w := start(t, Options{Paths: []string{log}})
			want := ""
			for i := range 20 {
				line := fmt.Sprintf("round %d %s\n", i, strings.Repeat("x", 20-i)) // shorter each time
				add(t, log, line)
				want += line
				w.wait(t, "app.log", want)
				rotate(t, log)
			}
		})
	}
}

// What is written before a rename and after the last read is not lost.
func TestRenameUnderLoad(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	add(t, log, "")
	w := start(t, Options{Paths: []string{log}})
	want := ""
	for i := range 200 {
		line := fmt.Sprintf("line %d\n", i)
		add(t, log, line)
		want += line
		if i%7 == 6 {
			w.wait(t, "app.log", want) // a writer that outruns two rotations is another test
			must(t, os.Rename(log, log+".1"))
		}
	}
	w.wait(t, "app.log", want)
}

// Truncated and written again past the old offset, a file begins anew.
func TestRewritten(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	add(t, log, "first content\n")
	w := start(t, Options{Paths: []string{log}})
	w.wait(t, "app.log", "first content\n")
	must(t, os.WriteFile(log, []byte("other and longer content\n"), 0o644))
	w.wait(t, "app.log", "first content\nother and longer content\n")
}

func TestSymlinkFlip(t *testing.T) {
	dir := t.TempDir()
	add(t, filepath.Join(dir, "one"), "1\n")
	add(t, filepath.Join(dir, "two"), "2\n")
	link := filepath.Join(dir, "current")
	must(t, os.Symlink("one", link))
	w := start(t, Options{Paths: []string{link}})
	w.wait(t, "current", "1\n")
	must(t, os.Symlink("two", link+".new"))
	must(t, os.Rename(link+".new", link))
	w.wait(t, "current", "1\n2\n")
}

// A restart goes on where the last run ended, in the same file, in a renamed one
// and then its successor, or at the start of another.
func TestResume(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	add(t, log, "one\n")
	w := start(t, Options{Paths: []string{log}})
	w.wait(t, "app.log", "one\n")
	w.end(t)
	at := w.last["app.log"]

	add(t, log, "two\n")
	w = start(t, Options{Paths: []string{log}, Positions: []Position{at}})
	w.wait(t, "app.log", "two\n")
	w.end(t)
	at = w.last["app.log"]

	add(t, log, "three\n")
	must(t, os.Rename(log, log+".1"))
	add(t, log, "four\n")
	w = start(t, Options{Paths: []string{log}, Positions: []Position{at}})
	w.wait(t, "app.log", "three\nfour\n")
	w.end(t)
	at = w.last["app.log"]

	must(t, os.WriteFile(log, []byte("FIVE\nsix\n"), 0o644)) // the same inode, other bytes
	w = start(t, Options{Paths: []string{log}, Positions: []Position{at}})
	w.wait(t, "app.log", "FIVE\nsix\n")
}

// A pipe in a followed folder is never opened for reading; a folder in it is not
// followed; trouble is told once.
func TestOddFiles(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	makePipe(t, filepath.Join(dir, "pipe"))
	w := start(t, Options{Paths: []string{dir}})
	add(t, filepath.Join(dir, "a"), "x\n")
	w.wait(t, "a", "x\n")
	for _, l := range w.log {
		if strings.Contains(l, "pipe") || strings.Contains(l, "sub") {
			t.Error(l)
		}
	}
}

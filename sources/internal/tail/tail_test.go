package tail

import (
	"bytes"
	"context"
	"errors"
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
	o.Workers = 1 // so that the order of files is told, too
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
				w.log = append(w.log, "end "+name+map[bool]string{true: ", final"}[e.Final])
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

// The lines of what is passed over are counted, but for files that it takes long to read.
func TestFromEndLines(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "small.log"), filepath.Join(dir, "large.log")
	add(t, small, "one\ntwo\nand half")
	add(t, large, "one\n")
	must(t, os.Truncate(large, maxCounted+1)) // a hole
	begun := map[string]Position{}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := Follow(ctx, Options{Paths: []string{small, large}, FromEnd: true, Workers: 1, Ready: func(int) { cancel() }}, func(e Event) error {
		if e.Kind == Begin {
			begun[filepath.Base(e.Path)] = e.Position
		}
		return nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if p := begun["small.log"]; p.Offset != 16 || p.Line != 2 {
		t.Errorf("small: %+v", p)
	}
	if p := begun["large.log"]; p.Offset != maxCounted+1 || p.Line != 0 {
		t.Errorf("large: %+v", p)
	}
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

// Where a file system has another number after it was mounted again, files are read on:
// by the inode and the text, in the folder they were in.
func TestOtherDevice(t *testing.T) {
	dir := t.TempDir()
	log := filepath.Join(dir, "app.log")
	add(t, log, "one\n")
	w := start(t, Options{Paths: []string{log}})
	w.wait(t, "app.log", "one\n")
	w.end(t)
	at := w.last["app.log"]
	if at.Ino == 0 {
		t.Skip("there are no inodes here")
	}
	at.Dev++
	add(t, log, "two\n")
	must(t, os.Rename(log, log+".1"))
	add(t, log, "three\n")
	// A folder has the file by its new name, and a log has it before its successor.
	w = start(t, Options{Paths: []string{dir}, Positions: []Position{at}})
	w.wait(t, "app.log", "three\n")
	w.wait(t, "app.log.1", "two\n")
	w.end(t)
	w = start(t, Options{Paths: []string{log}, Positions: []Position{at}})
	w.wait(t, "app.log", "two\nthree\n")
	w.end(t)
	other := at
	other.Head = headHash([]byte("One\n"))
	w = start(t, Options{Paths: []string{dir}, Positions: []Position{other}})
	w.wait(t, "app.log.1", "one\ntwo\n")
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

// A program goes on writing to the file that was renamed under it, and where the folder
// is followed the file goes on under its new name and is not read again.
func TestRenamedIsWrittenTo(t *testing.T) {
	for _, folder := range []bool{false, true} {
		dir := t.TempDir()
		log := filepath.Join(dir, "app.log")
		add(t, log, "one\n")
		o := Options{Paths: []string{log}}
		if folder {
			o.Paths[0] = dir
		}
		w := start(t, o)
		w.wait(t, "app.log", "one\n")
		must(t, os.Rename(log, log+".1"))
		add(t, log, "new\n")
		w.wait(t, "app.log", "one\nnew\n")
		add(t, log+".1", "late\n")
		if folder {
			w.wait(t, "app.log.1", "late\n")
		} else {
			w.wait(t, "app.log", "one\nnew\nlate\n")
		}
		w.end(t)
		if got := strings.Join(w.log, ", "); got != "begin app.log at 0, begin app.log at 0" {
			t.Errorf("folder %v: %s", folder, got)
		}
	}
}

// A file that is gone is given up when it was quiet for a while, and what is deleted or
// truncated does not come back.
func TestGone(t *testing.T) {
	log := filepath.Join(t.TempDir(), "app.log")
	add(t, log, "one\n")
	w := start(t, Options{Paths: []string{log}, Linger: time.Millisecond})
	w.wait(t, "app.log", "one\n")
	must(t, os.Rename(log, log+".away"))
	w.told(t, "end app.log")
	must(t, os.Rename(log+".away", log))
	w.told(t, "begin app.log at 4")
	add(t, log, "two\n")
	w.wait(t, "app.log", "one\ntwo\n")
	must(t, os.Remove(log))
	w.told(t, "end app.log, final")
	add(t, log, "x")
	w.told(t, "begin app.log at 0")
}

// told waits until the last that happened is want.
func (w *watched) told(t *testing.T, want string) {
	t.Helper()
	last := ""
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(2 * time.Millisecond) {
		w.mu.Lock()
		if last = ""; len(w.log) > 0 {
			last = w.log[len(w.log)-1]
		}
		w.mu.Unlock()
		if last == want {
			return
		}
	}
	t.Fatalf("the last was %q, want %q", last, want)
}

// A file that lives for a moment is read, however busy the reader is, since its opening
// waits for nobody.
func TestShortLives(t *testing.T) {
	dir := t.TempDir()
	hold := make(chan struct{})
	held := false
	w := start(t, Options{Paths: []string{dir}, Round: func() error {
		if held { // the first round has nothing to read
			<-hold
		}
		held = true
		return nil
	}})
	const n = 200
	for i := range n {
		log := filepath.Join(dir, fmt.Sprint(i))
		add(t, log, fmt.Sprint("line ", i))
		waitOpen(t, log)
		must(t, os.Remove(log))
	}
	close(hold)
	for i := range n {
		w.wait(t, fmt.Sprint(i), fmt.Sprint("line ", i))
	}
}

// waitOpen waits until this process has a file open.
func waitOpen(t *testing.T, path string) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Microsecond) {
		fds, err := filepath.Glob("/proc/self/fd/*")
		if err != nil || len(fds) == 0 {
			t.Skip("no list of open files here")
		}
		for _, fd := range fds {
			if at, _ := os.Readlink(fd); at == path {
				return
			}
		}
	}
	t.Fatalf("%s was not opened", path)
}

// Names of a pattern are followed, those that come later, too.
func TestPattern(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "a"), 0o755))
	add(t, filepath.Join(dir, "a", "x.log"), "x\n")
	add(t, filepath.Join(dir, "a", "x.txt"), "no\n")
	w := start(t, Options{Paths: []string{filepath.Join(dir, "**", "*.log")}})
	w.wait(t, "x.log", "x\n")
	add(t, filepath.Join(dir, "a", "y.log"), "y\n")
	w.wait(t, "y.log", "y\n")
	must(t, os.Mkdir(filepath.Join(dir, "b"), 0o755))
	add(t, filepath.Join(dir, "b", "z.log"), "z\n")
	w.wait(t, "z.log", "z\n")
	if w.data["x.txt"] != nil {
		t.Error("a name that does not match was followed")
	}
}

// Rounds are bounded, and files that were quiet do not wait for those with much to read.
func TestRounds(t *testing.T) {
	dir := t.TempDir()
	big := bytes.Repeat([]byte("0123456789abcde\n"), 4*quantum/16)
	for i := range 40 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("big%02d", i)), big, 0o644))
	}
	var mu sync.Mutex
	got, round, most := map[string]int{}, 0, 0
	quiet := filepath.Join(dir, "quiet")
	must(t, os.WriteFile(quiet, nil, 0o644))
	rounds, when, read := 0, 0, 0
	ctx, stop := context.WithCancel(t.Context())
	err := Follow(ctx, Options{Paths: []string{dir}, Workers: 2, Round: func() error {
		most, round = max(most, round), 0
		if rounds++; rounds == 6 {
			return os.WriteFile(quiet, []byte("leak\n"), 0o644)
		}
		return nil
	}}, func(e Event) error {
		mu.Lock()
		defer mu.Unlock()
		got[filepath.Base(e.Path)] += len(e.Data)
		read += len(e.Data)
		round += len(e.Data)
		if e.Path == quiet && e.Kind == Data {
			when = rounds
		}
		if when > 0 && read >= 40*len(big)+len("leak\n") { // the event may be later than all reading
			stop()
		}
		return nil
	})
	if err != nil || most > perRound*(quantum+readSize) || when == 0 || when > 30 {
		t.Errorf("%v; a round gave %d bytes, the quiet file was read in round %d of %d", err, most, when, rounds)
	}
	for i := range 40 {
		if n := got[fmt.Sprintf("big%02d", i)]; n != len(big) {
			t.Errorf("file %d gave %d bytes of %d", i, n, len(big))
		}
	}
}

// Where another folder comes to lie under a name, it is watched.
func TestFolderReplaced(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	must(t, os.Mkdir(dir, 0o755))
	log := filepath.Join(dir, "app.log")
	add(t, log, "one\n")
	w := start(t, Options{Paths: []string{log}})
	w.wait(t, "app.log", "one\n")
	must(t, os.Rename(dir, dir+".old"))
	must(t, os.Mkdir(dir, 0o755))
	add(t, log, "two\n")
	w.wait(t, "app.log", "one\ntwo\n")
	add(t, log, "three\n")
	w.wait(t, "app.log", "one\ntwo\nthree\n")
}

// A symlink's folder is exchanged, as Kubernetes does; events come from where it leads.
func TestFarFlip(t *testing.T) {
	dir := t.TempDir()
	for _, v := range []string{"v1", "v2"} {
		must(t, os.Mkdir(filepath.Join(dir, v), 0o755))
		add(t, filepath.Join(dir, v, "app.log"), v+"\n")
	}
	must(t, os.Symlink("v1", filepath.Join(dir, "data")))
	must(t, os.Mkdir(filepath.Join(dir, "logs"), 0o755))
	link := filepath.Join(dir, "logs", "app.log")
	must(t, os.Symlink("../data/app.log", link))
	w := start(t, Options{Paths: []string{link}})
	add(t, filepath.Join(dir, "v1", "app.log"), "more\n")
	w.wait(t, "app.log", "v1\nmore\n")
	must(t, os.Symlink("v2", filepath.Join(dir, "data.new")))
	must(t, os.Rename(filepath.Join(dir, "data.new"), filepath.Join(dir, "data")))
	w.wait(t, "app.log", "v1\nmore\nv2\n")
}

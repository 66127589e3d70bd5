package tail

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// When the kernel's queue of events overflows, what was lost is seen: at once, since
// nothing is looked at without an event for an hour here.
func TestOverflow(t *testing.T) {
	b, err := os.ReadFile("/proc/sys/fs/inotify/max_queued_events")
	if err != nil {
		t.Skip(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil || limit > 1<<17 {
		t.Skipf("the queue of %q events is too long to fill", b)
	}
	dir := t.TempDir()
	add(t, filepath.Join(dir, "a.log"), "one\n")
	repath := make(chan []string)
	stuck, free := make(chan bool), make(chan bool)
	var told []string
	w := start(t, Options{Paths: []string{dir}, Rescan: time.Hour, Repath: repath, Trouble: func(path string, err error) {
		told = append(told, fmt.Sprint(path, " ", err))
		if len(told) == 1 {
			close(stuck)
			<-free // who notices is held up here
		}
	}})
	w.wait(t, "a.log", "one\n")
	repath <- []string{dir, filepath.Join(dir, "[")}
	<-stuck
	// Two files in turn, since equal events become one.
	var files [2]*os.File
	for i := range files {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("noise", i)))
		must(t, err)
		defer f.Close()
		files[i] = f
	}
	for i := range limit + 2*events + 1000 {
		if _, err := files[i%2].WriteString("x"); err != nil {
			t.Fatal(err)
		}
	}
	add(t, filepath.Join(dir, "b.log"), "two\n") // its event is lost
	add(t, filepath.Join(dir, "a.log"), "three\n")
	close(free)
	w.wait(t, "b.log", "two\n")
	w.wait(t, "a.log", "one\nthree\n")
	w.end(t)
	if len(told) != 1 {
		t.Errorf("told %q", told)
	}
}

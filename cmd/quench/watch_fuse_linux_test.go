package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// overFUSE shows a folder under another path by a real FUSE file system, whose kernel
// side does not hear of what happens in the folder itself.
func overFUSE(t *testing.T, dir, at string) (end func()) {
	t.Helper()
	bindfs, err := exec.LookPath("bindfs")
	if err != nil {
		t.Skip("there is no bindfs to mount a FUSE file system with")
	}
	if err := os.MkdirAll(at, 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bindfs, "-f", dir, at)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Skipf("FUSE cannot be mounted here: %v", err)
	}
	said, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		b := make([]byte, 1000)
		n, _ := out.Read(b)
		said <- string(b[:n])
	}()
	go func() { ended <- cmd.Wait() }()
	mounted := func() bool {
		var st syscall.Statfs_t
		return syscall.Statfs(at, &st) == nil && st.Type == 0x65735546 // FUSE_SUPER_MAGIC
	}
	for end := time.Now().Add(20 * time.Second); !mounted(); time.Sleep(5 * time.Millisecond) {
		select {
		case err := <-ended:
			t.Skipf("FUSE cannot be mounted here: %v: %s", err, <-said)
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the file system is never mounted")
		}
	}
	gone := false
	end = func() {
		if gone {
			return
		}
		gone = true
		syscall.Unmount(at, syscall.MNT_DETACH)
		cmd.Process.Signal(syscall.SIGTERM)
		<-ended
	}
	t.Cleanup(end)
	return end
}

// What happens in a folder that a FUSE file system shows is found by looking, since it
// gives no event: lines, new files and every kind of rotation; also when the file system
// ends and is mounted again, and after a kill.
func TestWatchFUSE(t *testing.T) {
	for _, registry := range []bool{true, false} {
		t.Run(map[bool]string{true: "registry", false: "none"}[registry], func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			if registry {
				run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			}
			real, seen := filepath.Join(home, "real"), filepath.Join(home, "seen")
			if err := os.Mkdir(real, 0o700); err != nil {
				t.Fatal(err)
			}
			log := filepath.Join(real, "app.log")
			n := 0
			leak := func(name, before string) {
				t.Helper()
				n++
				appendTo(t, filepath.Join(real, name), before+"key="+pat(t, uint64(n))+"\n")
			}
			leak("app.log", "hello\n")
			end := overFUSE(t, real, seen)
			w := startWatch(t, home, seen)
			want := func(name string, line int) {
				t.Helper()
				if f := w.next(t); f.Path != filepath.Join(seen, name) || f.Line != line {
					t.Fatalf("%+v, want %s:%d", f, name, line)
				}
			}
			want("app.log", 2)
			leak("app.log", "")
			want("app.log", 3)
			leak("new.log", "x\n")
			want("new.log", 2)
			// Renamed, and written to still.
			if err := os.Rename(log, log+".1"); err != nil {
				t.Fatal(err)
			}
			leak("app.log.1", "")
			leak("app.log", "another\n")
			lines := map[int]bool{}
			for range 2 {
				lines[w.next(t).Line] = true
			}
			if !lines[4] || !lines[2] {
				t.Fatalf("after the rotation on lines %v, want 4 of the old and 2 of the new", lines)
			}
			// Copied and truncated.
			if err := os.Truncate(log, 0); err != nil {
				t.Fatal(err)
			}
			leak("app.log", "")
			want("app.log", 1)
			// Deleted and made anew.
			if err := os.Remove(log); err != nil {
				t.Fatal(err)
			}
			leak("app.log", "again, and longer\nthan before\n")
			want("app.log", 3)
			// The file system ends.
			leak("app.log", "")
			end()
			leak("app.log", "")
			end = overFUSE(t, real, seen)
			leak("app.log", "")
			for line := 4; line < 7; line++ {
				want("app.log", line)
			}
			if registry {
				w.Process.Kill()
				w.Wait()
			} else { // what was told last may not be written down yet
				w.stop(t)
			}
			end()
			overFUSE(t, real, seen)
			leak("app.log", "")
			w = startWatch(t, home, seen)
			want("app.log", 7)
			w.says(t, "is on FUSE, which tells of no changes made elsewhere")
			if last := w.stop(t); !strings.Contains(last, `"findings":1`) {
				t.Errorf("after the restart: %s", last)
			}
		})
	}
}

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// limited is a watch in a user namespace of its own, which has limits of its own.
func limited(t *testing.T, home, limit string, args ...string) *watching {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", "echo " + limit + ` || exit 97; exec quench watch --format jsonl "$@"`, "sh"}, args...)...)
	cmd.Env = quench(t, home).Env
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}}, GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}}}
	w, err := beginWatch(t, cmd)
	switch {
	case cmd.Process == nil:
		t.Skipf("user namespaces are not allowed here: %v", err)
	case cmd.ProcessState.ExitCode() == 97:
		t.Skip("the limits of a user namespace cannot be set here")
	case err != nil:
		t.Fatal(err)
	}
	return w
}

// Where the system's limits leave no events, or none for most folders, all is found
// through rotations, by looking; it is said once, with what to raise.
func TestWatchWithoutEvents(t *testing.T) {
	for _, c := range []struct{ name, limit, says string }{
		{"some", "2 > /proc/sys/user/max_inotify_watches", "raise fs.inotify.max_user_watches by sysctl"},
		{"none", "0 > /proc/sys/user/max_inotify_instances", "raise fs.inotify.max_user_instances by sysctl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			var logs []string
			for _, d := range []string{"a", "b", "c", "d", "e"} {
				if err := os.Mkdir(filepath.Join(home, d), 0o700); err != nil {
					t.Fatal(err)
				}
				logs = append(logs, filepath.Join(home, d, "app.log"))
				appendTo(t, logs[len(logs)-1], "hello\n")
			}
			w := limited(t, home, c.limit, logs...)
			for i, log := range logs {
				appendTo(t, log, pat(t, uint64(i))+"\n")
			}
			for range logs {
				if f := w.next(t); f.Line != 2 {
					t.Errorf("%+v", f)
				}
			}
			for i, log := range logs {
				if err := os.Rename(log, log+".1"); err != nil {
					t.Fatal(err)
				}
				appendTo(t, log+".1", pat(t, uint64(10+i))+"\n")
				appendTo(t, log, "x\n"+pat(t, uint64(20+i))+"\n")
			}
			lines := map[int]int{}
			for range 2 * len(logs) {
				lines[w.next(t).Line]++
			}
			if lines[2] != len(logs) || lines[3] != len(logs) {
				t.Errorf("lines %v", lines)
			}
			w.says(t, c.says)
			w.stop(t)
			if said := strings.Join(w.said(), "\n"); strings.Count(said, "sysctl") != 1 {
				t.Errorf("it is said more than once:\n%s", said)
			}
		})
	}
}

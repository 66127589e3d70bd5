package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The journal of a real journald, in a mount namespace of its own, is followed: what was
// said before and what comes, and behind the cursor after a kill.
func TestWatchJournald(t *testing.T) {
	journald := "/usr/lib/systemd/systemd-journald"
	for _, p := range []string{journald, "/etc/machine-id", "/usr/bin/journalctl"} {
		if st, err := os.Stat(p); err != nil || st.Size() == 0 {
			t.Skipf("there is no %s", p)
		}
	}
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	// Nothing of it is left behind, nor in the journal of this machine.
	script := `mount -t tmpfs tmpfs /run && mount -t tmpfs tmpfs /var/log || exit 97
exec ` + journald + " quenchtest\n"
	var said bytes.Buffer
	d := exec.Command("sh", "-c", script)
	d.Stderr = &said
	d.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if err := d.Start(); err != nil {
		t.Skipf("mount namespaces are not allowed here: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Wait() }()
	t.Cleanup(func() { d.Process.Kill(); <-done })
	root := fmt.Sprintf("/proc/%d/root", d.Process.Pid)
	var c net.Conn
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		var err error
		if c, err = net.Dial("unixgram", root+"/run/systemd/journal.quenchtest/socket"); err == nil {
			break
		}
		select {
		case err := <-done:
			done <- err
			t.Skipf("journald does not run here: %v: %s", err, &said)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("journald has no socket: %v: %s", err, &said)
		}
	}
	defer c.Close()
	say := func(i int) {
		t.Helper()
		if _, err := fmt.Fprintf(c, "MESSAGE=login with %s\nSYSLOG_IDENTIFIER=shop\n", pat(t, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	wrap := fmt.Sprintf("#!/bin/sh\nexec nsenter --mount=/proc/%d/ns/mnt /usr/bin/journalctl --namespace=quenchtest \"$@\"\n", d.Process.Pid)
	if err := os.WriteFile(filepath.Join(bin, "journalctl"), []byte(wrap), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	found := func(w *watching) {
		t.Helper()
		if f := w.next(t); f.Rule != "github-pat" || f.Path != "shop" {
			t.Errorf("%+v", f)
		}
	}
	say(1)
	w := startWatch(t, home, "--journald", "all")
	found(w)
	say(2)
	found(w)
	w.Process.Kill()
	w.Wait()
	say(3)
	w = startWatch(t, home, "--journald", "all")
	found(w)
	if last := w.stop(t); !strings.Contains(last, `"findings":1`) || !strings.Contains(last, `"complete":true`) {
		t.Errorf("summary %s", last)
	}
}

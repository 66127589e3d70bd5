package daemon

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// manager is a service manager's socket.
func manager(t *testing.T, watchdog string) (*Notifier, func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if runtime.GOOS == "windows" {
		t.Skip("no service manager there has such a socket")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", watchdog)
	return FromEnviron(), func() string {
		b := make([]byte, 1000)
		c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		n, err := c.Read(b)
		if err != nil {
			return ""
		}
		return string(b[:n])
	}
}

func TestNotify(t *testing.T) {
	n, told := manager(t, "30000000")
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("a child would speak for us")
	}
	n.Ready("watching 2 files\nand more")
	if got := told(); got != "READY=1\nSTATUS=watching 2 files and more" {
		t.Errorf("%q", got)
	}
	n.Reloading()
	if got := told(); !strings.HasPrefix(got, "RELOADING=1\nMONOTONIC_USEC=") {
		t.Errorf("%q", got)
	}
	n.Alive()
	n.Alive() // not so often
	if got := told(); got != "WATCHDOG=1" {
		t.Errorf("%q", got)
	}
	n.Stopping()
	if got := told(); got != "STOPPING=1" {
		t.Errorf("%q", got)
	}
	quiet, told := manager(t, "")
	quiet.Alive()
	if got := told(); got != "" {
		t.Errorf("nobody wants to know: %q", got)
	}
	(&Notifier{}).Ready("nobody hears")
}

// A manager that reads nothing does not keep the process from its work, and has what was
// said while there was room.
func TestDeafManager(t *testing.T) {
	n, told := manager(t, "")
	n.Ready("watching")
	for sent := 0; ; sent++ { // until there is no room
		if sent > 10_000 {
			t.Skip("the kernel keeps any number of messages here")
		}
		c, err := net.Dial("unixgram", n.addr)
		if err != nil {
			t.Fatal(err)
		}
		c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
		_, err = c.Write([]byte("STATUS=x"))
		c.Close()
		if err != nil {
			break
		}
	}
	n.Stopping()
	if got := told(); got != "READY=1\nSTATUS=watching" {
		t.Errorf("%q", got)
	}
}

// The unit is one that systemd takes and finds hardened, and says what is watched.
func TestUnit(t *testing.T) {
	u := Unit("/usr/bin/quench", []string{"/var/log/app", "/var/log/50% \"odd\" $HOME"})
	if want := `/var/log/app "/var/log/50%% \"odd\" $$HOME"` + "\n"; !strings.Contains(u, want) {
		t.Errorf("no %s in\n%s", want, u)
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not here")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "quench-watch.service")
	if err := os.WriteFile(path, []byte(Unit(self, nil)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput()
	for _, line := range strings.Split(string(out), "\n") {
		// A system that was never booted knows no users and targets.
		if strings.Contains(line, path) && !strings.Contains(line, "not found") {
			t.Error(line, err)
		}
	}
	// Of 100, which is the worst; 15 with systemd 252.
	out, err = exec.Command(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", path).CombinedOutput()
	if !strings.Contains(string(out), "Overall exposure level") {
		t.Skipf("this systemd does not judge files: %v: %s", err, out)
	}
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

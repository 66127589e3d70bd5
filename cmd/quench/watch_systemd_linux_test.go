package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The unit that is shipped, under a real systemd that is the first process of namespaces
// of its own: it is started when the watch says so, contains a leak as a user without any
// rights, reloads, says how that went, ends well, and is started again when it hangs.
func TestWatchSystemd(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a system")
	}
	for _, p := range []string{"/usr/lib/systemd/systemd", "/usr/bin/systemctl", "/usr/bin/nsenter", "/usr/bin/unshare"} {
		if _, err := os.Stat(p); err != nil {
			t.Skipf("there is no %s", p)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("only root may have namespaces of all kinds")
	}
	home := t.TempDir()
	unit := run(t, home, "watch", "--print-unit", "/var/log/app")
	self, err := exec.LookPath(quench(t, home).Path)
	if err != nil {
		t.Fatal(err)
	}
	self, err = filepath.EvalSymlinks(self)
	if err != nil {
		t.Fatal(err)
	}
	// The unit names this program, which lies in a folder that the unit has its own of.
	_, rest, _ := strings.Cut(unit, "\nExecStart=")
	named, _, _ := strings.Cut(rest, " watch ")
	unit = strings.Replace(unit, "\nExecStart="+named, "\nExecStart=/opt/quench", 1)
	if err := os.WriteFile(filepath.Join(home, "quench-watch.service"), []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	group := "quench-test-" + filepath.Base(filepath.Dir(home)) + fmt.Sprint(os.Getpid())
	// Nothing that it writes is of this machine: folders are in memory, groups of processes
	// below one of their own. 97 is for what is not allowed here.
	script := `set -e
mount --make-rprivate / || exit 97
groups=/sys/fs/cgroup; [ -f $groups/cgroup.procs ] || groups="$groups/*/"
for g in $groups; do mkdir $g/` + group + ` 2>/dev/null && echo 0 >$g/` + group + `/cgroup.procs || true; done
grep -q ` + group + ` /proc/self/cgroup || exit 97
mount -t proc proc /proc
mount -t tmpfs tmpfs /opt && cp ` + self + ` /opt/quench && chmod 755 /opt /opt/quench
mount -t tmpfs -o mode=755 tmpfs /run && mkdir -p /run/units/quench-watch.service.d
cp ` + home + `/quench-watch.service /run/units
cp -a /etc /run/etc && mount --bind /run/etc /etc
for d in /var/lib /var/log /var/tmp /tmp; do mount -t tmpfs -o mode=755 tmpfs $d; done
umount -R -l /sys/fs/cgroup
echo quench:x:990:990::/var/lib/quench:/bin/false >>/etc/passwd
echo quench:x:990: >>/etc/group; grep -q ^adm: /etc/group || echo adm:x:4: >>/etc/group
mkdir -p -m 750 /var/log/app && chgrp adm /var/log/app
printf '[Service]\nStandardOutput=append:/run/out\nStandardError=append:/run/err\n' >/run/units/quench-watch.service.d/out.conf
for u in basic sysinit multi-user network-online shutdown umount final default; do
	printf '[Unit]\nDefaultDependencies=no\n' >/run/units/$u.target
done
exec unshare --cgroup env -i PATH=$PATH container=quench-test SYSTEMD_UNIT_PATH=/run/units /usr/lib/systemd/systemd --system --log-target=null
`
	var said bytes.Buffer
	d := exec.Command("sh", "-c", script)
	d.Stdout, d.Stderr = &said, &said
	d.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL,
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC | syscall.CLONE_NEWNET}
	if err := d.Start(); err != nil {
		t.Skipf("namespaces are not allowed here: %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Wait() }()
	t.Cleanup(func() {
		d.Process.Kill() // with all that runs in it
		<-done
		for _, g := range []string{"/sys/fs/cgroup/" + group, "/sys/fs/cgroup/*/" + group} {
			dirs, _ := filepath.Glob(g)
			for _, dir := range dirs {
				exec.Command("find", dir, "-depth", "-type", "d", "-exec", "rmdir", "{}", ";").Run()
			}
		}
	})
	root := fmt.Sprintf("/proc/%d/root", d.Process.Pid)
	inside := func(args ...string) (string, error) {
		c := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(d.Process.Pid), "-m", "-p", "-u", "-i", "-n", "-C"}, args...)...)
		var stderr bytes.Buffer
		c.Stderr = &stderr
		out, err := c.Output()
		if err != nil {
			err = fmt.Errorf("%w: %s", err, &stderr)
		}
		return strings.TrimSpace(string(out)), err
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		_, err := inside("systemctl", "is-active", "default.target")
		if err == nil {
			break
		}
		select {
		case err := <-done:
			done <- err
			t.Skipf("systemd does not run here: %v: %s", err, &said)
		default:
		}
		if time.Now().After(end) {
			t.Fatalf("systemd does not come up: %v\n%s", err, &said)
		}
	}
	text := func(name string) string {
		b, _ := os.ReadFile(root + name)
		return string(b)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := inside(args...)
		if err != nil {
			t.Fatalf("%q: %v\n%s", args, err, text("/run/err"))
		}
		return out
	}
	awaits := func(property, want string) {
		t.Helper()
		waitFor(t, time.Minute, func() bool { return must("systemctl", "show", "--value", "-p", property, "quench-watch") == want }, func() string {
			return fmt.Sprintf("%s is %q, want %q\n%s", property, must("systemctl", "show", "--value", "-p", property, "quench-watch"), want, text("/run/err"))
		})
	}
	holds := func(name, want string) {
		t.Helper()
		waitFor(t, time.Minute, func() bool { return strings.Contains(text(name), want) }, func() string {
			return fmt.Sprintf("no %q in %s:\n%s\n%s", want, name, text(name), text("/run/err"))
		})
	}
	must("install", "-d", "-m", "700", "-o", "quench", "-g", "quench", "/var/lib/quench", "/etc/quench")
	value := must("nsenter", "-S", "990", "-G", "990", "env", "HOME=/var/lib/quench", "XDG_STATE_HOME=/var/lib", "XDG_CONFIG_HOME=/etc", "/opt/quench",
		"token", "issue", "--owner", "a", "--purpose", "b")
	appendTo(t, root+"/var/log/app/app.log", "hello\n")
	must("chgrp", "adm", "/var/log/app/app.log")
	must("chmod", "640", "/var/log/app/app.log")
	must("systemctl", "start", "quench-watch")
	awaits("StatusText", "watching 1 file")
	status := text("/proc/" + must("systemctl", "show", "--value", "-p", "MainPID", "quench-watch") + "/status")
	for _, want := range []string{"Uid:\t990\t990", "CapBnd:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2"} {
		if !strings.Contains(status, want) {
			t.Errorf("no %q of the process:\n%s", want, status)
		}
	}
	appendTo(t, root+"/var/log/app/app.log", "leaked "+value+"\n")
	holds("/run/out", `"contained":"revoked`)

	must("systemctl", "reload", "quench-watch")
	awaits("StatusText", "reloaded")
	if err := os.WriteFile(root+"/etc/quench/policy.toml", []byte("[notify"), 0o644); err != nil {
		t.Fatal(err)
	}
	must("systemctl", "reload", "quench-watch")
	awaits("StatusText", "not reloaded, going on as before")
	awaits("ActiveState", "active")
	if err := os.Remove(root + "/etc/quench/policy.toml"); err != nil {
		t.Fatal(err)
	}
	must("systemctl", "stop", "quench-watch")
	awaits("ActiveState", "inactive")
	awaits("Result", "success")
	holds("/run/out", `"findings":1`)

	// The manager waits less than it would.
	if err := os.WriteFile(root+"/run/units/quench-watch.service.d/watchdog.conf", []byte("[Service]\nWatchdogSec=5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	must("systemctl", "daemon-reload")
	must("systemctl", "start", "quench-watch")
	pid := must("systemctl", "show", "--value", "-p", "MainPID", "quench-watch")
	must("kill", "-STOP", pid)
	waitFor(t, time.Minute, func() bool {
		now := must("systemctl", "show", "--value", "-p", "MainPID", "quench-watch")
		return now != pid && now != "0"
	}, func() string { return "a watch that hangs is not started again" })
	awaits("ActiveState", "active")
	awaits("StatusText", "watching 1 file")
	must("systemctl", "stop", "quench-watch")
	awaits("Result", "success")
}

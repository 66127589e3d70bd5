//go:build unix

package clone

import (
	"os/exec"
	"syscall"
)

// grouped makes cmd end with all its children: the one that talks to the server would
// go on waiting for it. Git takes what it made away when it is asked to end.
func grouped(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
}

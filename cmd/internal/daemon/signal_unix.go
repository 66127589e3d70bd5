//go:build unix

package daemon

import (
	"os"
	"syscall"
)

var hangup os.Signal = syscall.SIGHUP

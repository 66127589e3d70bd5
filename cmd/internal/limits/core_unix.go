//go:build unix

package limits

import "golang.org/x/sys/unix"

// NoCore keeps the process, and those it starts, from leaving a core file: its memory
// holds peppers, and values of tokens while they are issued and verified. Systems that
// hand core dumps to a program give the limit to it, and systemd's keeps none then.
func NoCore() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // lowering it is always allowed
}

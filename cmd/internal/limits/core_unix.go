//go:build unix

package limits

import "golang.org/x/sys/unix"

// NoCore keeps the process from leaving a core file: its memory holds peppers, and
// values of tokens while they are issued and verified. The limit is handed on to those
// it starts. Systems that hand core dumps to a program give the limit to it, and not
// all of those heed it: so on Linux the kernel is told to dump nothing, which also
// keeps other processes of the same user from reading the memory.
func NoCore() {
	_ = unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}) // lowering it is always allowed
	notDumpable()
}

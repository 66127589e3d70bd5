//go:build unix

package sources

import "syscall"

// openFlags keep an open from waiting for the other end of a named pipe that
// took the place of a regular file between lstat and open.
const openFlags = syscall.O_NONBLOCK

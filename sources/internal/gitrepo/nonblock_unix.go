//go:build unix

package gitrepo

import "syscall"

// OpenFlags keep an open from waiting for the other end of a named pipe that
// took the place of a regular file between lstat and open.
const OpenFlags = syscall.O_NONBLOCK

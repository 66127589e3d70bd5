package main

import (
	"net/netip"
	"os"
	"syscall"
)

// keepPort takes a port of loopback for a process that will listen there, until free is
// called: a socket that is bound and does not listen. Nobody else is given the port, a
// connection to it is refused, and who asks for it by its number, with SO_REUSEADDR as
// net does, has it.
func keepPort() (addr string, free func(), err error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, os.NewSyscallError("socket", err)
	}
	free = func() { syscall.Close(fd) }
	at := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	if err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1); err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: at.As4()})
	}
	if err == nil {
		var name syscall.Sockaddr
		if name, err = syscall.Getsockname(fd); err == nil {
			return netip.AddrPortFrom(at, uint16(name.(*syscall.SockaddrInet4).Port)).String(), free, nil
		}
	}
	free()
	return "", nil, os.NewSyscallError("bind", err)
}

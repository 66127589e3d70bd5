package syslogin

import (
	"encoding/binary"
	"net"

	"golang.org/x/sys/unix"
)

// tellDrops has the kernel say with each message how many were dropped before it.
func tellDrops(c *net.UDPConn) {
	if raw, err := c.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) {
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1) // older kernels cannot
		})
	}
}

// drops reads that number.
func drops(oob []byte) (uint32, bool) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for _, m := range list {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_RXQ_OVFL && len(m.Data) >= 4 {
			return binary.NativeEndian.Uint32(m.Data), true
		}
	}
	return 0, false
}

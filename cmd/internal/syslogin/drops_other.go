//go:build !linux

package syslogin

import "net"

// tellDrops does nothing: the kernel does not say here.
func tellDrops(*net.UDPConn) {}

func drops([]byte) (uint32, bool) { return 0, false }

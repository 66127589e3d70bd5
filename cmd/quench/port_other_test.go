//go:build !linux

package main

import "net"

// keepPort is a port of loopback that nobody has at the moment. It is not kept: elsewhere
// than on Linux a bound socket is in the way of who is to listen.
func keepPort() (addr string, free func(), err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	return l.Addr().String(), func() {}, l.Close()
}

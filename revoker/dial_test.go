package revoker

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"
)

// Addresses inside the network are refused, however they are written, unless the
// policy's url is that very address; link-local ones, where clouds keep
// credentials, even then.
func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		addr, host string
		want       bool
	}{
		{"93.184.216.34", "example.com", true},
		{"2606:2800:220:1::1", "example.com", true},
		{"127.0.0.1", "example.com", false},
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.2", "127.0.0.1", false},
		{"::1", "example.com", false},
		{"::1", "::1", true},
		{"::ffff:127.0.0.1", "example.com", false},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"::127.0.0.1", "example.com", false},
		{"10.0.0.1", "example.com", false},
		{"10.0.0.1", "10.0.0.1", true},
		{"10.0.0.1", "10.0.0.2", false},
		{"172.16.0.1", "example.com", false},
		{"192.168.1.1", "example.com", false},
		{"100.64.0.1", "example.com", false},
		{"198.18.0.1", "example.com", false},
		{"169.254.169.254", "169.254.169.254", false},
		{"fe80::1", "fe80::1", false},
		{"fe80::1%eth0", "example.com", false},
		{"fc00::1", "example.com", false},
		{"fec0::1", "example.com", false},
		{"64:ff9b::a00:1", "example.com", false},
		{"2002:a00:1::1", "example.com", false},
		{"2001:0:a00:1::1", "example.com", false},
		{"0.0.0.0", "example.com", false},
		{"0.1.2.3", "example.com", false},
		{"::", "example.com", false},
		{"224.0.0.1", "example.com", false},
		{"ff02::1", "example.com", false},
		{"255.255.255.255", "example.com", false},
		{"240.0.0.1", "example.com", false},
	} {
		if err := allowed(netip.MustParseAddr(c.addr), c.host); (err == nil) != c.want || err != nil && !errors.Is(err, errPrivate) {
			t.Errorf("%s for the url of %s: %v", c.addr, c.host, err)
		}
	}
}

// A refused address is never dialled, a dead one does not end the call.
func TestDialFirst(t *testing.T) {
	var dialled []string
	dead := errors.New("no route")
	r := &Revoker{dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		if len(dialled) == 1 {
			return nil, dead
		}
		c, _ := net.Pipe()
		return c, nil
	}}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2606:2800:220:1::1"), netip.MustParseAddr("93.184.216.34")}
	conn, err := r.dialFirst(context.Background(), "tcp", "443", "example.com", addrs)
	if err != nil || len(dialled) != 2 || dialled[0] != "[2606:2800:220:1::1]:443" || dialled[1] != "93.184.216.34:443" {
		t.Fatalf("dialled %q, %v", dialled, err)
	}
	conn.Close()
	if _, err := r.dialFirst(context.Background(), "tcp", "443", "example.com", addrs[:1]); !errors.Is(err, errPrivate) || len(dialled) != 2 {
		t.Errorf("dialled %q, %v", dialled, err)
	}
	if c, err := r.dialFirst(context.Background(), "tcp", "443", "example.com", nil); c != nil || err == nil {
		t.Error("no address gave a connection")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"": 0, "0": 0, "-5": 0, "soon": 0, "7": 7 * time.Second, "99999999999999": time.Hour,
		strconv.FormatUint(1<<63, 10): time.Hour, "Fri, 02 Jan 2026 03:05:05 GMT": time.Minute,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0, "Sun, 02 Jan 2039 03:04:00 GMT": time.Hour,
	} {
		if got := parseRetryAfter(in, now); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestRequestID(t *testing.T) {
	for in, want := range map[string]bool{"": false, "0199a1b2-c3d4": true, "a b": false, "\x1b[31m": false, "é": false} {
		if isRequestID(in) != want {
			t.Errorf("%q: %v", in, !want)
		}
	}
}

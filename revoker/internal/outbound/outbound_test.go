package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
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
		{"::1", "example.com", false},
		{"::1", "::1", true},
		{"::ffff:127.0.0.1", "example.com", false},
		{"::ffff:10.0.0.1", "10.0.0.1", true},
		{"::127.0.0.1", "example.com", false},
		{"10.0.0.1", "example.com", false},
		{"10.0.0.1", "10.0.0.1", true},
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
		_, lit := netip.ParseAddr(c.host)
		err := allowed(netip.MustParseAddr(c.addr), lit == nil)
		if (err == nil) != c.want || err != nil && !errors.Is(err, ErrPrivate) {
			t.Errorf("%s for the url of %s: %v", c.addr, c.host, err)
		}
	}
}

// A refused address is never dialled, a dead one does not end the call.
func TestDialFirst(t *testing.T) {
	var dialled []string
	dead := errors.New("no route")
	o := Options{Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		dialled = append(dialled, address)
		if len(dialled) == 1 {
			return nil, dead
		}
		c, _ := net.Pipe()
		return c, nil
	}}
	addrs := []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("2606:2800:220:1::1"), netip.MustParseAddr("93.184.216.34")}
	conn, err := o.dialFirst(context.Background(), "tcp", "443", "example.com", false, addrs)
	if err != nil || len(dialled) != 2 || dialled[0] != "[2606:2800:220:1::1]:443" || dialled[1] != "93.184.216.34:443" {
		t.Fatalf("dialled %q, %v", dialled, err)
	}
	conn.Close()
	if _, err := o.dialFirst(context.Background(), "tcp", "443", "example.com", false, addrs[:1]); !errors.Is(err, ErrPrivate) || len(dialled) != 2 {
		t.Errorf("dialled %q, %v", dialled, err)
	}
	if c, err := o.dialFirst(context.Background(), "tcp", "443", "example.com", false, nil); c != nil || err == nil {
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
		if got := RetryAfter(in, now); got != want {
			t.Errorf("%q is %s, want %s", in, got, want)
		}
	}
}

func TestRequestID(t *testing.T) {
	for in, want := range map[string]bool{"": false, "0199a1b2-c3d4": true, "a b": false, "\x1b[31m": false, "é": false} {
		if (RequestID(http.Header{"X-Request-Id": {in}}) != "") != want {
			t.Errorf("%q: %v", in, !want)
		}
	}
}

// A host that is not listed is refused before anything is dialled, with a proxy
// between as without; a listed one is dialled at the address its name has.
func TestClient(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://elsewhere.example/")
		w.WriteHeader(http.StatusFound)
	}))
	defer srv.Close()
	var dialled []string
	o := Options{
		Hosts:  []string{"vault.internal:8200", "api.example.com:80"},
		Pinned: []string{"vault.internal:8200"},
		Lookup: func(_ context.Context, host string) ([]netip.Addr, error) {
			return []netip.Addr{netip.MustParseAddr("10.0.0.7")}, nil
		},
		Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			dialled = append(dialled, address)
			return (&net.Dialer{}).DialContext(ctx, network, srv.Listener.Addr().String())
		},
	}
	get := func(u string) (*http.Response, error) {
		resp, err := Client(o).Get(u)
		if err == nil {
			resp.Body.Close()
		}
		return resp, err
	}
	if resp, err := get("http://vault.internal:8200/v1"); err != nil || resp.StatusCode != http.StatusFound {
		t.Errorf("a pinned host: %v; want the redirect itself", err)
	}
	if len(dialled) != 1 || dialled[0] != "10.0.0.7:8200" {
		t.Errorf("dialled %q", dialled)
	}
	if _, err := get("http://api.example.com/"); !errors.Is(err, ErrPrivate) {
		t.Errorf("a listed name with a private address: %v", err)
	}
	for _, u := range []string{"http://elsewhere.example/", "http://vault.internal/", "http://vault.internal:8201/", "http://api.example.com.:80/"} {
		if _, err := get(u); !errors.Is(err, ErrUnlisted) {
			t.Errorf("%s: %v, want ErrUnlisted", u, err)
		}
	}
	o.Proxy, _ = url.Parse("http://proxy.internal:3128")
	if _, err := get("http://elsewhere.example/"); !errors.Is(err, ErrUnlisted) {
		t.Errorf("by a proxy: %v, want ErrUnlisted", err)
	}
	if _, err := get("http://api.example.com/"); err != nil || dialled[len(dialled)-1] != "10.0.0.7:3128" {
		t.Errorf("by a proxy: %v, dialled %q", err, dialled)
	}
}

func TestDescribe(t *testing.T) {
	err := &url.Error{Op: "Get", URL: "https://example.com/?secret=1", Err: &net.OpError{Op: "dial", Err: ErrPrivate}}
	if got := Describe(err); got != ErrPrivate.Error() {
		t.Error(got)
	}
	if got := Describe(&url.Error{Op: "Get", URL: "https://example.com/?secret=1", Err: context.DeadlineExceeded}); got != "no answer within 5s" {
		t.Error(got)
	}
}

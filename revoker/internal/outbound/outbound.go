// Package outbound makes the HTTP clients that calls to providers and sinks go
// through.
//
// It holds what keeps such a call from going anywhere else: only listed hosts, no
// redirects, no addresses inside this network unless an operator named the host
// itself, checked when a connection is dialled so that a name cannot change its
// address after a check. It knows nothing of providers, secrets or retries, and
// reads no configuration. Start reading at Client.
package outbound

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Timeout is for one whole call. A receiver only has to store what it is told;
// five seconds is ten times what the slowest healthy one takes, and short enough
// that a lease outlives the call.
const Timeout = 5 * time.Second

// MaxAnswer is how many bytes of an answer are read.
const MaxAnswer = 64 << 10

// Dial connects to an address of the form host:port.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// Lookup resolves a host's name.
type Lookup func(ctx context.Context, host string) ([]netip.Addr, error)

// Options of a client. Dial and Lookup replace the connection and the resolver in
// tests; the checks stay in force.
type Options struct {
	// Hosts are the exact host:port that may be called; all others are refused.
	Hosts []string
	// Pinned are those of Hosts whose address may be private, or loopback: the
	// operator named each of them, as a name or as a literal address.
	Pinned []string
	// Proxy, if any, is asked for every call. It resolves names itself, so that
	// the addresses behind them are its to judge.
	Proxy *url.URL
	// RootCAs are trusted instead of the system's.
	RootCAs *x509.CertPool
	Dial    Dial
	Lookup  Lookup
}

// Errors of a call that was refused before it left.
var (
	ErrPrivate  = errors.New("the address is private; a url in the policy may name it literally")
	ErrUnlisted = errors.New("the host is not one this provider may be called at")
)

// Client makes a client for calls with a credential: no redirects, no kept
// connections, no proxy from the environment.
func Client(o Options) *http.Client {
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: Timeout}).DialContext
	}
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	t := &http.Transport{
		DisableKeepAlives:      true,
		TLSHandshakeTimeout:    Timeout, // a dial is not ended with its call
		DialContext:            o.dial,
		MaxResponseHeaderBytes: MaxAnswer,
	}
	if o.RootCAs != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: o.RootCAs, MinVersion: tls.VersionTLS12}
	}
	if o.Proxy != nil {
		t.Proxy = http.ProxyURL(o.Proxy)
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     listed{o.Hosts, t},
	}
}

// listed refuses requests to hosts that are not in the list, with or without a
// proxy between.
type listed struct {
	hosts []string
	next  http.RoundTripper
}

func (l listed) RoundTrip(req *http.Request) (*http.Response, error) {
	if !slices.Contains(l.hosts, HostPort(req.URL)) {
		return nil, fmt.Errorf("%s: %w", HostPort(req.URL), ErrUnlisted)
	}
	return l.next.RoundTrip(req)
}

// HostPort is a url's host and port, the scheme's own port if it names none.
func HostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "443"
		if u.Scheme == "http" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

// dial connects to a host of the list, or to the proxy.
func (o Options) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	pinned := slices.Contains(o.Pinned, net.JoinHostPort(strings.ToLower(host), port))
	if o.Proxy != nil {
		pinned = address == HostPort(o.Proxy) // its url is the operator's
	}
	addrs, err := o.Lookup(ctx, host)
	if err != nil {
		return nil, err
	}
	return o.dialFirst(ctx, network, port, host, pinned, addrs)
}

// dialFirst connects to the first address that may be dialled and answers: a host
// without IPv6 must not fail for a name that has it.
func (o Options) dialFirst(ctx context.Context, network, port, host string, pinned bool, addrs []netip.Addr) (net.Conn, error) {
	err := fmt.Errorf("%s: no address", host)
	for _, a := range addrs {
		if refused := allowed(a, pinned); refused != nil {
			err = refused
			continue
		}
		// The time of the call is shared, so that one dead address does not take
		// it all. It is not in ctx: net/http dials without the call's deadline.
		share, cancel := context.WithTimeout(ctx, Timeout/time.Duration(len(addrs)))
		var conn net.Conn
		conn, err = o.Dial(share, network, net.JoinHostPort(a.Unmap().String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// inward are ranges that netip calls global unicast and that reach inside, or
// nowhere: by the registries of special-purpose addresses (RFC 6890). The IPv6
// ones carry an IPv4 address that a gateway or the system would take out.
func inward() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"), // carriers, RFC 6598
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("::/96"),        // IPv4-compatible
		netip.MustParsePrefix("64:ff9b::/96"), // NAT64
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2001::/32"), // Teredo
		netip.MustParsePrefix("2002::/16"), // 6to4
		netip.MustParsePrefix("fec0::/10"), // site-local of old
	}
}

// allowed refuses addresses inside this network unless the host is pinned.
// Link-local ones, where clouds keep credentials, and those that are no host's
// are refused even then.
func allowed(a netip.Addr, pinned bool) error {
	a = a.Unmap()
	if pinned && (a.IsLoopback() || a.IsPrivate()) {
		return nil
	}
	in := func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }
	if !a.IsGlobalUnicast() || a.IsPrivate() || slices.ContainsFunc(inward(), in) {
		return fmt.Errorf("%s: %w", a, ErrPrivate)
	}
	return nil
}

// Describe keeps an error of a call short: its url is known, may hold what must
// not be seen, and is not repeated.
func Describe(err error) string {
	for {
		switch inner := errors.Unwrap(err); {
		case errors.Is(err, context.DeadlineExceeded):
			return "no answer within " + Timeout.String()
		case errors.Is(err, ErrPrivate):
			return ErrPrivate.Error()
		case errors.Is(err, ErrUnlisted):
			return ErrUnlisted.Error()
		case inner == nil:
			return err.Error()
		default:
			err = inner
		}
	}
}

// maxRetryAfter bounds what a provider asks for: it cannot put a revocation off
// for ever.
const maxRetryAfter = time.Hour

// RetryAfter reads the two forms of that header, seconds and a date (RFC 9110,
// 10.2.3); 0 is neither or a time gone by.
func RetryAfter(s string, now time.Time) time.Duration {
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		// Compared as seconds, since large ones overflow a Duration.
		return time.Duration(min(n, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	at, err := http.ParseTime(s)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), maxRetryAfter)
}

// RequestID is a provider's name for a request if it may be stored and printed,
// else empty: it is foreign text.
func RequestID(h http.Header) string {
	s := h.Get("X-Request-Id")
	if len(s) > 64 || strings.Trim(s, requestIDChars) != "" {
		return ""
	}
	return s
}

const requestIDChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+="

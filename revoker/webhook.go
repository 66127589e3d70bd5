package revoker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

const (
	// callTimeout is for one whole call. A receiver only has to store what it
	// is told; five seconds is ten times what the slowest healthy one takes,
	// and short enough that a lease outlives the call.
	callTimeout = 5 * time.Second
	// maxAnswer is how much of an answer is read, for its hash.
	maxAnswer = 64 << 10
)

// leakReport is the body of a webhook. It never holds the secret: the provider
// knows its token by the id under which it was imported, or by its hint.
type leakReport struct {
	Type      string    `json:"type"` // "token.leaked"
	Timestamp time.Time `json:"timestamp"`
	Data      leakData  `json:"data"`
}

type leakData struct {
	Action     string    `json:"action"` // "revoke"
	IncidentID string    `json:"incident_id"`
	TokenID    string    `json:"token_id"`
	Hint       string    `json:"hint"`
	Owner      string    `json:"owner"`
	Provider   string    `json:"provider"`
	LeakedAt   time.Time `json:"leaked_at,omitzero"`
	FoundAt    time.Time `json:"found_at"`
	Places     []Place   `json:"places"`
}

// call tells a provider about an incident once. retryAfter is what the answer
// asked for, 0 if nothing. The id of the webhook is the incident's, so that a
// receiver takes a repeated call for what it is.
func (r *Revoker) call(ctx context.Context, p Provider, d leakData) (rc Receipt, retryAfter time.Duration) {
	start := time.Now()
	rc = Receipt{Provider: p.Name, Outcome: Failed, At: r.reg.Now()}
	defer func() { rc.Took = time.Since(start) }()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	req, err := r.request(ctx, p, d, rc.At)
	if err != nil {
		rc.Detail = err.Error()
		return rc, 0
	}
	resp, err := r.client(p).Do(req)
	if err != nil {
		rc.Detail = describe(err)
		return rc, 0
	}
	defer resp.Body.Close()
	h := sha256.New()
	io.Copy(h, io.LimitReader(resp.Body, maxAnswer))
	rc.Status, rc.AnswerHash = resp.StatusCode, h.Sum(nil)
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		rc.Outcome = Accepted
	case s == http.StatusGone:
		rc.Outcome = Gone
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		rc.Outcome, rc.Detail = Denied, "the provider refuses our signature: check secret_file"
	case s >= 300 && s < 400:
		rc.Outcome, rc.Detail = Denied, "the provider redirects, which is never followed: put the final url into the policy"
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests:
		rc.Outcome, rc.Detail = Denied, "the provider refuses the report: "+http.StatusText(s)
	default:
		rc.Detail = "the provider asks to try again: " + http.StatusText(s)
		retryAfter = parseRetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	if id := resp.Header.Get("X-Request-Id"); isRequestID(id) {
		rc.Detail = strings.TrimPrefix(rc.Detail+"; request "+id, "; ")
	}
	return rc, retryAfter
}

// maxRetryAfter bounds what a provider asks for: it cannot put a revocation off
// for ever.
const maxRetryAfter = time.Hour

// parseRetryAfter reads the header's two forms, seconds and a date; 0 is neither
// or a time gone by.
func parseRetryAfter(s string, now time.Time) time.Duration {
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

// isRequestID reports whether a provider's name for a request may be stored and
// printed: it is foreign text.
func isRequestID(s string) bool {
	return len(s) > 0 && len(s) <= 64 && strings.Trim(s, requestIDChars) == ""
}

const requestIDChars = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/+="

func (r *Revoker) request(ctx context.Context, p Provider, d leakData, now time.Time) (*http.Request, error) {
	sign, err := p.signer()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(leakReport{Type: "token.leaked", Timestamp: now, Data: d})
	if err != nil {
		return nil, err
	}
	sig, err := sign.Sign(d.IncidentID, now, body)
	if err != nil {
		return nil, fmt.Errorf("signing the call to provider %q: %w", p.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "quench")
	req.Header.Set(standardwebhooks.HeaderWebhookID, d.IncidentID)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, sig)
	return req, nil
}

// client makes the HTTP client for one call: no proxy, no redirects, no kept
// connections, and addresses checked when they are dialled, so that a name
// cannot change its address after a check.
func (r *Revoker) client(p Provider) *http.Client {
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableKeepAlives:   true,
			TLSHandshakeTimeout: callTimeout, // a dial is not ended with its call
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				host, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
				if err != nil {
					return nil, err
				}
				return r.dialFirst(ctx, network, port, p.url.Hostname(), addrs)
			},
		},
	}
}

// dialFirst connects to the first address that may be dialled and answers: a host
// without IPv6 must not fail for a name that has it.
func (r *Revoker) dialFirst(ctx context.Context, network, port, host string, addrs []netip.Addr) (net.Conn, error) {
	err := fmt.Errorf("%s: no address", host)
	for _, a := range addrs {
		if refused := allowed(a, host); refused != nil {
			err = refused
			continue
		}
		// The time of the call is shared, so that one dead address does not take
		// it all. It is not in ctx: net/http dials without the call's deadline.
		share, cancel := context.WithTimeout(ctx, callTimeout/time.Duration(len(addrs)))
		var conn net.Conn
		conn, err = r.dial(share, network, net.JoinHostPort(a.Unmap().String(), port))
		cancel()
		if err == nil {
			return conn, nil
		}
	}
	return nil, err
}

var errPrivate = errors.New("the address is private; a url in the policy may name it literally")

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

// allowed refuses addresses inside this network, unless the policy's url names
// that very address.
func allowed(a netip.Addr, host string) error {
	a = a.Unmap()
	if lit, err := netip.ParseAddr(host); err == nil && lit.Unmap() == a && !a.IsLinkLocalUnicast() {
		return nil
	}
	in := func(p netip.Prefix) bool { return p.Contains(a.WithZone("")) }
	if !a.IsGlobalUnicast() || a.IsPrivate() || slices.ContainsFunc(inward(), in) {
		return fmt.Errorf("%s: %w", a, errPrivate)
	}
	return nil
}

// describe keeps an error short: the url is in the policy and not repeated.
func describe(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return "no answer within " + callTimeout.String()
		}
		if errors.Is(err, errPrivate) {
			return errPrivate.Error()
		}
		err = inner
	}
}

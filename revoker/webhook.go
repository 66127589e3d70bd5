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
	"strconv"
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
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n > 0 {
			// An hour at most: a provider cannot put a revocation off for ever.
			retryAfter = min(time.Duration(n)*time.Second, time.Hour)
		}
	}
	return rc, retryAfter
}

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
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				host, port, err := net.SplitHostPort(address)
				if err != nil {
					return nil, err
				}
				addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
				if err != nil {
					return nil, err
				}
				for _, a := range addrs {
					if err = allowed(a, p.url.Hostname()); err == nil {
						return r.dial(ctx, network, net.JoinHostPort(a.Unmap().String(), port))
					}
				}
				return nil, err
			},
		},
	}
}

var errPrivate = errors.New("the address is private; a url in the policy may name it literally")

// carrier is shared address space (RFC 6598), private like those of RFC 1918.
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// allowed refuses addresses inside this network, unless the policy's url names
// that very address.
func allowed(a netip.Addr, host string) error {
	a = a.Unmap()
	if lit, err := netip.ParseAddr(host); err == nil && lit.Unmap() == a && !a.IsLinkLocalUnicast() {
		return nil
	}
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLinkLocalUnicast() || carrier.Contains(a) {
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

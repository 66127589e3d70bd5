// Package webhook tells a provider of a leaked token by a POST that is signed by the
// Standard Webhooks scheme.
//
// It makes one call and says what came of it. It knows neither policy nor incidents,
// and never has the secret: the provider knows its token by the id under which it was
// imported, or by its hint. Start reading at Endpoint.Tell.
package webhook

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// Timeout is for one whole call.
const Timeout = outbound.Timeout

// What came of a call.
const (
	Accepted = "accepted"     // the provider took the report
	Gone     = "already-dead" // the provider knows no such token any more
	Denied   = "denied"       // our signature or rights were refused
	Failed   = "failed"       // no answer, or one that asks to try again
)

// Endpoint is who is told.
type Endpoint struct {
	Name       string
	URL        *url.URL // whose scheme and host were checked
	SecretFile string   // see Signer
}

// Answer is what came of one call, of the provider's words but numbers.
type Answer struct {
	Outcome    string
	Status     int
	Hash       []byte // of the body, by SHA-256
	Detail     string
	RetryAfter time.Duration // what it asked for; 0 is nothing
	At         time.Time
	Took       time.Duration
}

// report is the body.
type report struct {
	Type      string    `json:"type"` // "token.leaked"
	Timestamp time.Time `json:"timestamp"`
	Data      Data      `json:"data"`
}

// Data is what is told of a leak.
type Data struct {
	Action     string    `json:"action"` // "revoke"
	IncidentID string    `json:"incident_id"`
	TokenID    string    `json:"token_id"`
	Hint       string    `json:"hint"`
	Owner      string    `json:"owner"`
	Provider   string    `json:"provider"`
	LeakedAt   time.Time `json:"leaked_at,omitzero"`
	FoundAt    time.Time `json:"found_at"`
	Places     any       `json:"places"`
}

// Tell makes the call at now, over dial where it is not nil. The id of the webhook is
// the incident's, so that a receiver takes a repeated call for what it is.
func (e Endpoint) Tell(ctx context.Context, d Data, dial outbound.Dial, now time.Time) (a Answer) {
	start := time.Now()
	a = Answer{Outcome: Failed, At: now}
	defer func() { a.Took = time.Since(start) }()
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	req, err := e.request(ctx, d, now)
	if err != nil {
		a.Detail = err.Error()
		return a
	}
	resp, err := e.client(dial).Do(req)
	if err != nil {
		a.Detail = outbound.Describe(err)
		return a
	}
	defer resp.Body.Close()
	h := sha256.New()
	io.Copy(h, io.LimitReader(resp.Body, outbound.MaxAnswer))
	a.Status, a.Hash = resp.StatusCode, h.Sum(nil)
	switch s := resp.StatusCode; {
	case s >= 200 && s < 300:
		a.Outcome = Accepted
	case s == http.StatusGone:
		a.Outcome = Gone
	case s == http.StatusUnauthorized, s == http.StatusForbidden:
		a.Outcome, a.Detail = Denied, "the provider refuses our signature: check secret_file"
	case s >= 300 && s < 400:
		a.Outcome, a.Detail = Denied, "the provider redirects, which is never followed: put the final url into the policy"
	case s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests:
		a.Outcome, a.Detail = Denied, "the provider refuses the report: "+http.StatusText(s)
	default:
		a.Detail = "the provider asks to try again: " + http.StatusText(s)
		a.RetryAfter = outbound.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	if id := outbound.RequestID(resp.Header); id != "" {
		a.Detail = strings.TrimPrefix(a.Detail+"; request "+id, "; ")
	}
	return a
}

func (e Endpoint) request(ctx context.Context, d Data, now time.Time) (*http.Request, error) {
	sign, err := e.Signer()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(report{Type: "token.leaked", Timestamp: now, Data: d})
	if err != nil {
		return nil, err
	}
	sig, err := sign.Sign(d.IncidentID, now, body)
	if err != nil {
		return nil, fmt.Errorf("signing the call to provider %q: %w", e.Name, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, e.URL.String(), bytes.NewReader(body))
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

// client makes the HTTP client for one call. A url of the policy that is a literal
// address may be private: the operator wrote it.
func (e Endpoint) client(dial outbound.Dial) *http.Client {
	o := outbound.Options{Hosts: []string{outbound.HostPort(e.URL)}, Dial: dial}
	if _, err := netip.ParseAddr(e.URL.Hostname()); err == nil {
		o.Pinned = o.Hosts
	}
	return outbound.Client(o)
}

// Signer reads the signing secret: "whsec_" and base64, in a file that nobody else may
// read.
func (e Endpoint) Signer() (*standardwebhooks.Webhook, error) {
	st, err := os.Stat(e.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("reading the signing secret of provider %q: %w", e.Name, err)
	}
	if runtime.GOOS != "windows" && st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("the signing secret %q of provider %q can be read by others: chmod 600 it", e.SecretFile, e.Name)
	}
	b, err := os.ReadFile(e.SecretFile)
	if err != nil {
		return nil, fmt.Errorf("reading the signing secret of provider %q: %w", e.Name, err)
	}
	s := strings.TrimPrefix(strings.TrimSpace(string(b)), "whsec_")
	// 24 bytes is the least the Standard Webhooks specification asks for.
	if key, err := base64.StdEncoding.DecodeString(s); err != nil || len(key) < 24 {
		return nil, fmt.Errorf("the signing secret %q of provider %q is not whsec_ and base64 of at least 24 bytes", e.SecretFile, e.Name)
	}
	return standardwebhooks.NewWebhook(s)
}

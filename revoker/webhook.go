package revoker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// callTimeout is for one whole call.
const callTimeout = outbound.Timeout

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
		rc.Detail = outbound.Describe(err)
		return rc, 0
	}
	defer resp.Body.Close()
	h := sha256.New()
	io.Copy(h, io.LimitReader(resp.Body, outbound.MaxAnswer))
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
		retryAfter = outbound.RetryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	if id := outbound.RequestID(resp.Header); id != "" {
		rc.Detail = strings.TrimPrefix(rc.Detail+"; request "+id, "; ")
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

// client makes the HTTP client for one call. A url of the policy that is a literal
// address may be private: the operator wrote it.
func (r *Revoker) client(p Provider) *http.Client {
	o := outbound.Options{Hosts: []string{outbound.HostPort(p.url)}, Dial: r.dial}
	if _, err := netip.ParseAddr(p.url.Hostname()); err == nil {
		o.Pinned = o.Hosts
	}
	return outbound.Client(o)
}

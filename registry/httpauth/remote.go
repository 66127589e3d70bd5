package httpauth

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// DefaultTimeout of a Client: a registry answers in milliseconds, and who waits
	// for one that does not is kept waiting no longer than a person notices.
	DefaultTimeout = 2 * time.Second
	// maxAnswer is how many bytes of an answer are read: that of a token with the
	// most scopes, each as long as may be.
	maxAnswer = 8 << 20
)

// ErrNoAnswer: the registry's service did not answer, or not as one.
var ErrNoAnswer = errors.New("no answer of the registry")

// Question is what a quench serve is asked at POST /v1/verify.
type Question struct {
	Token    string     `json:"token"`
	Scope    string     `json:"scope,omitempty"`
	Client   string     `json:"client,omitempty"`
	Address  netip.Addr `json:"address,omitzero"`
	Country  string     `json:"country,omitempty"`
	Method   string     `json:"method,omitempty"`
	Endpoint string     `json:"endpoint,omitempty"`
	Agent    string     `json:"agent,omitempty"`
}

// Use is what the question says of what the token is shown for.
func (q *Question) Use() registry.Use {
	return registry.Use{Scope: q.Scope, Client: q.Client, Address: q.Address, Country: q.Country, Method: q.Method, Endpoint: q.Endpoint, Agent: q.Agent}
}

// Client asks a quench serve. It keeps no answers: each request is a question.
type Client struct {
	base  string
	token secret.Secret
	http  *http.Client
}

// NewClient makes a Client of the service at an address: https://host, http:// of a
// loopback address, or unix:///path of its socket. token is one with the scope
// verify:registry, which a socket does not ask for. A timeout of 0 is
// DefaultTimeout. transport is nil but for own certificates.
func NewClient(address string, token secret.Secret, timeout time.Duration, transport *http.Transport) (*Client, error) {
	u, err := url.Parse(address)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("the address of the registry's service is not a URL such as https://registry.example.com")
	}
	if transport == nil {
		transport = http.DefaultTransport.(*http.Transport).Clone()
		transport.Proxy = nil // tokens go nowhere else
		transport.MaxIdleConnsPerHost = 64
	}
	c := &Client{base: address, token: token}
	switch {
	case u.Scheme == "unix":
		path := u.Path
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", path)
		}
		c.base = "http://quench"
	case u.Scheme == "https" && u.Host != "":
	case u.Scheme == "http" && loopback(u.Hostname()):
	default:
		return nil, fmt.Errorf("the address %s://%s would send tokens in clear text; use https, a loopback address, or unix:///path", u.Scheme, u.Host)
	}
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	c.http = &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	return c, nil
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return err == nil && a.IsLoopback()
}

// Verify implements Verifier. Errors wrap ErrNoAnswer, or registry.ErrInvalid where
// the service says that the question is none.
func (c *Client) Verify(ctx context.Context, value secret.Secret, use registry.Use) (registry.Verdict, error) {
	body, err := json.Marshal(Question{string(value.Reveal()), use.Scope, use.Client, use.Address, use.Country, use.Method, use.Endpoint, use.Agent})
	if err != nil {
		return registry.Verdict{}, fmt.Errorf("asking the registry: %w: %w", registry.ErrInvalid, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.base+"/v1/verify", bytes.NewReader(body))
	if err != nil {
		return registry.Verdict{}, fmt.Errorf("asking the registry: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	if !c.token.IsZero() {
		req.Header.Set("Authorization", "Bearer "+string(c.token.Reveal()))
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return registry.Verdict{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return registry.Verdict{}, fmt.Errorf("%w: %w", ErrNoAnswer, err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnprocessableEntity, http.StatusRequestEntityTooLarge:
		return registry.Verdict{}, fmt.Errorf("asking the registry: %w: it answered %s", registry.ErrInvalid, resp.Status)
	default:
		return registry.Verdict{}, fmt.Errorf("%w: it answered %s", ErrNoAnswer, resp.Status)
	}
	var v registry.Verdict
	if err := json.Unmarshal(answer, &v); err != nil || v.Reason == "" || v.Valid != (v.Reason == registry.ReasonValid) || v.Valid && v.Token == nil {
		return registry.Verdict{}, fmt.Errorf("%w: its answer cannot be read", ErrNoAnswer)
	}
	return v, nil
}

// Close ends idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

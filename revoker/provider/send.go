package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/revoker/internal/outbound"
)

// client reaches a provider's hosts and nothing else. own is the host that the
// operator's setting replaces.
func (n Net) client(set Settings, hosts []string, own string) *http.Client {
	o := outbound.Options{Proxy: n.Proxy, RootCAs: n.RootCAs, Dial: n.Dial, Lookup: n.Lookup}
	for _, h := range append(slices.Clone(hosts), cmp.Or(set.Host, own)) {
		if h != "" {
			o.Hosts = append(o.Hosts, withPort(h))
		}
	}
	if set.Host != "" {
		o.Pinned = []string{withPort(set.Host)}
	}
	return outbound.Client(o)
}

func withPort(h string) string {
	if strings.HasSuffix(h, "]") || !strings.Contains(h, ":") {
		return h + ":443"
	}
	return h
}

// attempt is one attempt and how long it took; do says what came of it.
func (n Net) attempt(kind string, do func(a *Answer) Outcome) Answer {
	a := Answer{Call: kind, At: n.now()}
	start := time.Now()
	a.Outcome = do(&a)
	a.Took = time.Since(start)
	return a
}

// maxBody bounds an answer in bytes: a page of a hundred keys has some 50 kB.
const maxBody = 1 << 20

// recorder notes in an Answer what came back, whoever reads it afterwards.
type recorder struct {
	next http.RoundTripper
	a    *Answer
	sent *bool // a connection was had: the request may have arrived
}

var errAnswer = errors.New("the answer broke off, or is too long")

func (r recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { *r.sent = true }})
	resp, err := r.next.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	resp.Body.Close()
	sum := sha256.Sum256(body)
	r.a.Status, r.a.BodyHash, r.a.RequestID = resp.StatusCode, sum[:], outbound.RequestID(resp.Header)
	r.a.RetryAfter = outbound.RetryAfter(resp.Header.Get("Retry-After"), r.a.At)
	if err != nil || len(body) > maxBody {
		return nil, errAnswer
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// recording is c with what comes back noted in a.
func recording(c *http.Client, a *Answer, sent *bool) *http.Client {
	a.Status, a.BodyHash, a.RequestID, a.RetryAfter = 0, nil, "", 0
	own := *c
	own.Transport = recorder{c.Transport, a, sent}
	return &own
}

// roundTrip makes one request; next means that there is an answer to read.
func roundTrip(c *http.Client, req *http.Request, a *Answer, mutates bool) ([]byte, Outcome) {
	ctx, cancel := context.WithTimeout(req.Context(), outbound.Timeout)
	defer cancel()
	sent := false
	resp, err := recording(c, a, &sent).Do(req.WithContext(ctx))
	if err != nil {
		return nil, lost(a, err, sent, mutates)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, lost(a, errAnswer, sent, mutates)
	}
	return body, next
}

// lost is the outcome of a request without an answer.
func lost(a *Answer, err error, sent, mutates bool) Outcome {
	a.Detail = outbound.Describe(err)
	switch {
	case errors.Is(err, outbound.ErrPrivate), errors.Is(err, outbound.ErrUnlisted):
		return Denied
	case sent && mutates:
		return Unknown
	}
	return Failed // it never arrived, or changes nothing
}

// usual is what a status means that the provider's entry says nothing of. A 401
// is not taken for dead: many answer so to a credential that lacks a right.
func usual(a *Answer, mutates bool) Outcome {
	unclear := Failed
	if mutates {
		unclear = Unknown
	}
	name := strings.TrimSpace(fmt.Sprintf("%d %s", a.Status, http.StatusText(a.Status)))
	switch s := a.Status; {
	case s == http.StatusTooManyRequests:
		a.Detail = "the provider asks to try again later: " + name
		return Failed
	case s == http.StatusRequestTimeout || s >= 500:
		a.Detail = "the provider is in trouble: " + name
		return unclear
	case s >= 300 && s < 400:
		a.Detail = "the provider redirects, which is never followed: " + name
		return Denied
	case s == http.StatusUnauthorized || s == http.StatusForbidden:
		a.Detail = "the provider refuses the credential of the call: " + name
		return Denied
	case s >= 400:
		a.Detail = "the provider refuses the call: " + name
		return Denied
	}
	a.Detail = "the answer is none that is documented: " + name
	return Unknown
}

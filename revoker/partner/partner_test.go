package partner_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/revoker/internal/outbound"
	"github.com/quench-dev/quench/revoker/partner"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// stage is a service that hears, and GitHub, whose keys it reads.
type stage struct {
	t      *testing.T
	key    *ecdsa.PrivateKey
	id     string
	keys   *revokertest.Network
	now    time.Time
	down   bool
	etag   int // how often the document was not sent again
	leaks  []partner.Leak
	fail   error
	routes map[string]http.Handler
}

func newStage(t *testing.T, cfg partner.Config) *stage {
	t.Helper()
	s := &stage{t: t, now: time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC), id: "key1"}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.keys = revokertest.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		der, _ := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
		switch {
		case s.down:
			w.WriteHeader(http.StatusBadGateway)
		case r.URL.Path != "/meta/public_keys/secret_scanning":
			w.WriteHeader(http.StatusNotFound)
		case r.Header.Get("If-None-Match") == s.id:
			s.etag++
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Etag", s.id)
			json.NewEncoder(w).Encode(map[string]any{"public_keys": []any{map[string]any{"key_identifier": s.id, "is_current": true,
				"key": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}}})
		}
	}))
	s.routes, err = partner.Routes(cfg, s.handle, partner.Options{Now: func() time.Time { return s.now },
		Net: outbound.Options{Dial: s.keys.Dial, Lookup: s.keys.Lookup, RootCAs: s.keys.RootCAs}})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *stage) handle(_ context.Context, l partner.Leak) (bool, error) {
	s.leaks = append(s.leaks, l)
	return strings.HasPrefix(string(l.Secret.Reveal()), "ours"), s.fail
}

func (s *stage) send(pattern, body string, headers ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	s.routes[pattern].ServeHTTP(w, r)
	return w
}

const fromGitHub = "POST /v1/partner/github"

// report sends a signed report.
func (s *stage) report(body string) *httptest.ResponseRecorder {
	s.t.Helper()
	return s.send(fromGitHub, body, "Github-Public-Key-Identifier", s.id, "Github-Public-Key-Signature", s.sign(body))
}

func (s *stage) sign(body string) string {
	sum := sha256.Sum256([]byte(body))
	sig, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
	if err != nil {
		s.t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(sig)
}

const two = `[{"token":"ours-1","type":"acme_token","url":"https://github.com/a/b/blob/c/d","source":"Content"},{"token":"theirs","type":"acme_token","url":"","source":"new_kind"}]`

// A signed report hands on each token, and the answer does not say which was ours.
func TestReport(t *testing.T) {
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true}})
	if w := s.report(two); w.Code != http.StatusNoContent || w.Body.Len() != 0 {
		t.Errorf("%d %q", w.Code, w.Body)
	}
	if len(s.leaks) != 2 || s.leaks[0].URL != "https://github.com/a/b/blob/c/d" || s.leaks[0].Source != "content" || s.leaks[0].From != "github" {
		t.Errorf("%+v", s.leaks)
	}
	if none := s.report(`[{"token":"theirs","type":"x","url":""}]`); none.Code != http.StatusNoContent || none.Body.Len() != 0 {
		t.Errorf("another answer for a token of others: %d %q", none.Code, none.Body)
	}
	if n := len(s.keys.Seen()); n != 1 {
		t.Errorf("the keys were asked for %d times", n)
	}
}

func TestFeedback(t *testing.T) {
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true, Feedback: true}})
	w := s.report(two)
	sum := sha256.Sum256([]byte("ours-1"))
	if want := fmt.Sprintf(`{"token_hash":"%s","token_type":"acme_token","label":"true_positive"}`, hex.EncodeToString(sum[:])); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), want) ||
		!strings.Contains(w.Body.String(), "false_positive") || strings.Contains(w.Body.String(), "ours-1") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

// What is not signed by a key of the document is not read.
func TestForged(t *testing.T) {
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true}})
	good := s.sign(two)
	for name, c := range map[string]struct {
		id, sig, body string
		want          int
	}{
		"other body":  {s.id, good, strings.Replace(two, "ours", "0urs", 1), 401},
		"a space":     {s.id, good, two + " ", 401},
		"no base64":   {s.id, "%%%", two, 401},
		"empty DER":   {s.id, "", two, 404},
		"no key":      {"", good, two, 404},
		"unknown key": {"key2", good, two, 401},
	} {
		h := []string{"Github-Public-Key-Identifier", c.id, "Github-Public-Key-Signature", c.sig}
		if w := s.send(fromGitHub, c.body, h...); w.Code != c.want {
			t.Errorf("%s: %d, want %d", name, w.Code, c.want)
		}
	}
	if len(s.leaks) != 0 {
		t.Errorf("%d leaks were handed on", len(s.leaks))
	}
	// Made-up identifiers use up one call a minute.
	before := len(s.keys.Seen())
	for range 20 {
		s.send(fromGitHub, two, "Github-Public-Key-Identifier", rand.Text(), "Github-Public-Key-Signature", good)
	}
	if n := len(s.keys.Seen()) - before; n != 0 {
		t.Errorf("the keys were asked for %d times", n)
	}
	s.now = s.now.Add(2 * time.Minute)
	s.send(fromGitHub, two, "Github-Public-Key-Identifier", "key3", "Github-Public-Key-Signature", good)
	if s.etag != 1 {
		t.Errorf("the document was asked for without its tag")
	}
}

// A new key is read when it is first used; without the document nothing is refused
// for good.
func TestKeysChange(t *testing.T) {
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true}})
	s.down = true
	if w := s.report(two); w.Code != http.StatusServiceUnavailable {
		t.Errorf("without keys: %d", w.Code)
	}
	s.down = false
	s.now = s.now.Add(2 * time.Minute)
	if w := s.report(two); w.Code != http.StatusNoContent {
		t.Errorf("%d", w.Code)
	}
	var err error
	if s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	s.id = "key2"
	s.now = s.now.Add(2 * time.Minute)
	if w := s.report(two); w.Code != http.StatusNoContent {
		t.Errorf("a new key: %d", w.Code)
	}
	s.down = true // the keys that are known stay
	if w := s.report(two); w.Code != http.StatusNoContent {
		t.Errorf("a known key: %d", w.Code)
	}
}

func TestBadReports(t *testing.T) {
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true}})
	for body, want := range map[string]int{
		"":                                400,
		"{}":                              400,
		"[1]":                             400,
		`[{"type":"x"}]`:                  400,
		"[]":                              204,
		"[" + strings.Repeat(" ", 26<<20): 413,
		`[{"token":"` + strings.Repeat("a", 1<<20) + `","type":"x","url":"u"}]`: 204,
		"[" + strings.Repeat(`{"token":"a"},`, 25_000) + `{"token":"a"}]`:       400,
	} {
		if w := s.report(body); w.Code != want {
			t.Errorf("%.40q (%d bytes): %d, want %d", body, len(body), w.Code, want)
		}
	}
	if len(s.leaks) != 0 {
		t.Errorf("%d leaks were handed on", len(s.leaks))
	}
	// What could not be dealt with is to be sent again.
	s.fail = errors.New("the database is locked")
	if w := s.report(two); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "database") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestGitLab(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("shared-token\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newStage(t, partner.Config{GitLab: partner.GitLab{Token: "file:" + token, Types: []string{"acme_token"}}})
	if s.routes[fromGitHub] != nil {
		t.Error("GitHub is heard unasked")
	}
	const types, revoke = "GET /v1/revocable_token_types", "POST /v1/revoke_tokens"
	if w := s.send(types, "", "Authorization", "shared-token"); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"types":["acme_token"]}` {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	body := `[{"type":"acme_token","token":"ours-2","location":"https://gitlab.example/x"}]`
	for _, auth := range []string{"", "Bearer ", "shared-toke", "Bearer other"} {
		if w := s.send(revoke, body, "Authorization", auth); w.Code != 401 {
			t.Errorf("authorization %q: %d", auth, w.Code)
		}
	}
	if len(s.leaks) != 0 {
		t.Error("a leak of a stranger was handed on")
	}
	if w := s.send(revoke, body, "Authorization", "Bearer shared-token"); w.Code != 204 || len(s.leaks) != 1 || s.leaks[0].URL != "https://gitlab.example/x" || s.leaks[0].From != "gitlab" {
		t.Errorf("%d %+v", w.Code, s.leaks)
	}
	if w := s.send(revoke, strings.Replace(body, "acme_token", "other", 1), "Authorization", "shared-token"); w.Code != 400 || w.Header().Get("Content-Type") != "application/json" || !json.Valid(w.Body.Bytes()) {
		t.Errorf("another type: %d %s", w.Code, w.Body)
	}
	s.fail = errors.New("the database is locked") // to be sent again
	if w := s.send(revoke, body, "Authorization", "shared-token"); w.Code != 500 || strings.Contains(w.Body.String(), "database") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	// Both are bounded together, and a stranger uses up nothing.
	s.fail, s.now = nil, s.now.Add(time.Second)
	for range 100 {
		s.send(types, "", "Authorization", "other")
	}
	heard := 0
	for range 100 {
		switch w := s.send(types, "", "Authorization", "shared-token"); w.Code {
		case 200:
			heard++
		case 429:
			if w.Header().Get("Retry-After") != "1" {
				t.Error("it does not say when")
			}
		default:
			t.Errorf("%d", w.Code)
		}
	}
	if heard != 20 {
		t.Errorf("%d of 100 calls in a second were heard", heard)
	}
	s.now = s.now.Add(time.Second)
	if w := s.send(revoke, body, "Authorization", "shared-token"); w.Code != 204 {
		t.Errorf("a second later: %d", w.Code)
	}
}

// The sample of the vendor's page, with the key that its document had then: payload, header
// names, encoding of the signature.
// https://docs.github.com/en/code-security/secret-scanning/secret-scanning-partnership-program/secret-scanning-partner-program
func TestVendorsSample(t *testing.T) {
	const (
		id   = "bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c"
		key  = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd\nAjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==\n-----END PUBLIC KEY-----\n"
		sig  = "MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=="
		body = `[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]`
	)
	s := newStage(t, partner.Config{GitHub: partner.GitHub{Enabled: true}})
	s.keys.Answer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"public_keys": []any{map[string]any{"key_identifier": id, "key": key, "is_current": true}}})
	}))
	w := s.send(fromGitHub, body, "Github-Public-Key-Identifier", id, "Github-Public-Key-Signature", sig)
	if w.Code != http.StatusNoContent || len(s.leaks) != 1 || s.leaks[0].Type != "some_type" || s.leaks[0].Source != "commit" || s.leaks[0].URL != "https://example.com/base-repo-url/" {
		t.Errorf("%d %s, %+v", w.Code, w.Body, s.leaks)
	}
	if w := s.send(fromGitHub, body+"\n", "Github-Public-Key-Identifier", id, "Github-Public-Key-Signature", sig); w.Code != http.StatusUnauthorized {
		t.Errorf("with a byte more: %d", w.Code)
	}
}

func TestConfig(t *testing.T) {
	for want, cfg := range map[string]partner.Config{
		"https":    {GitHub: partner.GitHub{Enabled: true, Keys: "http://x"}},
		"env:NAME": {GitLab: partner.GitLab{Token: "the-token", Types: []string{"a"}}},
		"types":    {GitLab: partner.GitLab{Token: "env:X"}},
	} {
		_, err := partner.Routes(cfg, nil, partner.Options{})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "the-token") {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if r, err := partner.Routes(partner.Config{}, nil, partner.Options{}); err != nil || len(r) != 0 {
		t.Errorf("nobody: %d routes, %v", len(r), err)
	}
}

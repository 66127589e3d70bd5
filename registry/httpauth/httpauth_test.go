package httpauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/httpauth"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Both{M: m}, goleak.IgnoreCurrent()) }

func open(t testing.TB) *registry.Registry {
	t.Helper()
	dir := t.TempDir()
	r, err := registry.Open(context.Background(), registry.Options{Path: storetest.Address(t, filepath.Join(dir, "db", "registry.db")), Create: true,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "pepper", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func issue(t testing.TB, r *registry.Registry, q registry.IssueRequest) (registry.Token, string) {
	t.Helper()
	q.Owner, q.Purpose = "ann", "tests"
	tok, value, err := r.Issue(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return tok, string(value.Reveal())
}

// guarded answers with the id of the token that it was let pass with.
func guarded(t testing.TB, o httpauth.Options) http.Handler {
	t.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	m, err := httpauth.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return m(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if tok, ok := httpauth.Token(r.Context()); ok {
			io.WriteString(w, tok.ID)
			return
		}
		io.WriteString(w, "nobody")
	}))
}

func get(h http.Handler, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", "/v1/items", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// Each answer is what RFC 6750 says, and no more.
func TestAnswers(t *testing.T) {
	r := open(t)
	tok, good := issue(t, r, registry.IssueRequest{Scopes: []string{"read:items"}})
	_, narrow := issue(t, r, registry.IssueRequest{Scopes: []string{"read:other"}})
	bound, elsewhere := issue(t, r, registry.IssueRequest{Scopes: []string{"read:items"}, Networks: []string{"203.0.113.0/24"}})
	dead, revoked := issue(t, r, registry.IssueRequest{Scopes: []string{"read:items"}})
	if _, _, err := r.Do(context.Background(), registry.Revoke, dead.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	h := guarded(t, httpauth.Options{Verifier: r, Scope: "read:items", Header: "X-API-Key"})
	const invalid = `Bearer realm="api", error="invalid_token"`
	for _, tc := range []struct {
		name      string
		headers   []string
		status    int
		challenge string
	}{
		{"good", []string{"Authorization", "Bearer " + good}, 200, ""},
		{"the scheme in lower case, two spaces", []string{"Authorization", "bearer  " + good}, 200, ""},
		{"its own header", []string{"X-API-Key", good}, 200, ""},
		{"a URI", []string{"X-API-Key", "secret-token:" + good}, 200, ""},
		{"none", nil, 401, `Bearer realm="api"`},
		{"another scheme", []string{"Authorization", "Basic " + good}, 401, `Bearer realm="api"`},
		{"no value", []string{"Authorization", "Bearer "}, 400, `Bearer realm="api", error="invalid_request"`},
		{"two values", []string{"Authorization", "Bearer " + good + " " + good}, 400, `Bearer realm="api", error="invalid_request"`},
		{"twice", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, 400, `Bearer realm="api", error="invalid_request"`},
		{"both", []string{"Authorization", "Bearer " + good, "X-API-Key", good}, 400, `Bearer realm="api", error="invalid_request"`},
		{"huge", []string{"Authorization", "Bearer " + strings.Repeat("a", 1<<20)}, 400, `Bearer realm="api", error="invalid_request"`},
		{"long", []string{"Authorization", "Bearer " + strings.Repeat("a", 5000)}, 401, invalid},
		{"unknown", []string{"Authorization", "Bearer nothing-of-the-kind-1"}, 401, invalid},
		{"revoked", []string{"Authorization", "Bearer " + revoked}, 401, invalid},
		{"elsewhere", []string{"Authorization", "Bearer " + elsewhere}, 401, invalid},
		{"narrow", []string{"Authorization", "Bearer " + narrow}, 403, `Bearer realm="api", error="insufficient_scope", scope="read:items"`},
	} {
		w := get(h, tc.headers...)
		if w.Code != tc.status || w.Header().Get("WWW-Authenticate") != tc.challenge {
			t.Errorf("%s: %d %s, want %d %s", tc.name, w.Code, w.Header().Get("WWW-Authenticate"), tc.status, tc.challenge)
		}
		body := w.Body.String()
		if tc.status == 200 && body != tok.ID || tc.status != 200 && strings.TrimSpace(body) != http.StatusText(tc.status) {
			t.Errorf("%s: body %q", tc.name, body)
		}
	}
	// A proxy of ours tells where the client is; anybody else does not.
	fwd := []string{"Authorization", "Bearer " + elsewhere, "X-Forwarded-For", "203.0.113.9"}
	if w := get(h, fwd...); w.Code != 401 {
		t.Errorf("a stranger's X-Forwarded-For is believed: %d", w.Code)
	}
	h = guarded(t, httpauth.Options{Verifier: r, Scope: "read:items", Client: httpauth.ClientOptions{Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}})
	if w := get(h, fwd...); w.Code != 200 || w.Body.String() != bound.ID {
		t.Errorf("a proxy's X-Forwarded-For is not believed: %d", w.Code)
	}
}

// The scope may depend on the request; a request that none is named for is refused.
func TestScopeOf(t *testing.T) {
	r := open(t)
	_, value := issue(t, r, registry.IssueRequest{Scopes: []string{"read:items"}})
	for scope, want := range map[string]int{"read:items": 200, "write:items": 403, "": 403, "read:*": 500} {
		h := guarded(t, httpauth.Options{Verifier: r, ScopeOf: func(*http.Request) string { return scope }})
		if w := get(h, "Authorization", "Bearer "+value); w.Code != want {
			t.Errorf("%q: %d, want %d", scope, w.Code, want)
		}
	}
	for _, bad := range []httpauth.Options{
		{}, {Verifier: r}, {Verifier: r, Scope: "read:*"}, {Verifier: r, Scope: "read:a", Realm: "a\"b"},
		{Verifier: r, Scope: "read:a", ScopeOf: func(*http.Request) string { return "" }},
		{Verifier: r, Scope: "read:a", Client: httpauth.ClientOptions{CountryHeader: "X-Country"}},
	} {
		if _, err := httpauth.New(bad); err == nil {
			t.Errorf("%+v is accepted", bad)
		}
	}
}

// broken is a registry that cannot be asked.
type broken struct{ err error }

func (b broken) Verify(context.Context, secret.Secret, registry.Use) (registry.Verdict, error) {
	return registry.Verdict{}, b.err
}

// Without an answer a request is refused, unless the operator wants it to pass.
func TestRegistryCannotBeAsked(t *testing.T) {
	const value = "some-token-of-somebody"
	for open, want := range map[bool]int{false: 503, true: 200} {
		var log bytes.Buffer
		h := guarded(t, httpauth.Options{Verifier: broken{errors.New("no route")}, Scope: "read:a", Open: open, Log: slog.New(slog.NewTextHandler(&log, nil))})
		w := get(h, "Authorization", "Bearer "+value)
		if w.Code != want || open && w.Body.String() != "nobody" || !open && w.Header().Get("Retry-After") == "" {
			t.Errorf("open %v: %d %q", open, w.Code, w.Body)
		}
		if !strings.Contains(log.String(), "no route") || strings.Contains(log.String(), value) {
			t.Errorf("log: %s", log.String())
		}
		// Who shows no token is refused in either case.
		if w := get(h); w.Code != 401 {
			t.Errorf("open %v, no token: %d", open, w.Code)
		}
	}
}

func TestFrom(t *testing.T) {
	o := httpauth.ClientOptions{CountryHeader: "X-Country", Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}}
	for _, tc := range []struct {
		peer    string
		forward []string
		country string // header
		want    string // "" is unknown
		iso     string
	}{
		{"192.0.2.1:5", nil, "DE", "192.0.2.1", ""},
		{"192.0.2.1:5", []string{"198.51.100.1"}, "DE", "192.0.2.1", ""},
		{"10.0.0.1:5", nil, "de", "10.0.0.1", "DE"},
		{"10.0.0.1:5", []string{"198.51.100.1"}, "XX", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{"6.6.6.6, 198.51.100.1"}, "", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{"6.6.6.6", "198.51.100.1,10.0.0.2"}, "", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{"198.51.100.1", "10.0.0.2 , 10.0.0.3"}, "", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{"10.0.0.9, 10.0.0.2"}, "", "10.0.0.9", ""},
		{"10.0.0.1:5", []string{"198.51.100.1, unknown"}, "", "", ""},
		{"10.0.0.1:5", []string{"198.51.100.1, "}, "", "", ""},
		{"10.0.0.1:5", []string{"198.51.100.1:443"}, "", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{"[2001:db9::1]:443"}, "", "2001:db9::1", ""},
		{"[2001:db8::1]:5", []string{"[2001:db9::1]"}, "", "2001:db9::1", ""},
		{"[::ffff:10.0.0.1]:5", []string{"::ffff:198.51.100.1"}, "", "198.51.100.1", ""},
		{"10.0.0.1:5", []string{strings.Repeat("10.0.0.1,", 1000) + "10.0.0.1"}, "", "", ""},
		{"@", []string{"198.51.100.1"}, "DE", "", ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.peer
		r.Header["X-Forwarded-For"] = tc.forward
		if tc.country != "" {
			r.Header.Set("X-Country", tc.country)
		}
		got, iso := o.From(r)
		if want, _ := netip.ParseAddr(tc.want); got != want || iso != tc.iso {
			t.Errorf("%s %v %s: %v %q, want %q %q", tc.peer, tc.forward, tc.country, got, iso, tc.want, tc.iso)
		}
	}
}

// Whatever X-Forwarded-For holds, a client behind a proxy cannot choose its address:
// what stands left of what the proxy appended changes nothing.
func FuzzFrom(f *testing.F) {
	for _, s := range []string{"", "198.51.100.1", "a,b", ",", "10.0.0.1, [::1]:8", strings.Repeat(",", 100)} {
		f.Add(s)
	}
	o := httpauth.ClientOptions{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, s string) {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:1"
		r.Header["X-Forwarded-For"] = []string{s, "198.51.100.1, 10.0.0.2"}
		if a, _ := o.From(r); a != netip.MustParseAddr("198.51.100.1") {
			t.Fatalf("%q makes it %v", s, a)
		}
		r.RemoteAddr = "192.0.2.1:1"
		if a, _ := o.From(r); a != netip.MustParseAddr("192.0.2.1") {
			t.Fatalf("%q of a stranger makes it %v", s, a)
		}
	})
}

// The use that a middleware tells is that of the request.
func TestUse(t *testing.T) {
	got := make(chan registry.Use, 1)
	v := verifier(func(use registry.Use) (registry.Verdict, error) {
		got <- use
		return registry.Verdict{Valid: true, Reason: registry.ReasonValid, Token: &registry.Token{}}, nil
	})
	mux := http.NewServeMux()
	mux.Handle("GET /v1/items/{id}", guarded(t, httpauth.Options{Verifier: v, Scope: "read:items"}))
	r := httptest.NewRequest("GET", "/v1/items/7?key=hidden", nil)
	r.Header.Set("Authorization", "Bearer abc")
	r.Header.Set("User-Agent", "curl/8")
	mux.ServeHTTP(httptest.NewRecorder(), r)
	want := registry.Use{Scope: "read:items", Method: "GET", Endpoint: "/v1/items/{id}", Agent: "curl/8", Address: netip.MustParseAddr("192.0.2.1")}
	if use := <-got; use != want {
		t.Errorf("%+v, want %+v", use, want)
	}
}

type verifier func(registry.Use) (registry.Verdict, error)

func (f verifier) Verify(_ context.Context, _ secret.Secret, use registry.Use) (registry.Verdict, error) {
	return f(use)
}

// A client fails closed on whatever is no answer, and sends tokens nowhere else.
func TestClient(t *testing.T) {
	ctx := context.Background()
	const value = "some-token-of-somebody"
	var elsewhere bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere = true }))
	defer other.Close()
	for _, tc := range []struct {
		name   string
		status int
		body   string
		want   error
		valid  bool
	}{
		{"valid", 200, `{"valid":true,"reason":"valid","token":{"id":"a"}}`, nil, true},
		{"refused", 200, `{"valid":false,"reason":"revoked","token":{"id":"a"}}`, nil, false},
		{"no scope", 422, `{}`, registry.ErrInvalid, false},
		{"not allowed", 403, `{"valid":true,"reason":"valid","token":{"id":"a"}}`, httpauth.ErrNoAnswer, false},
		{"down", 503, ``, httpauth.ErrNoAnswer, false},
		{"redirect", 307, ``, httpauth.ErrNoAnswer, false},
		{"nothing", 200, ``, httpauth.ErrNoAnswer, false},
		{"empty", 200, `{}`, httpauth.ErrNoAnswer, false},
		{"it contradicts itself", 200, `{"valid":true,"reason":"revoked","token":{"id":"a"}}`, httpauth.ErrNoAnswer, false},
		{"no token", 200, `{"valid":true,"reason":"valid"}`, httpauth.ErrNoAnswer, false},
		{"cut", 200, `{"valid":true,"reason":"valid","token":{"id":`, httpauth.ErrNoAnswer, false},
	} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			if r.Header.Get("Authorization") != "Bearer caller" || !strings.Contains(string(b), value) || !strings.Contains(string(b), `"address":"192.0.2.1"`) {
				w.WriteHeader(500)
				return
			}
			w.Header().Set("Location", other.URL)
			w.WriteHeader(tc.status)
			io.WriteString(w, tc.body)
		}))
		c, err := httpauth.NewClient(srv.URL, secret.NewString("caller"), 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Verify(ctx, secret.NewString(value), registry.Use{Address: netip.MustParseAddr("192.0.2.1")})
		if !errors.Is(err, tc.want) || v.Valid != tc.valid {
			t.Errorf("%s: %+v, %v", tc.name, v, err)
		}
		if err != nil && strings.Contains(err.Error(), value) {
			t.Errorf("%s: the error shows the token: %v", tc.name, err)
		}
		c.Close()
		srv.Close()
	}
	if elsewhere {
		t.Error("a redirect was followed")
	}
	for _, bad := range []string{"", "http://registry.example.com", "http://localhost:1", "ftp://a", "https://", "https://u:p@a", "https://a?b", "%"} {
		if _, err := httpauth.NewClient(bad, secret.Secret{}, 0, nil); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// A service that hangs is no answer, soon.
func TestClientTimeout(t *testing.T) {
	hang := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-hang
	}))
	defer srv.Close()
	defer close(hang)
	c, err := httpauth.NewClient(srv.URL, secret.Secret{}, time.Millisecond, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Verify(context.Background(), secret.NewString("x"), registry.Use{}); !errors.Is(err, httpauth.ErrNoAnswer) {
		t.Errorf("%v", err)
	}
}

func ExampleNew() {
	r, err := registry.Open(context.Background(), registry.Options{Path: registry.DefaultPath(func(string) string { return "" })})
	if err != nil {
		fmt.Println("there is no registry here")
		return
	}
	defer r.Close()
	guard, err := httpauth.New(httpauth.Options{Verifier: r, ScopeOf: func(r *http.Request) string {
		if r.Method == http.MethodGet {
			return "read:items"
		}
		return "write:items"
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	http.Handle("/v1/items", guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t, _ := httpauth.Token(r.Context())
		fmt.Fprintf(w, "hello %s\n", t.Owner)
	})))
}

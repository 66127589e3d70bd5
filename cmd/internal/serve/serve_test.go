package serve

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/httpauth"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

func service(t *testing.T) (*registry.Registry, *httptest.Server) {
	t.Helper()
	dir := t.TempDir()
	r, err := registry.Open(context.Background(), registry.Options{Path: storetest.Address(t, filepath.Join(dir, "db", "registry.db")), Create: true,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "pepper", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	h, err := (&options{listen: defaultListen}).handler(r, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(h)
	t.Cleanup(func() { srv.Close(); r.Close() })
	return r, srv
}

func issue(t *testing.T, r *registry.Registry, q registry.IssueRequest) secret.Secret {
	t.Helper()
	q.Owner, q.Purpose = "ann", "tests"
	_, value, err := r.Issue(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// What a remote client is told is what the registry says.
func TestClientAndServiceAgree(t *testing.T) {
	ctx := context.Background()
	r, srv := service(t)
	caller := issue(t, r, registry.IssueRequest{Scopes: []string{Scope}})
	value := issue(t, r, registry.IssueRequest{Scopes: []string{"read:a"}, Networks: []string{"192.0.2.0/24"}})
	c, err := httpauth.NewClient(srv.URL, caller, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, use := range []registry.Use{{}, {Scope: "read:a", Client: "web", Method: "GET", Endpoint: "/a", Agent: "x", Country: "DE"}, {Scope: "read:b"}} {
		got, err := c.Verify(ctx, value, use)
		if err != nil {
			t.Fatal(err)
		}
		want, err := r.Verify(ctx, value, use)
		if err != nil || got.Valid != want.Valid || got.Reason != want.Reason || got.Token.ID != want.Token.ID || !slices.Equal(got.Token.Networks, want.Token.Networks) {
			t.Errorf("%+v: the service says %+v, the registry %+v, %v", use, got, want, err)
		}
	}
	// A caller that may not ask gets no answer, which is not a refusal of the token.
	c, err = httpauth.NewClient(srv.URL, value, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Verify(ctx, value, registry.Use{}); err == nil {
		t.Error("a token without the scope may ask")
	}
}

// A body that never ends is not read to its end.
func TestBodyLimit(t *testing.T) {
	r, srv := service(t)
	caller := string(issue(t, r, registry.IssueRequest{Scopes: []string{Scope}}).Reveal())
	for _, body := range []string{`{"token":"` + strings.Repeat("a", 1<<20) + `"}`, strings.Repeat(" ", 1<<20), strings.Repeat("[", maxBody)} {
		req, _ := http.NewRequest("POST", srv.URL+"/v1/verify", strings.NewReader(body))
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Authorization", "Bearer "+caller)
		resp, err := srv.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != 413 && resp.StatusCode != 400 || len(text) > 500 {
			t.Errorf("%.20s: %d %.100s", body, resp.StatusCode, text)
		}
	}
}

// A registry that cannot be read is not ready, and gives no verdict.
func TestNotReady(t *testing.T) {
	r, srv := service(t)
	caller := issue(t, r, registry.IssueRequest{Scopes: []string{Scope}})
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/healthz": 200, "/readyz": 503} {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, resp.StatusCode, want)
		}
	}
	c, err := httpauth.NewClient(srv.URL, caller, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if v, err := c.Verify(context.Background(), caller, registry.Use{}); err == nil {
		t.Errorf("a closed registry answers %+v", v)
	}
}

// The description names the fields that are read and written, and every reason.
func TestOpenAPI(t *testing.T) {
	type schema struct {
		Properties map[string]struct{ Enum []string }
	}
	var doc struct {
		Paths      map[string]any
		Components struct{ Schemas map[string]schema }
	}
	if err := json.Unmarshal(openapi, &doc); err != nil {
		t.Fatal(err)
	}
	fields := func(v any) (names []string) {
		for f := range reflect.TypeOf(v).Fields() {
			name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	for name, v := range map[string]any{"Question": httpauth.Question{}, "Verdict": registry.Verdict{}} {
		if got := slices.Sorted(maps.Keys(doc.Components.Schemas[name].Properties)); !slices.Equal(got, fields(v)) {
			t.Errorf("%s is described with %v, and has %v", name, got, fields(v))
		}
	}
	reasons := []string{registry.ReasonValid, registry.ReasonUnknown, registry.ReasonMalformed, registry.ReasonExpired, registry.ReasonRevoked, registry.ReasonSuspended,
		registry.ReasonOutOfScope, registry.ReasonWrongNetwork, registry.ReasonWrongCountry, registry.ReasonUsedUp}
	if got := doc.Components.Schemas["Verdict"].Properties["reason"].Enum; !slices.Equal(got, reasons) {
		t.Errorf("reasons are described as %v, and are %v", got, reasons)
	}
	_, srv := service(t)
	for path := range doc.Paths {
		resp, err := srv.Client().Get(srv.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode == 404 {
			t.Errorf("%s is described and not there", path)
		}
	}
}

// certificate writes a certificate of 127.0.0.1 and its key, and returns a pool that
// trusts it.
func certificate(t *testing.T, o *options) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o.cert, o.key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{o.cert: {Type: "CERTIFICATE", Bytes: der}, o.key: {Type: "PRIVATE " + "KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

// With a certificate it speaks TLS, nothing older than 1.2, and no clear text.
func TestTLS(t *testing.T) {
	r, _ := service(t)
	o := &options{listen: "127.0.0.1:0"}
	pool := certificate(t, o)
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	l, err := o.open()
	if err != nil {
		t.Fatal(err)
	}
	h, err := o.handler(r, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: h, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	defer func() { srv.Close(); <-ended }()
	caller := issue(t, r, registry.IssueRequest{Scopes: []string{Scope}})
	for old, want := range map[bool]bool{false: true, true: false} {
		tr := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
		if old {
			tr.TLSClientConfig.MaxVersion = tls.VersionTLS11
		}
		c, err := httpauth.NewClient("https://"+l.Addr().String(), caller, time.Minute, tr)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := c.Verify(context.Background(), caller, registry.Use{}); (err == nil && v.Valid) != want {
			t.Errorf("TLS 1.1 at most: %v: %+v, %v", old, v, err)
		}
		c.Close()
	}
	if resp, err := http.Get("http://" + l.Addr().String() + "/healthz"); err == nil {
		resp.Body.Close()
		if resp.StatusCode == 200 {
			t.Error("it answers in clear text")
		}
	}
	o.key = o.cert
	if _, err := o.open(); err == nil {
		t.Error("a key that is none is accepted")
	}
}

// Where it may listen, and what it wants for that.
func TestListen(t *testing.T) {
	for _, tc := range []struct {
		o  options
		ok bool
	}{
		{options{listen: "127.0.0.1:0"}, true}, {options{listen: "[::1]:80"}, true}, {options{listen: "127.9.9.9:80"}, true},
		{options{listen: "0.0.0.0:80"}, false}, {options{listen: ":80"}, false}, {options{listen: "[::]:80"}, false}, {options{listen: "10.0.0.1:80"}, false},
		{options{listen: "localhost:80"}, false}, {options{listen: "127.0.0.1"}, false}, {options{listen: ""}, false},
		{options{listen: "0.0.0.0:80", plain: true}, true}, {options{listen: "0.0.0.0:80", cert: "c", key: "k"}, true},
		{options{socket: "s"}, true}, {options{socket: "s", cert: "c"}, false},
	} {
		if err := tc.o.check(); (err == nil) != tc.ok {
			t.Errorf("%+v: %v", tc.o, err)
		}
	}
}

// The socket is its owner's alone; one left behind by a killed process is replaced.
func TestSocket(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("permissions there are not those of the file")
	}
	path := filepath.Join(t.TempDir(), "s")
	l, err := openSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", fi.Mode(), err)
	}
	if _, err := openSocket(path); err == nil {
		t.Error("the socket of a service that runs was taken away")
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	if l, err = openSocket(path); err != nil {
		t.Fatalf("one left behind: %v", err)
	}
	l.Close()
}

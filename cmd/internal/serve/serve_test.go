package serve

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

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
	h, err := (&options{listen: defaultListen}).handler(r, slog.New(slog.DiscardHandler))
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

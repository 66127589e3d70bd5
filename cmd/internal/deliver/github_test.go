package deliver

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/nacl/box"
)

// fakeGitHub keeps secrets as GitHub's API does.
type fakeGitHub struct {
	*httptest.Server
	public, private *[32]byte

	mu      sync.Mutex
	values  map[string]string // by path
	updated map[string]time.Time
	repos   []int64 // that read the organisation's secret
	calls   []string
	put     func(w http.ResponseWriter, apply func()) // instead of the usual answer
	get     int                                       // status of gets after a put; 0 is the usual
}

func newFakeGitHub(t *testing.T) *fakeGitHub {
	t.Helper()
	f := &fakeGitHub{values: map[string]string{}, updated: map[string]time.Time{}}
	var err error
	if f.public, f.private, err = box.GenerateKey(rand.Reader); err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeGitHub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	path := r.URL.EscapedPath()
	f.calls = append(f.calls, r.Method+" "+path)
	send := func(v any) { json.NewEncoder(w).Encode(v) }
	switch {
	case r.Header.Get("Authorization") != "Bearer right":
		w.WriteHeader(http.StatusForbidden)
		send(map[string]string{"message": "no"})
	case path == "/repos/acme/shop":
		send(map[string]int{"id": 42})
	case strings.HasSuffix(path, "/public-key"):
		send(map[string]string{"key_id": "k1", "key": base64.StdEncoding.EncodeToString(f.public[:])})
	case strings.HasSuffix(path, "/repositories"):
		var all []map[string]int64
		for _, id := range f.repos {
			all = append(all, map[string]int64{"id": id})
		}
		send(map[string]any{"total_count": len(all), "repositories": all})
	case r.Method == http.MethodPut:
		var q struct {
			Key     string  `json:"key_id"`
			Value   string  `json:"encrypted_value"`
			Visible string  `json:"visibility"`
			Repos   []int64 `json:"selected_repository_ids"`
		}
		err := json.NewDecoder(r.Body).Decode(&q)
		b, _ := base64.StdEncoding.DecodeString(q.Value)
		plain, ok := box.OpenAnonymous(nil, b, f.public, f.private)
		if err != nil || q.Key != "k1" || !ok {
			w.WriteHeader(http.StatusUnprocessableEntity)
			return
		}
		apply := func() {
			f.values[path], f.updated[path] = string(plain), time.Now().Add(time.Hour)
			if q.Visible == "selected" {
				f.repos = q.Repos
			}
		}
		if f.put != nil {
			f.put(w, apply)
			return
		}
		apply()
		w.WriteHeader(http.StatusNoContent)
	case f.get != 0 && slices.ContainsFunc(f.calls, func(c string) bool { return strings.HasPrefix(c, "PUT") }):
		w.WriteHeader(f.get)
	default:
		at, ok := f.updated[path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		v := map[string]any{"name": "X", "updated_at": at}
		if strings.HasPrefix(path, "/orgs/") {
			v["visibility"] = "selected"
		}
		send(v)
	}
}

func line(w io.Writer) error { _, err := fmt.Fprintln(w, "the value"); return err }

func TestGitHub(t *testing.T) {
	for where, path := range map[string]string{
		"acme/shop":              "/repos/acme/shop/actions/secrets/DEPLOY",
		"acme/shop@prod/eu west": "/repositories/42/environments/prod%2Feu%20west/secrets/DEPLOY",
		"acme":                   "/orgs/acme/actions/secrets/DEPLOY",
	} {
		f := newFakeGitHub(t)
		f.repos = []int64{7, 9}
		if where == "acme" {
			f.updated[path] = time.Now()
		}
		to := To{GitHub: &GitHub{Where: where, Name: "DEPLOY", API: f.URL, Token: "right"}}
		if err := to.Deliver(t.Context(), line); err != nil || f.values[path] != "the value" {
			t.Errorf("%s: %v; values %q after %q", where, err, f.values, f.calls)
		}
		if !slices.Equal(f.repos, []int64{7, 9}) {
			t.Errorf("%s: the secret is now read by %v", where, f.repos)
		}
	}
}

// What went wrong is told, and whether it is known that the value did not arrive.
func TestGitHubFails(t *testing.T) {
	cut := func(w http.ResponseWriter) { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name    string
		g       GitHub
		prepare func(*fakeGitHub)
		want    string // in the error; empty is none
		unknown bool
	}{
		{"wrong token", GitHub{Token: "wrong"}, nil, "GitHub answered 403: the token may not do this", false},
		{"no such secret of the organisation", GitHub{Where: "acme"}, nil, "make it first", false},
		{"refused", GitHub{}, func(f *fakeGitHub) { f.put = func(w http.ResponseWriter, _ func()) { w.WriteHeader(422) } }, "422", false},
		{"failed", GitHub{}, func(f *fakeGitHub) { f.put = func(w http.ResponseWriter, _ func()) { w.WriteHeader(502) } }, "502", false},
		{"failed and done", GitHub{}, func(f *fakeGitHub) { f.put = func(w http.ResponseWriter, apply func()) { apply(); w.WriteHeader(502) } }, "", false},
		{"answer lost and done", GitHub{}, func(f *fakeGitHub) { f.put = func(w http.ResponseWriter, apply func()) { apply(); cut(w) } }, "", false},
		{"answer lost for good", GitHub{}, func(f *fakeGitHub) { f.put = func(w http.ResponseWriter, _ func()) { cut(w) }; f.get = 503 }, "503", true},
		{"redirected", GitHub{}, func(f *fakeGitHub) {
			f.put = func(w http.ResponseWriter, _ func()) {
				w.Header().Set("Location", f.URL+"/elsewhere")
				w.WriteHeader(307)
			}
		}, "307", false},
	} {
		f := newFakeGitHub(t)
		f.Config.ErrorLog = nil
		if c.prepare != nil {
			c.prepare(f)
		}
		c.g.Name, c.g.API = "DEPLOY", f.URL
		if c.g.Where == "" {
			c.g.Where = "acme/shop"
		}
		if c.g.Token == "" {
			c.g.Token = "right"
		}
		err := To{GitHub: &c.g}.Deliver(t.Context(), line)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) || errors.Is(err, ErrUnknown) != c.unknown {
			t.Errorf("%s: %v; want %q, unknown %v", c.name, err, c.want, c.unknown)
		}
		if err != nil && (strings.Contains(err.Error(), "the value") || strings.Contains(err.Error(), "right")) {
			t.Errorf("%s: a secret in %v", c.name, err)
		}
		if slices.ContainsFunc(f.calls, func(s string) bool { return strings.Contains(s, "elsewhere") }) {
			t.Errorf("%s: it followed", c.name)
		}
	}
}

func TestGitHubCheck(t *testing.T) {
	good := GitHub{Where: "acme/shop@prod", Name: "DEPLOY_2", API: "https://github.example.com/api/v3", Token: "x"}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	for _, f := range []func(*GitHub){
		func(g *GitHub) { g.API = "http://github.example.com" },
		func(g *GitHub) { g.API = "https://user:x@github.example.com" },
		func(g *GitHub) { g.API = "file:///etc/passwd" },
		func(g *GitHub) { g.Where = "" },
		func(g *GitHub) { g.Where = "acme/.." },
		func(g *GitHub) { g.Where = "acme/" },
		func(g *GitHub) { g.Where = "acme/shop/more" },
		func(g *GitHub) { g.Where = "acme/shop@" },
		func(g *GitHub) { g.Where = "acme@prod" },
		func(g *GitHub) { g.Name = "" },
		func(g *GitHub) { g.Name = "2X" },
		func(g *GitHub) { g.Name = "GITHUB_TOKEN" },
		func(g *GitHub) { g.Name = "A-B" },
		func(g *GitHub) { g.Token = "" },
	} {
		g := good
		f(&g)
		if err := g.Check(); err == nil {
			t.Errorf("%+v is taken", g)
		}
	}
}

package revoker_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// fixture is a registry with one token.
type fixture struct {
	dir   string
	db    string // path or address
	reg   *registry.Registry
	tok   registry.Token
	value secret.Secret
}

func newFixture(t *testing.T, provider string) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	f.db = storetest.Address(t, filepath.Join(f.dir, "db", "r.db"))
	f.reg = f.open(t)
	f.value = secret.NewString(expand(t, "Zq{30:alnum}"))
	tok, err := f.reg.Import(context.Background(), registry.ImportRequest{Owner: "ann", Purpose: "test", Provider: provider, Value: f.value})
	if err != nil {
		t.Fatal(err)
	}
	f.tok = tok
	return f
}

func (f *fixture) open(t *testing.T) *registry.Registry {
	t.Helper()
	reg, err := registry.Open(context.Background(), registry.Options{Path: f.db, Create: true, Actor: "test",
		Pepper: registry.PepperSource{File: filepath.Join(f.dir, "keys", "pepper"), Checkpoints: filepath.Join(f.dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	return reg
}

func expand(t *testing.T, template string) string {
	t.Helper()
	s, err := rules.Expand(template, 7)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (f *fixture) revoker(t *testing.T, mode revoker.Mode, p revoker.Policy) *revoker.Revoker {
	t.Helper()
	r, err := revoker.New(f.reg, p, revoker.Options{Mode: mode})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	return r
}

func (f *fixture) hit(path string) scanner.Hit {
	return scanner.Hit{
		Match:  scanner.Match{Rule: scanner.RegistryRule, Start: 10, End: 42, Line: 3, Secret: f.value, Confidence: rules.High, Context: "key=****", Token: &scanner.KnownToken{ID: f.tok.ID, State: "live"}},
		Origin: sources.Origin{Source: "git", Root: "repo", Path: path, Blob: "b" + path, Commit: "c1", Date: time.Now().Add(-time.Hour)}, FoundAt: time.Now(),
	}
}

func (f *fixture) valid(t *testing.T) bool {
	t.Helper()
	v, err := f.reg.Verify(context.Background(), f.value, registry.Use{})
	if err != nil {
		t.Fatal(err)
	}
	return v.Reason != "revoked"
}

// count counts the rows of a table.
func (f *fixture) count(t *testing.T, table string) (n int) {
	t.Helper()
	if err := f.reg.Store().Reader().QueryRow("SELECT count(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// receiver is a provider on loopback that answers as told.
type receiver struct {
	*httptest.Server
	calls  atomic.Int64
	mu     sync.Mutex
	ids    []string
	bodies [][]byte
	bad    []string
}

var signingKey = []byte("0123456789abcdef0123456789abcdef")

func newReceiver(t *testing.T, answer func(call int64, w http.ResponseWriter)) *receiver {
	r := &receiver{}
	verify, err := standardwebhooks.NewWebhookRaw(signingKey)
	if err != nil {
		t.Fatal(err)
	}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		n := r.calls.Add(1)
		body, _ := io.ReadAll(req.Body)
		r.mu.Lock()
		r.ids, r.bodies = append(r.ids, req.Header.Get("webhook-id")), append(r.bodies, body)
		if err := verify.Verify(body, req.Header); err != nil {
			r.bad = append(r.bad, err.Error())
		}
		r.mu.Unlock()
		answer(n, w)
	}))
	t.Cleanup(r.Close)
	return r
}

func policy(t *testing.T, dir, url string) revoker.Policy {
	t.Helper()
	file := filepath.Join(dir, "whsec")
	if err := os.WriteFile(file, []byte("whsec_"+base64.StdEncoding.EncodeToString(signingKey)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policies.Parse(fmt.Appendf(nil, "[[provider]]\nname = \"vendor\"\nkind = \"webhook\"\nurl = %q\nsecret_file = %q\n", url, file))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The modes: nothing, nothing at all, and death.
func TestModes(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		mode                revoker.Mode
		want                revoker.Action
		incidents, findings int
		valid               bool
		textHas             string
	}{
		{"", revoker.Reported, 1, 1, true, "--revoke=auto would revoke"},
		{revoker.Off, revoker.Reported, 1, 1, true, "--revoke=auto would revoke"},
		{revoker.DryRun, revoker.WouldRevoke, 0, 0, true, "would revoke token"},
		{revoker.Auto, revoker.Revoked, 1, 1, false, "after it was found"},
	} {
		f := newFixture(t, "")
		r := f.revoker(t, c.mode, revoker.Policy{})
		audit := f.count(t, "audit_leaves")
		got, err := r.Contain(ctx, f.hit("a"))
		if err != nil || got.Action != c.want || !strings.Contains(got.Text, c.textHas) {
			t.Errorf("mode %q: %+v, %v", c.mode, got, err)
		}
		if f.count(t, "incidents") != c.incidents || f.count(t, "findings") != c.findings || f.valid(t) != c.valid {
			t.Errorf("mode %q: %d incidents, %d findings, valid %v", c.mode, f.count(t, "incidents"), f.count(t, "findings"), f.valid(t))
		}
		if c.mode == revoker.DryRun && f.count(t, "audit_leaves") > audit+1 { // the Verify above
			t.Error("a dry run wrote to the audit log")
		}
		if other, err := r.Contain(ctx, scanner.Hit{}); err != nil || other.Action != revoker.Reported {
			t.Errorf("a hit on no token: %+v, %v", other, err)
		}
	}
}

// The same token leaked in several places, at the same time and again, is one
// incident and one revocation.
func TestOneIncident(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "")
	f.revoker(t, revoker.Off, revoker.Policy{}).Contain(ctx, f.hit("early"))
	r, r2 := f.revoker(t, revoker.Auto, revoker.Policy{}), f.revoker(t, revoker.Auto, revoker.Policy{})
	var revoked atomic.Int64
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			c, err := []*revoker.Revoker{r, r2}[i%2].Contain(ctx, f.hit(fmt.Sprint("file", i%7)))
			if err != nil {
				t.Error(err)
			}
			if c.Action == revoker.Revoked {
				revoked.Add(1)
			}
		})
	}
	wg.Wait()
	list, err := r.Incidents(ctx)
	if err != nil || len(list) != 1 || revoked.Load() != 1 {
		t.Fatalf("%d incidents, %d revocations, %v", len(list), revoked.Load(), err)
	}
	i, err := r.Incident(ctx, list[0].ID[:13])
	if err != nil || i.State != revoker.StateDead || len(i.Places) != 8 || i.DeadAt.Before(i.FoundAt) || i.LeakedAt.IsZero() {
		t.Errorf("%+v, %v", i, err)
	}
}

func TestProtected(t *testing.T) {
	f := newFixture(t, "")
	p, err := policies.Parse([]byte("[protect]\nowners = [\"ann\"]\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []revoker.Mode{revoker.DryRun, revoker.Auto} {
		if c, err := f.revoker(t, m, p).Contain(context.Background(), f.hit("a")); err != nil || c.Action != revoker.Protected || !f.valid(t) {
			t.Errorf("%s: %+v, %v", m, c, err)
		}
	}
}

// What each answer of a provider means.
func TestAnswers(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name    string
		answer  func(int64, http.ResponseWriter)
		action  revoker.Action
		state   string
		outcome revoker.Outcome
	}{
		{"accepted", func(_ int64, w http.ResponseWriter) { w.WriteHeader(202) }, revoker.Revoked, revoker.StateDead, revoker.Accepted},
		{"gone", func(_ int64, w http.ResponseWriter) { w.WriteHeader(410) }, revoker.Revoked, revoker.StateDead, revoker.Gone},
		{"denied", func(_ int64, w http.ResponseWriter) { w.WriteHeader(401) }, revoker.Revoked, revoker.StateFailed, revoker.Denied},
		{"redirect", func(_ int64, w http.ResponseWriter) { w.Header().Set("Location", "/x"); w.WriteHeader(302) }, revoker.Revoked, revoker.StateFailed, revoker.Denied},
		{"bad request", func(_ int64, w http.ResponseWriter) { w.WriteHeader(400) }, revoker.Revoked, revoker.StateFailed, revoker.Denied},
		{"error", func(_ int64, w http.ResponseWriter) { w.WriteHeader(500) }, revoker.Queued, revoker.StateRevoking, revoker.Failed},
		{"too many", func(_ int64, w http.ResponseWriter) { w.Header().Set("Retry-After", "3600"); w.WriteHeader(429) }, revoker.Queued, revoker.StateRevoking, revoker.Failed},
		{"huge answer", func(_ int64, w http.ResponseWriter) { w.Write(bytes.Repeat([]byte("x"), 1<<20)) }, revoker.Revoked, revoker.StateDead, revoker.Accepted},
		{"cut off", func(_ int64, w http.ResponseWriter) {
			c, _, _ := w.(http.Hijacker).Hijack()
			c.Close()
		}, revoker.Queued, revoker.StateRevoking, revoker.Failed},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "vendor")
			srv := newReceiver(t, c.answer)
			r := f.revoker(t, revoker.Auto, policy(t, f.dir, srv.URL+"/hook"))
			got, err := r.Contain(ctx, f.hit("a"))
			if err != nil || got.Action != c.action || f.valid(t) {
				t.Fatalf("%+v, %v, valid %v", got, err, f.valid(t))
			}
			i, err := r.Incident(ctx, got.IncidentID)
			if err != nil || i.State != c.state || len(i.Receipts) != 1 || i.Receipts[0].Outcome != c.outcome {
				t.Fatalf("%+v, %v", i, err)
			}
			if n := srv.calls.Load(); n != 1 {
				t.Errorf("%d calls", n)
			}
			srv.mu.Lock()
			if len(srv.bad) > 0 || srv.ids[0] != got.IncidentID {
				t.Errorf("signature %v, id %q", srv.bad, srv.ids[0])
			}
			srv.mu.Unlock()
			var jobs int
			f.reg.Store().Reader().QueryRow("SELECT count(*) FROM river_job").Scan(&jobs)
			if (jobs == 1) != (c.outcome == revoker.Failed) {
				t.Errorf("%d jobs in the queue", jobs)
			}
			f.noPlaintext(t, srv)
		})
	}
}

// noPlaintext fails if the value is in the database, its log, or a call.
func (f *fixture) noPlaintext(t *testing.T, srv *receiver) {
	t.Helper()
	plain := []byte(expand(t, "Zq{30:alnum}"))
	filepath.WalkDir(f.dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			if b, err := os.ReadFile(p); err != nil || bytes.Contains(b, plain) {
				t.Errorf("%s holds the value, or cannot be read: %v", p, err)
			}
		}
		return nil
	})
	srv.mu.Lock()
	defer srv.mu.Unlock()
	for _, b := range srv.bodies {
		if bytes.Contains(b, plain) || !json.Valid(b) {
			t.Errorf("call: %s", b)
		}
	}
}

// noHeadStart ends at once the head start of the first attempt, which a worker leaves to
// the process that found the leak.
func (f *fixture) noHeadStart(t *testing.T) {
	t.Helper()
	if err := f.reg.Store().InTx(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE river_job SET scheduled_at = ?", time.Now().Add(-time.Second).UTC().Format("2006-01-02 15:04:05.000"))
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// The queue goes on where the first attempt failed, under the same id.
func TestQueueRetries(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "vendor")
	srv := newReceiver(t, func(call int64, w http.ResponseWriter) {
		if call < 3 {
			w.WriteHeader(503)
		}
	})
	r := f.revoker(t, revoker.Auto, policy(t, f.dir, srv.URL))
	c, err := r.Contain(ctx, f.hit("a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	f.noHeadStart(t)
	if err := r.Work(ctx, revoker.WorkOptions{Drain: true}); err != nil {
		t.Fatal(err)
	}
	i, err := r.Incident(ctx, c.IncidentID)
	if err != nil || i.State != revoker.StateDead || len(i.Receipts) != 3 || i.ConfirmedAt.IsZero() {
		t.Fatalf("%+v, %v", i, err)
	}
	for _, id := range srv.ids {
		if id != c.IncidentID {
			t.Errorf("a call has id %q", id)
		}
	}
}

// Retry asks again after a refusal that a person has mended.
func TestRetry(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "vendor")
	srv := newReceiver(t, func(call int64, w http.ResponseWriter) {
		if call <= 2 {
			w.WriteHeader(403)
		}
	})
	r := f.revoker(t, revoker.Auto, policy(t, f.dir, srv.URL))
	c, err := r.Contain(ctx, f.hit("a"))
	if err != nil || !strings.Contains(c.Text, "its provider refused the report") {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := r.Retry(ctx, c.IncidentID); !errors.Is(err, revoker.ErrRefused) {
		t.Fatalf("refused again: %v", err)
	}
	if err := r.Retry(ctx, c.IncidentID); err != nil {
		t.Fatal(err)
	}
	if i, err := r.Incident(ctx, c.IncidentID); err != nil || i.State != revoker.StateDead {
		t.Fatalf("%+v, %v", i, err)
	}
	if err := r.Retry(ctx, "nonesuch"); err == nil {
		t.Error("an unknown incident was retried")
	}
}

// A provider that the policy did not have is told once it does.
func TestRetryNewProvider(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "vendor")
	none := f.revoker(t, revoker.Auto, revoker.Policy{})
	c, err := none.Contain(ctx, f.hit("a"))
	if err != nil || c.Action != revoker.Revoked || !strings.Contains(c.Text, "not in the policy") {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := none.Retry(ctx, c.IncidentID); err == nil || !strings.Contains(err.Error(), "not in the policy") {
		t.Errorf("retry without it: %v", err)
	}
	srv := newReceiver(t, func(_ int64, w http.ResponseWriter) { w.Header().Set("X-Request-Id", "req-1") })
	if err := f.revoker(t, revoker.Off, policy(t, f.dir, srv.URL)).Retry(ctx, c.IncidentID); err != nil {
		t.Fatal(err)
	}
	i, err := none.Incident(ctx, c.IncidentID)
	if err != nil || i.State != revoker.StateDead || i.ConfirmedAt.IsZero() || i.Note != "" || len(i.Receipts) != 1 || i.Receipts[0].Detail != "request req-1" || !i.DeadAt.Equal(c.DeadAt.Truncate(time.Microsecond)) {
		t.Errorf("%+v, %v", i, err)
	}
}

// A call that cannot be made as the policy says is not made, and says why.
func TestNoCall(t *testing.T) {
	ctx := context.Background()
	for _, c := range []struct {
		name, want string
		spoil      func(dir, url string) string
	}{
		{"secret read by others", "chmod 600", func(dir, url string) string { os.Chmod(filepath.Join(dir, "whsec"), 0o644); return url }},
		{"secret too short", "at least 24 bytes", func(dir, url string) string {
			os.WriteFile(filepath.Join(dir, "whsec"), []byte("whsec_AAAA"), 0o600)
			return url
		}},
		{"no secret", "reading the signing secret", func(dir, url string) string { os.Remove(filepath.Join(dir, "whsec")); return url }},
		{"a name that is loopback", "the address is private", func(_, url string) string { return strings.Replace(url, "http://127.0.0.1", "https://localhost", 1) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t, "vendor")
			srv := newReceiver(t, func(int64, http.ResponseWriter) {})
			p := policy(t, f.dir, srv.URL)
			if url := c.spoil(f.dir, srv.URL); url != srv.URL {
				p = policy(t, f.dir, url)
			}
			r := f.revoker(t, revoker.Auto, p)
			got, err := r.Contain(ctx, f.hit("a"))
			if err != nil || got.Action != revoker.Queued || f.valid(t) {
				t.Fatalf("%+v, %v", got, err)
			}
			i, err := r.Incident(ctx, got.IncidentID)
			if err != nil || len(i.Receipts) != 1 || !strings.Contains(i.Receipts[0].Detail, c.want) || srv.calls.Load() != 0 {
				t.Errorf("%+v, %d calls, %v", i, srv.calls.Load(), err)
			}
		})
	}
}

// A provider that never answers costs the time of one call and no more.
func TestNoAnswer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for a call to time out")
	}
	f := newFixture(t, "vendor")
	done := make(chan struct{})
	srv := newReceiver(t, func(int64, http.ResponseWriter) { <-done })
	t.Cleanup(func() { close(done) })
	r := f.revoker(t, revoker.Auto, policy(t, f.dir, srv.URL))
	c, err := r.Contain(context.Background(), f.hit("a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	i, err := r.Incident(context.Background(), c.IncidentID)
	if err != nil || len(i.Receipts) != 1 || !strings.Contains(i.Receipts[0].Detail, "no answer within") || srv.calls.Load() != 1 {
		t.Errorf("%+v, %d calls, %v", i, srv.calls.Load(), err)
	}
}

// A relative secret_file is one beside the policy, not in the working folder,
// which may be a scanned tree.
func TestPolicyFile(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(t.TempDir())
	text := "[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'https://x.example'\nsecret_file = 's'\n"
	if err := os.WriteFile(filepath.Join(dir, "policy.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policies.Load(filepath.Join(dir, "policy.toml"))
	if err != nil || p.Providers[0].SecretFile != filepath.Join(dir, "s") {
		t.Fatalf("%+v, %v", p, err)
	}
	if err := p.CheckSecrets(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing secret: %v", err)
	}
	if _, err := policies.Load(filepath.Join(dir, "none.toml")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing policy: %v", err)
	}
}

// One process has an incident at a time.
func TestLease(t *testing.T) {
	ctx := context.Background()
	f := newFixture(t, "vendor")
	busy, release := make(chan struct{}), make(chan struct{})
	srv := newReceiver(t, func(int64, http.ResponseWriter) { close(busy); <-release })
	p := policy(t, f.dir, srv.URL)
	r, other := f.revoker(t, revoker.Auto, p), f.revoker(t, revoker.Auto, p)
	done := make(chan revoker.Containment)
	go func() {
		c, err := r.Contain(ctx, f.hit("a"))
		if err != nil {
			t.Error(err)
		}
		done <- c
	}()
	<-busy
	list, err := other.Incidents(ctx)
	if err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", list, err)
	}
	if err := other.Retry(ctx, list[0].ID); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second call at the same time: %v", err)
	}
	close(release)
	if c := <-done; c.Action != revoker.Revoked || srv.calls.Load() != 1 {
		t.Errorf("%+v after %d calls", c, srv.calls.Load())
	}
}

// A transaction that fails at its last statement leaves nothing behind.
func TestAtomic(t *testing.T) {
	ctx := context.Background()
	for _, table := range []string{"findings", "incidents", "incident_places", "audit_leaves", "river_job", "leases"} {
		f := newFixture(t, "vendor")
		srv := newReceiver(t, func(int64, http.ResponseWriter) {})
		r := f.revoker(t, revoker.Auto, policy(t, f.dir, srv.URL))
		storetest.FailInserts(t, f.reg.Store().Writer(), table)
		leaves := f.count(t, "audit_leaves")
		if c, err := r.Contain(ctx, f.hit("a")); err == nil || c.Action == revoker.Revoked {
			t.Errorf("%s: %+v, %v", table, c, err)
		}
		tok, err := f.reg.Token(ctx, f.tok.ID)
		if err != nil || tok.State != registry.Live || f.count(t, "incidents")+f.count(t, "findings")+f.count(t, "leases")+f.count(t, "river_job") != 0 || f.count(t, "audit_leaves") != leaves || srv.calls.Load() != 0 {
			t.Errorf("%s: half done: token %s, %v", table, tok.State, err)
		}
	}
}

func TestPolicyErrors(t *testing.T) {
	for in, want := range map[string]string{
		"[[provider]]\nnam = 'x'\n":                                               `line 2: unknown key "provider.nam"`,
		"[protect]\ntoken = []\n":                                                 `line 2: unknown key "protect.token"`,
		"[[provider]]\nname = 1\n":                                                "line 2",
		"[[provider]]\nname = 'a'\nkind = 'email'\n":                              `kind "email" is not known`,
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'https://x.example'\n": "secret_file is missing",
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'http://x.example'\nsecret_file = 'f'\n":             "want https",
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'http://127.0.0.1.example.com'\nsecret_file = 'f'\n": "want https",
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'ftp://x.example'\nsecret_file = 'f'\n":              "want https",
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'https://u:p@x.example'\nsecret_file = 'f'\n":        "holds credentials",
		"[[provider]]\nkind = 'webhook'\n":                                                                              "it has no name",
		"[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'x'\nsecret_file = 'f'\n":                                    "not an absolute URL",
		strings.Repeat("[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'https://x.example'\nsecret_file = 'f'\n", 2): "there twice",
	} {
		if _, err := policies.Parse([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", in, err, want)
		}
	}
	if _, err := policies.ParseMode("yes"); err == nil {
		t.Error("mode yes was read")
	}
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte("[[provider]]\nname = 'a'\nkind = 'webhook'\nurl = 'https://x.example'\nsecret_file = 'f'\n[protect]\ntokens = ['x']\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := policies.Parse(b)
		if err != nil {
			return
		}
		for _, v := range p.Providers {
			if v.Kind != "webhook" || !strings.HasPrefix(strings.ToLower(v.URL), "http") || v.SecretFile == "" {
				t.Errorf("read %+v", v)
			}
		}
	})
}

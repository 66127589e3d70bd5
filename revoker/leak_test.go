package revoker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// fake is a fake of a provider, and a policy that names it.
type fake struct {
	*revokertest.Vendor
	net *revokertest.Network
}

func fakeVendor(t *testing.T, name string) *fake {
	t.Helper()
	all := revokertest.Vendors()
	i := slices.IndexFunc(all, func(v *revokertest.Vendor) bool { return v.Provider == name })
	if i < 0 {
		t.Fatal("no vendor", name)
	}
	return &fake{all[i], revokertest.Serve(t, all[i])}
}

// policy is one with an [[provider]] for the vendor, and more text.
func (v *fake) policy(t *testing.T, more string) revoker.Policy { return v.policyWith(t, more, "") }

// policyWith has more keys of the provider, too.
func (v *fake) policyWith(t *testing.T, more, keys string) revoker.Policy {
	t.Helper()
	if !strings.Contains(keys, "host") {
		keys = fmt.Sprintf("host = %q\n", v.net.Addr()) + keys
	}
	dir := t.TempDir()
	ca := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(ca, v.net.CA, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "policy.toml")
	text := fmt.Sprintf("%s\n[[provider]]\nname = %q\nkind = 'api'\nca_file = 'ca.pem'\n%s", more, v.Provider, keys)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := policies.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// leak is the finding of a secret by a rule.
func leak(t *testing.T, rule, value, path string) scanner.Finding {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	r, ok := set.Rule(rule)
	if !ok {
		t.Fatal("no rule", rule)
	}
	return scanner.Finding{Hit: scanner.Hit{
		Match:  scanner.Match{Rule: r, Start: 10, End: 10 + int64(len(value)), Line: 3, Secret: secret.NewString(value), Confidence: rules.High, Context: "key=****"},
		Origin: sources.Origin{Source: "git", Root: "repo", Path: path, Blob: "b" + path, Commit: "c1", Refs: []string{"refs/heads/main"}, Date: time.Now().Add(-time.Hour)}, FoundAt: time.Now()}}
}

const revokeGitLab = "[[leak]]\nprovider = ['gitlab']\ndo = 'revoke'\n"

// dump is all that the database holds, as bytes: its files on disk with the WAL.
func (f *fixture) dump(t *testing.T) []byte {
	t.Helper()
	var all []byte
	list, err := filepath.Glob(filepath.Join(filepath.Dir(f.db), "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range list {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b...)
	}
	return all
}

// unsealed fails when the database holds the secret, or a sealed one.
func (f *fixture) unsealed(t *testing.T, value string) {
	t.Helper()
	if bytes.Contains(f.dump(t), []byte(value)) {
		t.Error("the database holds the secret")
	}
	if n := f.count(t, "sealed_secrets"); n != 0 {
		t.Errorf("%d sealed secrets are kept", n)
	}
}

func (f *fixture) incident(t *testing.T, r *revoker.Revoker, id string) revoker.Incident {
	t.Helper()
	i, err := r.Incident(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// A secret that the policy names is dead at its provider when Leak returns, once, with
// proof; others of the provider are not touched.
func TestLeakIsRevoked(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Revoked || c.IncidentID == "" || c.DeadAt.IsZero() {
		t.Fatalf("%+v, %v", c, err)
	}
	if v.Alive() || !v.DecoysAlive() {
		t.Errorf("alive %v, others alive %v", v.Alive(), v.DecoysAlive())
	}
	i := f.incident(t, r, c.IncidentID)
	if i.State != revoker.StateDead || i.Outcome != "revoked" || i.DeadAt.IsZero() || i.ConfirmedAt.IsZero() || i.RevokingAt.IsZero() || i.Rule != "gitlab-pat" || i.TokenID != "" ||
		strings.Contains(i.Hint, v.Secret) || len(i.Receipts) != 3 || i.Receipts[0].Call != "revoke" || i.Receipts[1].Call != "check" || len(i.Places) != 1 {
		t.Errorf("%+v", i)
	}
	calls := len(v.net.Seen())
	again, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "b"))
	if err != nil || again.Action != revoker.AlreadyDead || again.IncidentID != c.IncidentID || len(v.net.Seen()) != calls {
		t.Errorf("%+v, %v, %d calls", again, err, len(v.net.Seen())-calls)
	}
	if i := f.incident(t, r, c.IncidentID); len(i.Places) != 2 {
		t.Errorf("%d places", len(i.Places))
	}
	f.unsealed(t, v.Secret)
	if n := f.count(t, "river_job"); n != 0 {
		t.Errorf("%d jobs are left", n)
	}
}

// Whom no entry names is not called: no packet, no incident, nothing stored.
func TestNobodyIsCalled(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	t.Setenv("QUENCH_REVOKE", "")
	for name, c := range map[string]struct {
		mode   revoker.Mode
		policy revoker.Policy
		rule   string
		action revoker.Action
		stored bool
	}{
		"zero policy":         {revoker.Auto, revoker.Policy{}, "gitlab-pat", revoker.Reported, false},
		"provider alone":      {revoker.Auto, v.policy(t, ""), "gitlab-pat", revoker.Reported, false},
		"report":              {revoker.Auto, v.policy(t, "[[leak]]\ndo = 'report'\n"+revokeGitLab), "gitlab-pat", revoker.Reported, false},
		"other rule":          {revoker.Auto, v.policy(t, revokeGitLab), "slack-bot-token", revoker.Reported, false},
		"other path":          {revoker.Auto, v.policy(t, revokeGitLab+"path = ['src/**']\n"), "gitlab-pat", revoker.Reported, false},
		"other branch":        {revoker.Auto, v.policy(t, revokeGitLab+"branch = ['release/*']\n"), "gitlab-pat", revoker.Reported, false},
		"other source":        {revoker.Auto, v.policy(t, revokeGitLab+"source = ['tail']\n"), "gitlab-pat", revoker.Reported, false},
		"somebody's":          {revoker.Auto, v.policy(t, revokeGitLab+"owner = ['ann']\n"), "gitlab-pat", revoker.Reported, false},
		"dry run":             {revoker.DryRun, v.policy(t, revokeGitLab), "gitlab-pat", revoker.WouldRevoke, false},
		"off":                 {revoker.Off, v.policy(t, revokeGitLab), "gitlab-pat", revoker.Reported, true},
		"kill switch":         {revoker.Auto, v.policy(t, "revoke = 'off'\n"+revokeGitLab), "gitlab-pat", revoker.Asking, true},
		"ask":                 {revoker.Auto, v.policy(t, "[[leak]]\nprovider = ['gitlab']\ndo = 'ask'\n"), "gitlab-pat", revoker.Asking, true},
		"protected provider":  {revoker.Auto, v.policy(t, "[protect]\nproviders = ['gitlab']\n"+revokeGitLab), "gitlab-pat", revoker.Protected, true},
		"protected path":      {revoker.Auto, v.policy(t, "[protect]\npaths = ['**']\n"+revokeGitLab), "gitlab-pat", revoker.Protected, true},
		"protected by a rule": {revoker.Auto, v.policy(t, "[protect]\nrules = ['gitlab-*']\n"+revokeGitLab), "gitlab-pat", revoker.Protected, true},
	} {
		t.Run(name, func(t *testing.T) {
			before := f.count(t, "incidents")
			value := v.Secret + fmt.Sprint(before) + strings.ReplaceAll(name, " ", "")
			got, err := f.revoker(t, c.mode, c.policy).Leak(t.Context(), leak(t, c.rule, value, "a"))
			if err != nil || got.Action != c.action || (f.count(t, "incidents") > before) != c.stored {
				t.Errorf("%+v, %v; %d incidents more", got, err, f.count(t, "incidents")-before)
			}
		})
	}
	if seen := v.net.Seen(); len(seen) > 0 {
		t.Errorf("called: %v", seen)
	}
}

// QUENCH_REVOKE=off stops all: also what is queued, and a person.
func TestKillSwitch(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	p := v.policy(t, revokeGitLab)
	r := f.revoker(t, revoker.Auto, p)
	t.Setenv("QUENCH_REVOKE", "off")
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Asking {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := r.Confirm(t.Context(), c.IncidentID); err == nil || !strings.Contains(err.Error(), "kill switch") {
		t.Errorf("confirm: %v", err)
	}
	if own, err := f.revoker(t, revoker.Auto, p).Contain(t.Context(), f.hit("a")); err != nil || own.Action != revoker.Reported || !f.valid(t) {
		t.Errorf("a token of the registry: %+v, %v", own, err)
	}
	if len(v.net.Seen()) > 0 {
		t.Error("somebody was called")
	}
	t.Setenv("QUENCH_REVOKE", "")
	if err := r.Confirm(t.Context(), c.IncidentID); err != nil || v.Alive() {
		t.Errorf("confirm: %v, alive %v", err, v.Alive())
	}
	f.unsealed(t, v.Secret)
}

// Each answer of a provider leaves a true state behind.
func TestOutcomes(t *testing.T) {
	status := func(code int, head ...string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			for i := 0; i < len(head); i += 2 {
				w.Header().Set(head[i], head[i+1])
			}
			w.WriteHeader(code)
		})
	}
	for name, c := range map[string]struct {
		prepare func(*fake)
		action  revoker.Action
		state   string
		outcome revoker.Outcome
		sealed  int
		alerts  int // besides that of the leak
	}{
		"already dead": {func(v *fake) { v.Kill() }, revoker.AlreadyDead, revoker.StateDead, revoker.Gone, 0, 0},
		"down":         {func(v *fake) { v.net.Answer(status(503)) }, revoker.Queued, revoker.StateRevoking, "", 1, 0},
		"too many":     {func(v *fake) { v.net.Answer(status(429, "Retry-After", "120")) }, revoker.Queued, revoker.StateRevoking, revoker.Failed, 1, 0},
		"forbidden":    {func(v *fake) { v.net.Answer(status(403)) }, revoker.Refused, revoker.StateFailed, "", 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
			c.prepare(v)
			r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
			got, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
			if err != nil {
				t.Fatal(err)
			}
			i := f.incident(t, r, got.IncidentID)
			if got.Action != c.action || i.State != c.state || c.outcome != "" && i.Outcome != c.outcome || f.count(t, "sealed_secrets") != c.sealed || f.count(t, "alerts") != 1+c.alerts || len(i.Receipts) == 0 {
				t.Errorf("%+v\n%+v\n%d sealed, %d alerts", got, i, f.count(t, "sealed_secrets"), f.count(t, "alerts"))
			}
			if bytes.Contains(f.dump(t), []byte(v.Secret)) {
				t.Error("the database holds the secret")
			}
			if name == "too many" {
				v.net.Answer(v.Vendor)
				n := len(v.net.Seen())
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				r.Work(ctx, revoker.WorkOptions{})
				if len(v.net.Seen()) != n {
					t.Error("called before the time that the provider asked for")
				}
			}
			if i.State == revoker.StateDead {
				return
			}
			v.net.Answer(v.Vendor) // it is back, and a person does not wait
			if err := r.Retry(t.Context(), got.IncidentID); err != nil || v.Alive() || !v.DecoysAlive() {
				t.Errorf("retry: %v, alive %v", err, v.Alive())
			}
			if i := f.incident(t, r, got.IncidentID); i.State != revoker.StateDead || i.ConfirmedAt.IsZero() {
				t.Errorf("after the retry: %+v", i)
			}
			f.unsealed(t, v.Secret)
		})
	}
}

// An answer that is lost after the act is not acted on twice: the provider is asked.
func TestLostAnswer(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	var mu sync.Mutex
	deletes, cut := 0, true
	v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		gone := cut
		if r.Method == http.MethodDelete {
			deletes++
		}
		mu.Unlock()
		if !gone {
			v.Vendor.ServeHTTP(w, r)
			return
		}
		if r.Method == http.MethodDelete { // done, and the answer is lost
			v.Vendor.ServeHTTP(&nowhere{}, r)
		}
		c, _, err := http.NewResponseController(w).Hijack()
		if err == nil {
			c.Close()
		}
	}))
	r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	if i := f.incident(t, r, c.IncidentID); i.Outcome != "unknown" || i.State != revoker.StateRevoking || v.Alive() {
		t.Fatalf("%+v", i)
	}
	mu.Lock()
	cut = false
	mu.Unlock()
	if err := r.Retry(t.Context(), c.IncidentID); err != nil {
		t.Fatal(err)
	}
	i := f.incident(t, r, c.IncidentID)
	if i.State != revoker.StateDead || deletes != 1 {
		t.Errorf("%d revocations, %+v", deletes, i)
	}
	f.unsealed(t, v.Secret)
}

// nowhere is where lost answers go.
type nowhere struct{ h http.Header }

func (n *nowhere) Header() http.Header {
	if n.h == nil {
		n.h = http.Header{}
	}
	return n.h
}
func (n *nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (n *nowhere) WriteHeader(int)             {}

// What takes a credential of the operator's fails with words, and a retry does it once
// they gave it.
func TestNeedsAdmin(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "stripe")
	text := "[[leak]]\nprovider = ['stripe']\ndo = 'revoke'\n"
	r := f.revoker(t, revoker.Auto, v.policy(t, text))
	finding := leak(t, "stripe-secret-key", v.Secret, "a")
	c, err := r.Leak(t.Context(), finding)
	if err != nil || c.Action != revoker.Refused {
		t.Fatalf("%+v, %v", c, err)
	}
	i := f.incident(t, r, c.IncidentID)
	if i.State != revoker.StateFailed || i.Outcome != "needs-admin" || i.Note == "" || !v.Alive() {
		t.Errorf("%+v", i)
	}
	found := false
	alerts, err := alert.List(t.Context(), f.reg.Store().Reader(), alert.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range alerts {
		found = found || a.Kind == "incident.failed" && a.IncidentID == i.ID && strings.Contains(a.Advice, "incident retry")
	}
	if !found {
		t.Errorf("no alert says so: %+v", alerts)
	}
	if err := r.Retry(t.Context(), i.ID); !errors.Is(err, revoker.ErrRefused) {
		t.Errorf("retry: %v", err)
	}
}

// The brake: what rules found ends ten an hour, and the next waits for a person.
func TestBrake(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	asking := 0
	var last revoker.Containment
	for n := range 12 {
		value := v.Secret[:len(v.Secret)-2] + fmt.Sprintf("%02d", n)
		c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", value, "a"))
		if err != nil {
			t.Fatal(err)
		}
		if c.Action == revoker.Asking {
			asking, last = asking+1, c
		}
	}
	if asking != 2 {
		t.Errorf("%d of 12 wait for a person, want 2", asking)
	}
	if i := f.incident(t, r, last.IncidentID); i.State != revoker.StateAsking || !strings.Contains(i.Note, "waits for a person") {
		t.Errorf("%+v", i)
	}
	if err := r.Confirm(t.Context(), last.IncidentID); err != nil {
		t.Errorf("confirm: %v", err)
	}
}

// check tells whether it is alive and changes nothing; a person then may end it.
func TestCheckThenConfirm(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	r := f.revoker(t, revoker.Auto, v.policy(t, "[[leak]]\nprovider = ['gitlab']\ndo = 'check'\n"))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Checked || !v.Alive() {
		t.Fatalf("%+v, %v", c, err)
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateReported || i.Outcome != "live" {
		t.Errorf("%+v", i)
	}
	if err := r.Confirm(t.Context(), c.IncidentID); err != nil || v.Alive() {
		t.Errorf("confirm: %v, alive %v", err, v.Alive())
	}
	f.unsealed(t, v.Secret)
}

// A dismissed incident keeps no secret and calls nobody, wherever it is found again.
func TestDismiss(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	r := f.revoker(t, revoker.Auto, v.policy(t, "[[leak]]\nprovider = ['gitlab']\ndo = 'ask'\n"))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Dismiss(t.Context(), c.IncidentID, " "); err == nil {
		t.Error("dismissed without a reason")
	}
	if err := r.Dismiss(t.Context(), c.IncidentID, "an example of the vendor"); err != nil {
		t.Fatal(err)
	}
	f.unsealed(t, v.Secret)
	auto := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	if c, err := auto.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "b")); err != nil || c.Action != revoker.Reported {
		t.Errorf("%+v, %v", c, err)
	}
	if err := auto.Confirm(t.Context(), c.IncidentID); err == nil {
		t.Error("confirmed what was dismissed")
	}
	if len(v.net.Seen()) > 0 || !v.Alive() {
		t.Error("somebody was called")
	}
}

// A token of the registry that an api issued is refused here in the transaction, and
// ended there.
func TestImportedTokenOfAnAPI(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	for name, c := range map[string]struct {
		more  string
		state string
	}{"revoke": {revokeGitLab, revoker.StateDead}, "nothing": {"", revoker.StateDead}, "other owner": {revokeGitLab + "owner = ['ben']\n", revoker.StateDead}} {
		value := secret.NewString(v.Secret)
		if name != "revoke" {
			value = secret.NewString(v.Secret + strings.Repeat("y", len(name)))
		}
		tok, err := f.reg.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: name, Provider: "gitlab", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		before := len(v.net.Seen())
		h := f.hit(name)
		h.Secret, h.Token = value, &scanner.KnownToken{ID: tok.ID, State: "live"}
		r := f.revoker(t, revoker.Auto, v.policy(t, c.more))
		got, err := r.Contain(t.Context(), h)
		if err != nil || got.Action != revoker.Revoked {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if i := f.incident(t, r, got.IncidentID); i.State != c.state || (len(v.net.Seen()) > before) != (name == "revoke") || i.DeadAt.IsZero() {
			t.Errorf("%s: %+v, %v", name, i, v.net.Seen()[before:])
		}
	}
	if v.Alive() || !v.DecoysAlive() {
		t.Errorf("alive %v, others alive %v", v.Alive(), v.DecoysAlive())
	}
	f.unsealed(t, v.Secret)
}

// What the provider took and has not ended is asked about, not told again; and is
// confirmed once it is dead.
func TestAccepted(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	var told atomic.Int64
	v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			told.Add(1)
			w.WriteHeader(http.StatusNoContent) // later
			return
		}
		v.Vendor.ServeHTTP(w, r)
	}))
	r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	if err := r.Retry(t.Context(), c.IncidentID); err == nil || told.Load() != 1 {
		t.Errorf("asked while it is alive: %v, told %d times", err, told.Load())
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateRevoking || i.Outcome != revoker.Accepted || !i.ConfirmedAt.IsZero() {
		t.Errorf("%+v", i)
	}
	v.Kill()
	if err := r.Retry(t.Context(), c.IncidentID); err != nil || told.Load() != 1 {
		t.Errorf("asked when it is dead: %v, told %d times", err, told.Load())
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateDead || i.Outcome != "revoked" || i.ConfirmedAt.IsZero() {
		t.Errorf("%+v", i)
	}
	f.unsealed(t, v.Secret)
}

// The worker goes on when the provider is back.
func TestWorkerGoesOn(t *testing.T) {
	t.Parallel()
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	var calls, until atomic.Int64 // it is down for so many
	until.Store(math.MaxInt64)
	v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) <= until.Load() {
			http.Error(w, "", http.StatusServiceUnavailable)
			return
		}
		v.Vendor.ServeHTTP(w, r)
	}))
	r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	before := len(f.incident(t, r, c.IncidentID).Receipts)
	until.Store(calls.Load() + 2) // the worker's first two
	f.noHeadStart(t)
	if err := f.revoker(t, revoker.Off, v.policy(t, revokeGitLab)).Work(t.Context(), revoker.WorkOptions{Drain: true}); err != nil {
		t.Fatal(err)
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateDead || v.Alive() || !v.DecoysAlive() || calls.Load() <= until.Load() || len(i.Receipts) < before+3 {
		t.Errorf("%d calls, the last down %d, %d receipts before: %+v", calls.Load(), until.Load(), before, i)
	}
	f.unsealed(t, v.Secret)
}

// An entry whose provider the policy does not name is refused when it is read.
func TestPolicyNamesWhoIsCalled(t *testing.T) {
	file := filepath.Join(t.TempDir(), "policy.toml")
	for text, want := range map[string]string{
		revokeGitLab:                    "has no [[provider]] of kind",
		"revoke = 'never'\n":            "want on or off",
		"[[leak]]\ndo = 'revoke'\n":     "nobody is called who is not named",
		"[[leak]]\nprovidr = ['a']\n":   "unknown key",
		"[protect]\nprovider = ['a']\n": "unknown key",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := policies.Load(file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// A backup holds no sealed secret; the database does, until it is not needed.
func TestBackupLeavesSealedOut(t *testing.T) {
	storetest.OnlySQLite(t)
	f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
	r := f.revoker(t, revoker.Auto, v.policy(t, "[[leak]]\nprovider = ['gitlab']\ndo = 'ask'\n"))
	if _, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a")); err != nil || f.count(t, "sealed_secrets") != 1 {
		t.Fatal(err, f.count(t, "sealed_secrets"))
	}
	path := filepath.Join(t.TempDir(), "backup.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := f.reg.Store().Copy(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), path, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var sealed, incidents int
	err = s.Reader().QueryRow("SELECT (SELECT count(*) FROM sealed_secrets), (SELECT count(*) FROM incidents)").Scan(&sealed, &incidents)
	if err != nil || sealed != 0 || incidents != 1 {
		t.Errorf("%d sealed, %d incidents, %v", sealed, incidents, err)
	}
}

// Every vendor whose secret needs nothing beside it: ended at once where it can end
// itself, else refused with words until the operator gives a credential; and never
// another of the vendor's.
func TestEachVendor(t *testing.T) {
	t.Parallel()
	table, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, vendor := range revokertest.Vendors() {
		p, err := table.Get(vendor.Provider)
		if err != nil || len(p.Info().Rules) == 0 || len(vendor.Parts) > 0 || vendor.Mute {
			continue
		}
		n++
		t.Run(vendor.Provider, func(t *testing.T) {
			f := newFixture(t, "")
			v := &fake{vendor, revokertest.Serve(t, vendor)}
			with := func(p revoker.Policy) *revoker.Revoker {
				r, err := revoker.New(f.reg, p, revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
				if err != nil {
					t.Fatal(err)
				}
				return r
			}
			host := "# the vendor's own host\n"
			if v.Host != "" {
				host = fmt.Sprintf("host = %q\n", v.Host)
			}
			text := fmt.Sprintf("[[leak]]\nprovider = [%q]\ndo = 'revoke'\n", v.Provider)
			r := with(v.policyWith(t, text, host))
			c, err := r.Leak(t.Context(), leak(t, p.Info().Rules[0], v.Secret, "a"))
			if err != nil || c.IncidentID == "" {
				t.Fatalf("%+v, %v", c, err)
			}
			if i := f.incident(t, r, c.IncidentID); i.State == revoker.StateFailed && len(v.Credentials) > 0 {
				if i.Note == "" || !v.Alive() {
					t.Errorf("%+v", i)
				}
				more := "credentials = {"
				for name, value := range v.Credentials {
					file := filepath.Join(t.TempDir(), name)
					if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
						t.Fatal(err)
					}
					more += fmt.Sprintf(" %s = %q,", name, "file:"+filepath.ToSlash(file))
				}
				r = with(v.policyWith(t, text, host+strings.TrimSuffix(more, ",")+" }\n"))
				if err := r.Retry(t.Context(), c.IncidentID); err != nil {
					t.Errorf("with the operator's credential: %v", err)
				}
			}
			i := f.incident(t, r, c.IncidentID)
			if i.State != revoker.StateDead || v.Alive() && !v.Slow || !v.DecoysAlive() {
				t.Errorf("%+v, alive %v, others alive %v", i, v.Alive(), v.DecoysAlive())
			}
			f.unsealed(t, v.Secret)
		})
	}
	if n < 12 {
		t.Errorf("only %d vendors", n)
	}
}

// What keeps a call from being made is told in the incident.
func TestMissingCredentialIsTold(t *testing.T) {
	f, v := newFixture(t, ""), fakeVendor(t, "twilio")
	r := f.revoker(t, revoker.Auto, v.policyWith(t, "[[leak]]\nprovider = ['twilio']\ndo = 'revoke'\n", "credentials = { auth_password = 'env:QUENCH_TEST_NONE' }\n"))
	c, err := r.Leak(t.Context(), leak(t, "twilio-api-key-sid", v.Secret, "a"))
	if err != nil || c.Action != revoker.Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateRevoking || !strings.Contains(i.Note, "QUENCH_TEST_NONE holds nothing") || len(v.net.Seen()) > 0 {
		t.Errorf("%+v", i)
	}
}

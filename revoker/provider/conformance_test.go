package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/scanner/secret"
)

// world is one vendor's fake, the provider that is to call it, and what it is
// called with.
type world struct {
	t   *testing.T
	v   *revokertest.Vendor
	net *revokertest.Network
	p   provider.Provider
	n   provider.Net
	set provider.Settings
	in  provider.Input
}

func newWorld(t *testing.T, v *revokertest.Vendor) *world {
	t.Helper()
	tab, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	p, err := tab.Get(v.Provider)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, v: v, net: revokertest.Serve(t, v), p: p}
	w.n = provider.Net{RootCAs: w.net.RootCAs, Dial: w.net.Dial, Lookup: w.net.Lookup}
	w.set = provider.Settings{Host: v.Host, Credentials: secrets(v.Credentials)}
	w.in = provider.Input{Secret: secret.NewString(v.Secret), Parts: secrets(v.Parts)}
	t.Cleanup(w.quiet)
	return w
}

func secrets(m map[string]string) map[string]secret.Secret {
	out := map[string]secret.Secret{}
	for k, v := range m {
		out[k] = secret.NewString(v)
	}
	return out
}

// quiet holds for every call: hosts of the provider alone are called, no other
// credential was touched, and no address held a value.
func (w *world) quiet() {
	w.t.Helper()
	if !w.v.DecoysAlive() {
		w.t.Error("a credential that did not leak was ended")
	}
	hosts := append(slices.Clone(w.p.Info().Hosts), w.v.Host)
	for _, seen := range w.net.Seen() {
		host, path, _ := strings.Cut(seen, " ")
		if !slices.Contains(hosts, host) {
			w.t.Errorf("called %s, which is none of %q", host, hosts)
		}
		if !w.v.InURL && (strings.Contains(path, w.v.Secret) || strings.Contains(path, url.QueryEscape(w.v.Secret))) {
			w.t.Errorf("the secret was in an address of %s", host)
		}
	}
}

// truthful holds an answer to what the vendor really did.
func (w *world) truthful(a provider.Answer) {
	w.t.Helper()
	switch a.Outcome {
	case provider.Revoked, provider.AlreadyDead:
		if w.v.Alive() {
			w.t.Errorf("said %s (%s), and it is alive", a.Outcome, a.Detail)
		}
	case provider.Denied, provider.NeedsAdmin, provider.Unsupported, provider.Failed:
		if !w.v.Alive() && w.v.Tells {
			w.t.Errorf("said %s (%s), and it is dead", a.Outcome, a.Detail)
		}
	}
	for _, s := range append(values(w.v.Credentials), w.v.Secret) {
		if len(s) > 8 && strings.Contains(fmt.Sprintf("%+v", a), s) {
			w.t.Errorf("the answer shows a value: %s", a.Outcome)
		}
	}
}

func values(m map[string]string) (all []string) {
	for _, v := range m {
		all = append(all, v)
	}
	return all
}

func (w *world) revoke() provider.Answer {
	w.t.Helper()
	a := w.p.Revoke(w.t.Context(), w.n, w.set, w.in)
	w.truthful(a)
	return a
}

func ended(o provider.Outcome) bool {
	return slices.Contains([]provider.Outcome{provider.Revoked, provider.Accepted, provider.AlreadyDead}, o)
}

func each(t *testing.T, f func(t *testing.T, w *world)) {
	for _, v := range revokertest.Vendors() {
		t.Run(v.Provider, func(t *testing.T) {
			t.Parallel()
			f(t, newWorld(t, v))
		})
	}
}

// TestEnds: a leaked credential is ended, its provider confirms it where it can,
// and what had been ended before is told so.
func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if w.p.Info().CanCheck {
			if a := w.p.Check(t.Context(), w.n, w.set, w.in); a.Outcome != provider.Live {
				t.Errorf("alive: the check says %s (%d %s)", a.Outcome, a.Status, a.Detail)
			}
		}
		a := w.revoke()
		if a.Outcome != provider.Revoked && a.Outcome != provider.Accepted {
			t.Fatalf("revoke says %s (%d %s)", a.Outcome, a.Status, a.Detail)
		}
		if w.v.Alive() {
			t.Error("it is alive")
		}
		if a.Status == 0 || len(a.BodyHash) != 32 || a.At.IsZero() || a.Took <= 0 {
			t.Errorf("no proof: %+v", a)
		}
		if w.p.Info().CanCheck {
			want := provider.Dead
			if w.v.Mute {
				want = provider.Unknown
			}
			if a := w.p.Check(t.Context(), w.n, w.set, w.in); a.Outcome != want && a.Outcome != provider.Denied {
				t.Errorf("dead: the check says %s (%d %s)", a.Outcome, a.Status, a.Detail)
			}
		}
		if a = w.revoke(); w.v.Tells && a.Outcome != provider.AlreadyDead {
			t.Errorf("again: %s (%d %s)", a.Outcome, a.Status, a.Detail)
		}
	})
}

func TestKill(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		all := provider.Kill(t.Context(), w.p, w.n, w.set, w.in, false)
		last := all[len(all)-1]
		want := provider.Revoked
		if !w.p.Info().CanCheck && w.v.Slow || w.v.Mute && last.Outcome == provider.Accepted {
			want = provider.Accepted
		}
		if last.Outcome != want || w.v.Alive() {
			t.Errorf("%s (%s), want %s; alive: %v", last.Outcome, last.Detail, want, w.v.Alive())
		}
	})
}

// TestWrongCredential: with credentials of the operator that are wrong, nothing
// is ended, and with none the answer says what is wanted.
func TestWrongCredential(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if len(w.v.Credentials) == 0 {
			t.Skip("it takes none")
		}
		right := w.set.Credentials
		w.set.Credentials = map[string]secret.Secret{}
		for name, s := range right {
			w.set.Credentials[name] = s
			if s.Len() > 12 && !strings.HasSuffix(name, "_path") {
				w.set.Credentials[name] = secret.NewString("wrong" + strings.Repeat("x", 20))
			}
		}
		if a := w.revoke(); ended(a.Outcome) != !w.v.Alive() || a.Outcome == provider.Unknown {
			t.Errorf("wrong credentials: %s (%s)", a.Outcome, a.Detail)
		}
		w.set.Credentials = nil
		if !w.v.Alive() {
			return // it ended itself
		}
		a := w.revoke()
		if a.Outcome != provider.NeedsAdmin && a.Outcome != provider.Denied {
			t.Errorf("no credentials: %s (%s)", a.Outcome, a.Detail)
		}
		if a.Outcome == provider.NeedsAdmin && !slices.ContainsFunc(w.p.Info().Needs, func(n provider.Need) bool { return strings.Contains(a.Detail, n.Name) }) {
			t.Errorf("no credentials: %q does not say which", a.Detail)
		}
	})
}

// Sentry takes no person's token for it, and the answer says which one it takes.
func TestSentryPersonalToken(t *testing.T) {
	w := vendor(t, "sentry")
	w.set.Credentials["admin_token"] = secret.NewString("sntryu_" + strings.Repeat("a", 64))
	if a := w.revoke(); a.Outcome != provider.Denied || !strings.Contains(a.Detail, "OAuth application") || !w.v.Alive() {
		t.Errorf("%s (%s), alive %v", a.Outcome, a.Detail, w.v.Alive())
	}
}

// trouble is a vendor that answers the nth request in its own way.
type trouble struct {
	nth   int
	count int
	v     http.Handler
	how   func(http.ResponseWriter, *http.Request) // nil is never
	// late lets the vendor do what it was asked before the answer is spoilt.
	late bool
	hit  *http.Request
	over chan struct{} // closed when the caller's patience ends
}

// patience is a context that ends as its deadline would when a vendor does not answer.
type patience struct {
	context.Context
	over <-chan struct{}
}

func (p patience) Done() <-chan struct{} { return p.over }

func (p patience) Err() error {
	select {
	case <-p.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func (x *trouble) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x.count++
	if x.count != x.nth {
		x.v.ServeHTTP(w, r)
		return
	}
	x.hit = r
	if x.late {
		x.v.ServeHTTP(httptest.NewRecorder(), r)
	}
	if x.how == nil {
		io.Copy(io.Discard, r.Body) // else the server does not see that the caller left
		close(x.over)
		<-r.Context().Done()
		return
	}
	x.how(w, r)
}

func status(code int, body string) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Location", "https://elsewhere.example/")
		w.WriteHeader(code)
		io.WriteString(w, body)
	}
}

func hangUp(w http.ResponseWriter, _ *http.Request) {
	c, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		c.Close()
	}
}

// TestTrouble spoils each request of a revocation in turn. Whatever comes back,
// nothing is said to be ended that is alive.
func TestTrouble(t *testing.T) {
	type check func(w *world, mutating bool, a provider.Answer) bool
	unclear := func(_ *world, mutating bool, a provider.Answer) bool {
		return a.Outcome == provider.Unknown && mutating || a.Outcome == provider.Failed && !mutating
	}
	// Refused once, it may be ended in another way, with the operator's credential.
	refused := func(w *world, _ bool, a provider.Answer) bool {
		return a.Outcome == provider.Denied || a.Outcome == provider.NeedsAdmin || ended(a.Outcome) && !w.v.Alive()
	}
	strange := func(w *world, mutating bool, a provider.Answer) bool {
		return !ended(a.Outcome) || w.v.Bare && mutating
	}
	cases := map[string]struct {
		how  func(http.ResponseWriter, *http.Request)
		late bool
		want check
	}{
		"forbidden": {status(403, "{}"), false, refused},
		"unauthorized": {status(401, "{}"), false, func(w *world, m bool, a provider.Answer) bool {
			return documented401(w.v.Provider) || refused(w, m, a)
		}},
		"too many": {status(429, "{}"), false, func(_ *world, _ bool, a provider.Answer) bool {
			return a.Outcome == provider.Failed && a.RetryAfter == 7*time.Second
		}},
		"error":        {status(500, "{}"), false, unclear},
		"late error":   {status(502, "<html>"), true, unclear},
		"hang up":      {hangUp, false, unclear},
		"late hangup":  {hangUp, true, unclear},
		"silence":      {nil, false, unclear},
		"late silence": {nil, true, unclear},
		"redirect":     {status(302, ""), false, refused},
		"moved":        {status(307, "{}"), false, refused},
		"garbage":      {status(200, "<html>\xff\x00 hello"), false, strange},
		"error body":   {status(200, `{"ok":false,"success":false,"error":"nope","errors":[{"message":"nope"}]}`), false, strange},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			for nth := 1; nth <= 4; nth++ {
				for _, v := range revokertest.Vendors() {
					t.Run(fmt.Sprintf("%s/%d", v.Provider, nth), func(t *testing.T) {
						w := newWorld(t, v)
						x := &trouble{nth: nth, v: v, how: c.how, late: c.late, over: make(chan struct{})}
						w.net.Answer(x)
						a := w.p.Revoke(patience{t.Context(), x.over}, w.n, w.set, w.in)
						if x.hit == nil {
							t.Skip("it makes fewer requests")
						}
						mutating := !reads(v.Provider, nth, x.hit)
						if !c.want(w, mutating, a) {
							t.Errorf("%s %s: %s (%d %s)", x.hit.Method, x.hit.URL.Path, a.Outcome, a.Status, a.Detail)
						}
					})
				}
			}
		})
	}
}

// reads reports whether a request changes nothing.
func reads(vendor string, nth int, r *http.Request) bool {
	return r.Method == http.MethodGet || r.URL.Path == "/token" || vendor == "aws" && nth == 2 // GetAccessKeyLastUsed
}

// documented401 are the vendors that say of a 401, whatever its body, that the
// credential is none (any more).
func documented401(vendor string) bool {
	return slices.Contains([]string{"gitlab", "buildkite", "twitch", "digitalocean", "github-installation"}, vendor)
}

// TestLostAnswer: a call that ended the credential, and whose answer was lost, is
// not made again: the provider is asked first.
func TestLostAnswer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		if !w.p.Info().CanCheck || w.v.Mute {
			t.Skip("the vendor does not tell")
		}
		w.v.Kill()
		before := len(w.net.Seen())
		all := provider.Kill(t.Context(), w.p, w.n, w.set, w.in, true)
		if last := all[len(all)-1]; last.Outcome != provider.Revoked && last.Outcome != provider.Unknown {
			t.Errorf("%s (%s)", last.Outcome, last.Detail)
		}
		for _, seen := range w.net.Seen()[before:] {
			if strings.Contains(seen, " DELETE ") || strings.Contains(seen, "revoke") && !strings.Contains(seen, "lookup") {
				t.Errorf("called again: %s", seen)
			}
		}
	})
}

// TestNoHost: a self-managed server is called only where the operator says.
func TestNoHost(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.set.Host = ""
		if len(w.p.Info().Hosts) > 0 {
			t.Skip("it has a host of its own")
		}
		a := w.p.Revoke(t.Context(), w.n, w.set, w.in)
		if a.Outcome != provider.NeedsAdmin || !strings.Contains(a.Detail, "policy") {
			t.Errorf("without a host: %s (%s)", a.Outcome, a.Detail)
		}
		if seen := w.net.Seen(); len(seen) > 0 {
			t.Errorf("called %q", seen)
		}
	})
}

// One malformed value does not keep the others of its batch alive, and what finds it is
// counted; where there are no calls left, what was not tried says so.
func TestRevokeMany(t *testing.T) {
	all := func(leaked secret.Secret) []secret.Secret {
		return []secret.Secret{secret.NewString("ghp_other"), secret.NewString("malformed"), leaked, secret.NewString("gho_other")}
	}
	for left, want := range map[int][]provider.Outcome{
		9: {provider.Accepted, provider.Denied, provider.Accepted, provider.Accepted},
		0: {provider.Failed, provider.Failed, provider.Failed, provider.Failed},
		2: {provider.Accepted, provider.Failed, provider.Failed, provider.Failed},
		3: {provider.Accepted, provider.Denied, provider.Failed, provider.Failed},
	} {
		vendors := revokertest.Vendors()
		i := slices.IndexFunc(vendors, func(v *revokertest.Vendor) bool { return v.Provider == "github" && v.Host == "" })
		w := newWorld(t, vendors[i])
		used := 0
		got := w.p.(provider.Batcher).RevokeMany(t.Context(), w.n, w.set, all(w.in.Secret), func() time.Duration {
			if used == left {
				return time.Minute
			}
			used++
			return 0
		})
		if len(got) != len(want) {
			t.Fatalf("%d answers", len(got))
		}
		for i, a := range got {
			if a.Outcome != want[i] || (a.Outcome == provider.Failed) != (a.RetryAfter == time.Minute) {
				t.Errorf("with %d calls more, %d: %s (%s, %s), want %s", left, i, a.Outcome, a.Detail, a.RetryAfter, want[i])
			}
		}
		if calls := len(w.net.Seen()); calls != used+1 {
			t.Errorf("%d calls for %d that were allowed", calls, used+1)
		}
		if w.v.Alive() != (want[2] == provider.Failed) {
			t.Errorf("with %d calls more alive is %t", left, w.v.Alive())
		}
	}
}

// What can be suspended is resumed and deleted with the operator's credentials alone, by
// its id; both may be asked for again, and a deleted one cannot be resumed.
func TestSuspenders(t *testing.T) {
	credentials := map[string]map[string]string{"aws": {"admin_key_id": "AKIA" + strings.Repeat("B", 16), "admin_secret": strings.Repeat("c", 40)},
		"google-service-account": {"access_token": "ya29." + strings.Repeat("d", 40)}}
	each(t, func(t *testing.T, w *world) {
		s, ok := w.p.(provider.Suspender)
		if !ok {
			return
		}
		if w.p.Info().Undo == "" || len(w.p.Info().Needs) == 0 {
			t.Error("it tells no way to undo, or no credential for it")
		}
		call := func(f func(context.Context, provider.Net, provider.Settings, provider.Input) provider.Answer) provider.Outcome {
			return f(t.Context(), w.n, w.set, w.in).Outcome
		}
		had := w.v.Credentials
		w.set.Credentials = nil
		for name, f := range map[string]func(context.Context, provider.Net, provider.Settings, provider.Input) provider.Answer{"resume": s.Resume, "delete": s.Delete} {
			if o := call(f); o != provider.NeedsAdmin {
				t.Errorf("%s without a credential: %s", name, o)
			}
		}
		if had == nil {
			w.v.Credentials = credentials[w.v.Provider]
		}
		w.set.Credentials = secrets(w.v.Credentials)
		for range 2 {
			if o := call(s.Revoke); !ended(o) || w.v.Alive() || w.v.Gone() {
				t.Fatalf("revoke: %s, alive %v, deleted %v", o, w.v.Alive(), w.v.Gone())
			}
		}
		for range 2 {
			if o := call(s.Resume); o != provider.Resumed || !w.v.Alive() {
				t.Fatalf("resume: %s, alive %v", o, w.v.Alive())
			}
		}
		if o := call(s.Revoke); o != provider.Revoked && o != provider.Accepted {
			t.Fatalf("revoke: %s", o)
		}
		want := []provider.Outcome{provider.Revoked, provider.AlreadyDead}
		if w.v.Keeps {
			want[1] = provider.Revoked
		}
		for n := range 2 {
			if o := call(s.Delete); o != want[n] || w.v.Gone() == w.v.Keeps || w.v.Alive() {
				t.Fatalf("delete: %s, alive %v, deleted %v", o, w.v.Alive(), w.v.Gone())
			}
		}
		w.v.Kill() // what is kept is purged in the end
		if o := call(s.Resume); o != provider.AlreadyDead || w.v.Alive() {
			t.Errorf("resume of a deleted one: %s, alive %v", o, w.v.Alive())
		}
		if o := call(s.Delete); o != provider.AlreadyDead {
			t.Errorf("delete of a deleted one: %s", o)
		}
	})
}

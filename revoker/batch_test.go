package revoker_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// hour is a fixture with a clock that the test sets, and incidents of n tokens of
// GitHub's that are in the registry, which no brake of rules holds back.
type hour struct {
	*fixture
	mu  sync.Mutex
	now time.Time
}

func (h *hour) clock() time.Time { h.mu.Lock(); defer h.mu.Unlock(); return h.now }

func (h *hour) pass(d time.Duration) { h.mu.Lock(); defer h.mu.Unlock(); h.now = h.now.Add(d) }

func newHour(t *testing.T) *hour {
	t.Helper()
	h := &hour{fixture: &fixture{dir: t.TempDir()}, now: time.Now()}
	h.db = storetest.Address(t, filepath.Join(h.dir, "db", "r.db"))
	reg, err := registry.Open(t.Context(), registry.Options{Path: h.db, Create: true, Actor: "test", Now: h.clock,
		Pepper: registry.PepperSource{File: filepath.Join(h.dir, "keys", "pepper"), Checkpoints: filepath.Join(h.dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	h.reg = reg
	return h
}

// GitHub has 60 calls an hour: the first ten leaks are told at once, those that come then
// go together with the next call, which one malformed value among them does not undo, and
// each is dead when a check says so.
func TestGitHubBatches(t *testing.T) {
	h, v := newHour(t), fakeVendor(t, "github")
	policy := v.policyWith(t, "[[leak]]\nprovider = ['github']\ndo = 'revoke'\n", "# github.com, no host\n")
	r, err := revoker.New(h.reg, policy, revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	const all, malformed = 15, 12
	var ids []string
	for i := range all {
		value := v.Secret
		switch i {
		case malformed:
			value = expand(t, "malformed{30:alnum}")
		case all - 1:
		default:
			value = fmt.Sprintf("%s%02d", expand(t, "ghp_{34:alnum}"), i)
		}
		tok, err := h.reg.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "test", Provider: "github", Value: secret.NewString(value)})
		if err != nil {
			t.Fatal(err)
		}
		f := leak(t, "github-pat", value, fmt.Sprint("f", i))
		f.Token = &scanner.KnownToken{ID: tok.ID, State: "live"}
		c, err := r.Contain(t.Context(), f.Hit)
		if err != nil || c.Action != revoker.Revoked && c.Action != revoker.Queued {
			t.Fatalf("%+v, %v", c, err)
		}
		ids = append(ids, c.IncidentID)
	}
	told := func() (n int) {
		for _, call := range v.net.Seen() {
			if strings.Contains(call, "credentials/revoke") {
				n++
			}
		}
		return n
	}
	state := func(i int) string { return h.incident(t, r, ids[i]).State }
	if n := told(); n != 10 || state(9) != revoker.StateDead || state(10) != revoker.StateRevoking {
		t.Fatalf("%d calls at once, the tenth %s, the next %s", n, state(9), state(10))
	}
	if i := h.incident(t, r, ids[10]); !strings.Contains(i.Note, "a call each 1m12s after 10 at once") {
		t.Errorf("nothing says why: %+v", i)
	}
	retry := func(i, calls int, want string) {
		t.Helper()
		before := told()
		if err := r.Retry(t.Context(), ids[i]); want == "" && err != nil || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("retry of %d: %v", i, err)
		}
		if n := told() - before; n != calls {
			t.Errorf("retry of %d: %d calls, want %d", i, n, calls)
		}
	}
	retry(10, 0, "goes on")
	h.pass(4 * time.Minute) // three calls
	retry(10, 3, "goes on") // all five; two of them; three
	if !v.Alive() || h.incident(t, r, ids[11]).Outcome != revoker.Accepted || h.incident(t, r, ids[13]).Outcome != revoker.Failed {
		t.Errorf("alive %t, %+v, %+v", v.Alive(), h.incident(t, r, ids[11]), h.incident(t, r, ids[13]))
	}
	retry(10, 0, "") // the check
	retry(11, 0, "")
	h.pass(4 * time.Minute)
	retry(malformed, 3, "provider refused") // three; the malformed one; two
	retry(13, 0, "")
	retry(14, 0, "")
	for i := range all {
		want := revoker.StateDead
		if i == malformed {
			want = revoker.StateFailed
		}
		if got := state(i); got != want {
			t.Errorf("%d is %s, want %s: %s", i, got, want, h.incident(t, r, ids[i]).Note)
		}
	}
	if v.Alive() || !v.DecoysAlive() {
		t.Errorf("alive %t, others alive %t", v.Alive(), v.DecoysAlive())
	}
}

// A provider that does not answer is left alone by all after some calls, and is called as
// before once one call was answered.
func TestCircuit(t *testing.T) {
	h, v := newHour(t), fakeVendor(t, "gitlab")
	down := true
	v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down {
			http.Error(w, "", http.StatusBadGateway)
			return
		}
		v.Vendor.ServeHTTP(w, r)
	}))
	r := h.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
	var ids []string
	for i := range 8 {
		value := v.Secret
		if i > 0 {
			value = fmt.Sprintf("%s%02d", expand(t, "glpat-{18:alnum}"), i)
		}
		c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", value, fmt.Sprint("f", i)))
		if err != nil || c.Action != revoker.Queued {
			t.Fatalf("%+v, %v", c, err)
		}
		ids = append(ids, c.IncidentID)
	}
	calls := len(v.net.Seen())
	if i := h.incident(t, r, ids[7]); len(i.Receipts) != 0 || !strings.Contains(i.Note, "has not answered 5 times") {
		t.Errorf("the last: %+v after %d calls", i, calls)
	}
	down = false
	if err := r.Retry(t.Context(), ids[0]); err != nil || v.Alive() { // a person's word
		t.Fatal(err)
	}
	for _, id := range ids[1:] {
		if err := r.Retry(t.Context(), id); err != nil {
			t.Errorf("once it answers: %v", err)
		}
	}
}

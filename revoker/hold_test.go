package revoker_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// clocked makes time one that the test sets, from a Thursday at noon.
type clocked struct {
	*fixture
	now atomic.Int64
}

// thursday is the next after a week: later than any event written by the real clock, and
// before the token expires.
var thursday = func() time.Time {
	t := time.Now().UTC().Truncate(24 * time.Hour).Add(7*24*time.Hour + 12*time.Hour)
	return t.AddDate(0, 0, (int(time.Thursday)-int(t.Weekday())+7)%7)
}()

func newClocked(t *testing.T, provider string) *clocked {
	t.Helper()
	c := &clocked{fixture: newFixture(t, provider)}
	c.now.Store(thursday.UnixMicro())
	c.reopen(t, "test")
	return c
}

// reopen is another process, of an account.
func (c *clocked) reopen(t *testing.T, actor string) {
	t.Helper()
	reg, err := registry.Open(t.Context(), registry.Options{Path: c.db, Actor: actor, Now: func() time.Time { return time.UnixMicro(c.now.Load()).UTC() },
		Pepper: registry.PepperSource{File: filepath.Join(c.dir, "keys", "pepper"), Checkpoints: filepath.Join(c.dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	c.reg = reg
}

func (c *clocked) pass(d time.Duration) { c.now.Add(d.Microseconds()) }

func (c *clocked) hit(path string) scanner.Hit {
	h := c.fixture.hit(path)
	h.FoundAt = time.UnixMicro(c.now.Load()).UTC()
	return h
}

func (c *clocked) reason(t *testing.T) string {
	t.Helper()
	v, err := c.reg.Verify(t.Context(), c.value, registry.Use{})
	if err != nil {
		t.Fatal(err)
	}
	return string(v.Reason)
}

func parsed(t *testing.T, text string) revoker.Policy {
	t.Helper()
	p, err := policies.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Where the hours of an incident cannot be read, nothing is ended by itself.
func TestHoursOfWhoKnows(t *testing.T) {
	f := newClocked(t, "")
	r := f.revoker(t, revoker.Auto, parsed(t, "[tokens]\ngrace = '1h'\n"))
	c, err := r.Contain(t.Context(), f.hit("a.env"))
	if err != nil {
		t.Fatal(err)
	}
	err = f.reg.Store().InTx(t.Context(), func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE incidents SET hours = 'Mon-Fri 08:00-18:00 Mars/Olympus' WHERE id = ?", c.IncidentID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	f.pass(2 * time.Hour)
	if err := revoker.Due(r, t.Context(), c.IncidentID); err == nil || f.reason(t) != "suspended" {
		t.Errorf("%v, verify says %s", err, f.reason(t))
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateWaiting || !strings.Contains(i.Note, "cannot be read") {
		t.Errorf("%+v", i)
	}
	if err := r.Confirm(t.Context(), c.IncidentID); err != nil || f.reason(t) != "revoked" {
		t.Errorf("confirmed: %v, verify says %s", err, f.reason(t))
	}
}

// A leaked token that policy holds back is refused at once, further places change
// nothing, and another process revokes it when it is due and the office is open, not
// before; a person may before.
func TestHeldToken(t *testing.T) {
	for name, c := range map[string]struct {
		policy string
		due    time.Duration // from Thursday noon; 0 is never
	}{
		"grace":           {"[tokens]\ngrace = '1h'\n", time.Hour},
		"hours":           {"[tokens]\nhours = 'Mon-Fri 08:00-10:00 UTC'\n", 20 * time.Hour},
		"grace and hours": {"[tokens]\ngrace = '24h'\nhours = 'Fri-Sun 08:00-10:00 UTC'\n", 44 * time.Hour},
		"approvers":       {"[tokens]\napprovers = ['ann', 'ben']\n", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newClocked(t, "")
			r := f.revoker(t, revoker.Auto, parsed(t, c.policy))
			first, err := r.Contain(t.Context(), f.hit("a.env"))
			if err != nil || first.Action != revoker.Suspended || f.reason(t) != "suspended" {
				t.Fatalf("%+v, %v, verify says %s", first, err, f.reason(t))
			}
			want := revoker.StateWaiting
			if c.due == 0 {
				want = revoker.StateAsking
			}
			i := f.incident(t, r, first.IncidentID)
			if i.State != want || i.SuspendedAt.IsZero() || i.DeadAt.IsZero() || c.due > 0 && !i.DueAt.Equal(thursday.Add(c.due)) {
				t.Fatalf("%+v", i)
			}
			f.pass(time.Minute)
			again, err := r.Contain(t.Context(), f.hit("b.env"))
			if err != nil || again.Action != revoker.Suspended || again.IncidentID != first.IncidentID {
				t.Fatalf("again %+v, %v", again, err)
			}
			if err := r.Retry(t.Context(), first.IncidentID); err == nil || !strings.Contains(err.Error(), "quench incident confirm") {
				t.Errorf("retry: %v", err)
			}
			f.reopen(t, "test") // another process
			r = f.revoker(t, revoker.Auto, parsed(t, c.policy))
			if c.due > 0 {
				f.pass(c.due - 2*time.Minute)
				if err := revoker.Due(r, t.Context(), first.IncidentID); err == nil || f.reason(t) != "suspended" {
					t.Errorf("too early: %v, verify says %s", err, f.reason(t))
				}
				f.pass(time.Minute)
				if err := revoker.Due(r, t.Context(), first.IncidentID); err != nil {
					t.Fatal(err)
				}
			} else {
				if err := r.Confirm(t.Context(), first.IncidentID); !errors.Is(err, revoker.ErrNotApprover) || !strings.Contains(err.Error(), "by policy ann or ben confirms it, and this account is \"test\"") {
					t.Errorf("confirmed by another: %v", err)
				}
				if f.reason(t) != "suspended" {
					t.Errorf("verify says %s", f.reason(t))
				}
				f.reopen(t, "ben")
				r = f.revoker(t, revoker.Auto, revoker.Policy{}) // under whatever policy
				if err := r.Confirm(t.Context(), first.IncidentID); err != nil {
					t.Fatal(err)
				}
			}
			if i = f.incident(t, r, first.IncidentID); i.State != revoker.StateDead || f.reason(t) != "revoked" {
				t.Errorf("%+v, verify says %s", i, f.reason(t))
			}
			if err := r.Dismiss(t.Context(), first.IncidentID, "too late"); err == nil {
				t.Error("a revoked token was dismissed")
			}
		})
	}
}

// A worker that is late ends nothing while the office is closed, and what the policy
// protects meanwhile waits on; the kill switch holds all.
func TestHeldLate(t *testing.T) {
	f := newClocked(t, "")
	const text = "[tokens]\nhours = 'Thu-Sun 08:00-10:00 UTC'\n"
	r := f.revoker(t, revoker.Auto, parsed(t, text))
	c, err := r.Contain(t.Context(), f.hit("a.env"))
	if err != nil {
		t.Fatal(err)
	}
	f.pass(23 * time.Hour) // Friday, 11:00
	if err := revoker.Due(r, t.Context(), c.IncidentID); err == nil || f.reason(t) != "suspended" {
		t.Errorf("%v, verify says %s", err, f.reason(t))
	}
	if i := f.incident(t, r, c.IncidentID); !i.DueAt.Equal(thursday.Add(44 * time.Hour)) {
		t.Errorf("due %v", i.DueAt)
	}
	f.pass(21 * time.Hour) // Saturday, 08:00
	for _, p := range []string{"revoke = 'off'\n", "[protect]\nowners = ['ann']\n"} {
		if err := revoker.Due(f.revoker(t, revoker.Auto, parsed(t, p)), t.Context(), c.IncidentID); err == nil || f.reason(t) != "suspended" {
			t.Errorf("%s: %v, verify says %s", p, err, f.reason(t))
		}
	}
	if err := revoker.Due(r, t.Context(), c.IncidentID); err != nil || f.reason(t) != "revoked" {
		t.Errorf("%v, verify says %s", err, f.reason(t))
	}
}

// What is dismissed in its grace is taken back, and stays so for the places that were
// known; a new one begins anew. One that a person had suspended stays suspended.
func TestDismissResumes(t *testing.T) {
	f := newClocked(t, "")
	r := f.revoker(t, revoker.Auto, parsed(t, "[tokens]\ngrace = '1h'\n"))
	c, err := r.Contain(t.Context(), f.hit("a.env"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Dismiss(t.Context(), c.IncidentID, "a test"); err != nil || f.reason(t) != "valid" {
		t.Fatalf("%v, verify says %s", err, f.reason(t))
	}
	if i := f.incident(t, r, c.IncidentID); i.State != revoker.StateDismissed || !i.DeadAt.IsZero() || !i.DueAt.IsZero() {
		t.Errorf("%+v", i)
	}
	f.pass(2 * time.Hour)
	if err := revoker.Due(r, t.Context(), c.IncidentID); err != nil || f.reason(t) != "valid" {
		t.Errorf("the job of a dismissed one: %v, verify says %s", err, f.reason(t))
	}
	if c, err := r.Contain(t.Context(), f.hit("a.env")); err != nil || c.Action != revoker.Reported || f.reason(t) != "valid" {
		t.Errorf("the same place: %+v, %v, verify says %s", c, err, f.reason(t))
	}
	if c, err := r.Contain(t.Context(), f.hit("new.env")); err != nil || c.Action != revoker.Suspended || f.reason(t) != "suspended" {
		t.Errorf("a new place: %+v, %v, verify says %s", c, err, f.reason(t))
	}

	g := newClocked(t, "")
	if _, _, err := g.reg.Do(t.Context(), registry.Suspend, g.tok.ID, registry.Change{Reason: "strange use"}); err != nil {
		t.Fatal(err)
	}
	r = g.revoker(t, revoker.Auto, parsed(t, "[tokens]\ngrace = '1h'\n"))
	if c, err = r.Contain(t.Context(), g.hit("a.env")); err != nil {
		t.Fatal(err)
	}
	if err := r.Dismiss(t.Context(), c.IncidentID, "a test"); err != nil || g.reason(t) != "suspended" {
		t.Errorf("%v, verify says %s", err, g.reason(t))
	}
}

// Above the brake tokens are suspended, one alert tells of it, and a person ends or
// resumes each; an hour later it lets go.
func TestTokenBrake(t *testing.T) {
	f := newClocked(t, "")
	r := f.revoker(t, revoker.Auto, parsed(t, "[brake]\ntokens_per_hour = 2\n"))
	var all []revoker.Containment
	leak := func(n int) revoker.Containment {
		t.Helper()
		value := secret.NewString(fmt.Sprintf("Zq%s%04d", strings.Repeat("xY7", 10), n))
		tok, err := f.reg.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "x", Value: value})
		if err != nil {
			t.Fatal(err)
		}
		h := f.hit(fmt.Sprint(n))
		h.Secret, h.Token = value, &scanner.KnownToken{ID: tok.ID, State: "live"}
		c, err := r.Contain(t.Context(), h)
		if err != nil {
			t.Fatal(err)
		}
		f.pass(time.Second)
		return c
	}
	for n := range 5 {
		all = append(all, leak(n))
		if want := []revoker.Action{revoker.Revoked, revoker.Revoked, revoker.Suspended, revoker.Suspended, revoker.Suspended}[n]; all[n].Action != want {
			t.Errorf("leak %d: %+v, want %s", n, all[n], want)
		}
	}
	told, err := alert.List(t.Context(), f.reg.Store().Reader(), alert.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	brakes := 0
	for _, a := range told {
		if a.Kind == "brake.tripped" {
			brakes++
		}
	}
	b, err := r.Brakes(t.Context())
	if err != nil || brakes != 1 || b[0].Held != 3 || b[0].Lately != 2 || b[0].Most != 2 || !strings.Contains(b[0].Says(), "3 tokens wait for a person") {
		t.Errorf("%d alerts, brakes %+v, %v", brakes, b, err)
	}
	if err := r.Confirm(t.Context(), all[2].IncidentID); err != nil {
		t.Error(err)
	}
	if err := r.Dismiss(t.Context(), all[3].IncidentID, "a test"); err != nil {
		t.Error(err)
	}
	for n, want := range map[int]string{2: registry.Revoked, 3: registry.Live, 4: registry.Suspended} {
		if tok, err := f.reg.Token(t.Context(), all[n].TokenID); err != nil || tok.State != want {
			t.Errorf("leak %d: %+v, %v", n, tok.State, err)
		}
	}
	f.pass(time.Hour)
	if c := leak(9); c.Action != revoker.Revoked {
		t.Errorf("an hour later: %+v", c)
	}
}

// A secret whose end cannot be undone waits for its grace or hours untouched, and is
// ended then; dismissed before, it never is.
func TestHeldSecret(t *testing.T) {
	for _, dismiss := range []bool{false, true} {
		f, v := newClocked(t, ""), fakeVendor(t, "gitlab")
		p := v.policy(t, revokeGitLab+"grace = '30m'\nhours = '12:00-13:00'\n")
		r := f.revoker(t, revoker.Auto, p)
		c, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
		i := f.incident(t, r, c.IncidentID)
		if err != nil || c.Action != revoker.Waiting || !v.Alive() || i.State != revoker.StateWaiting || !i.DueAt.Equal(thursday.Add(30*time.Minute)) {
			t.Fatalf("%+v, %v; %+v", c, err, i)
		}
		if again, err := r.Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "b")); err != nil || again.Action != revoker.Waiting {
			t.Errorf("again: %+v, %v", again, err)
		}
		if dismiss {
			if err := r.Dismiss(t.Context(), c.IncidentID, "a test"); err != nil {
				t.Fatal(err)
			}
		}
		f.reopen(t, "test")
		r = f.revoker(t, revoker.Auto, p)
		f.pass(31 * time.Minute)
		for _, text := range []string{"[protect]\npaths = ['b']\n", "[protect]\nrules = ['gitlab-*']\n", "revoke = 'off'\n"} {
			if err := revoker.Due(f.revoker(t, revoker.Auto, v.policy(t, text)), t.Context(), c.IncidentID); (err == nil) != dismiss || !v.Alive() {
				t.Errorf("%s: %v, alive %v", text, err, v.Alive())
			}
		}
		if err := revoker.Due(r, t.Context(), c.IncidentID); err != nil {
			t.Fatal(err)
		}
		i = f.incident(t, r, c.IncidentID)
		if v.Alive() != dismiss || (i.State == revoker.StateDead) == dismiss {
			t.Errorf("dismissed %v: alive %v, %+v", dismiss, v.Alive(), i)
		}
		f.unsealed(t, v.Secret)
	}
}

const graceAWS = "[[leak]]\nprovider = ['aws']\ndo = 'revoke'\ngrace = '1h'\n"

// awsFake is a fake of AWS whose operator has a key, and a policy with that.
func awsFake(t *testing.T, more string) (*fake, revoker.Policy, scanner.Finding) {
	t.Helper()
	v := fakeVendor(t, "aws")
	v.Credentials = map[string]string{"admin_key_id": "AKIA" + strings.Repeat("B", 16), "admin_secret": strings.Repeat("c", 40)}
	t.Setenv("QUENCH_TEST_ADMIN_ID", v.Credentials["admin_key_id"])
	t.Setenv("QUENCH_TEST_ADMIN_SECRET", v.Credentials["admin_secret"])
	p := v.policyWith(t, more, "# host\ncredentials = { admin_key_id = 'env:QUENCH_TEST_ADMIN_ID', admin_secret = 'env:QUENCH_TEST_ADMIN_SECRET' }\n")
	h := leak(t, "aws-secret-access-key", v.Secret, "a")
	h.Pair = &scanner.Half{Secret: secret.NewString(v.Parts["key_id"])}
	return v, p, h
}

// with is a revoker whose calls go to a fake.
func (v *fake) with(t *testing.T, f *fixture, p revoker.Policy) *revoker.Revoker {
	t.Helper()
	r, err := revoker.New(f.reg, p, revoker.Options{Mode: revoker.Auto, DialContext: v.net.Dial, Lookup: v.net.Lookup})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// An access key is made inactive at once, and deleted after its grace by another
// process, or made active again when a person dismisses the incident; also where the
// vendor answers only later.
func TestSuspendedKey(t *testing.T) {
	for _, c := range []string{"delete", "dismiss", "confirm", "vendor away", "dismiss while deleting", "no right"} {
		t.Run(c, func(t *testing.T) {
			f := newClocked(t, "")
			v, p, h := awsFake(t, graceAWS)
			r := v.with(t, f.fixture, p)
			got, err := r.Leak(t.Context(), h)
			i := f.incident(t, r, got.IncidentID)
			if err != nil || got.Action != revoker.Suspended || v.Alive() || v.Gone() || i.State != revoker.StateWaiting || !i.DueAt.Equal(thursday.Add(time.Hour)) || i.SuspendedAt.IsZero() {
				t.Fatalf("%+v, %v; %+v", got, err, i)
			}
			f.reopen(t, "test")
			r = v.with(t, f.fixture, p)
			answers := v.Vendor
			away := func() {
				v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
			}
			back := func() { v.net.Answer(answers); f.pass(10 * time.Minute) }
			deleted := true
			switch c {
			case "delete":
				f.pass(time.Hour)
				err = revoker.Due(r, t.Context(), i.ID)
			case "confirm":
				err = r.Confirm(t.Context(), i.ID)
			case "dismiss":
				deleted, err = false, r.Dismiss(t.Context(), i.ID, "a test")
			case "vendor away":
				deleted = false
				away()
				if err := r.Dismiss(t.Context(), i.ID, "a test"); err == nil {
					t.Error("the vendor is away")
				}
				if i := f.incident(t, r, i.ID); i.State != revoker.StateResuming || i.Note != "a test" {
					t.Errorf("%+v", i)
				}
				back()
				err = revoker.Deliver(r, t.Context(), i.ID)
			case "no right":
				deleted = false
				none := v.with(t, f.fixture, v.policyWith(t, "", "# host\n"))
				if err := none.Dismiss(t.Context(), i.ID, "a test"); !errors.Is(err, revoker.ErrRefused) {
					t.Errorf("dismissed without a credential: %v", err)
				}
				if i := f.incident(t, r, i.ID); i.State != revoker.StateResuming || !strings.HasPrefix(i.Note, "a test; not resumed yet: needs-admin") {
					t.Errorf("%+v", i)
				}
				err = r.Retry(t.Context(), i.ID)
			case "dismiss while deleting":
				deleted = false
				away()
				f.pass(time.Hour)
				if err := revoker.Due(r, t.Context(), i.ID); err == nil {
					t.Error("the vendor is away")
				}
				back()
				err = r.Dismiss(t.Context(), i.ID, "a test")
			}
			i = f.incident(t, r, i.ID)
			want := revoker.StateDead
			if !deleted {
				want = revoker.StateDismissed
			}
			if err != nil || i.State != want || v.Gone() != deleted || v.Alive() == deleted || !v.DecoysAlive() || i.DeadAt.IsZero() == deleted || !deleted && i.Note != "a test" {
				t.Errorf("%v; deleted %v, alive %v, %+v", err, v.Gone(), v.Alive(), i)
			}
			f.unsealed(t, v.Secret)
		})
	}
}

// What a provider's file says of resuming and deleting is done as for those in Go: also
// where the vendor ends a secret in its own time, and nothing tells whether it did.
func TestSuspendedByFile(t *testing.T) {
	for name, rule := range map[string]string{"anthropic": "anthropic-api-key", "google-api-key": "google-api-key"} {
		for _, dismissed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s/dismissed %v", name, dismissed), func(t *testing.T) {
				f := newClocked(t, "")
				v := fakeVendor(t, name)
				keys := "# host\ncredentials = {"
				for need, value := range v.Credentials {
					t.Setenv("QUENCH_TEST_"+strings.ToUpper(need), value)
					keys += fmt.Sprintf(" %s = 'env:QUENCH_TEST_%s',", need, strings.ToUpper(need))
				}
				r := v.with(t, f.fixture, v.policyWith(t, fmt.Sprintf("[[leak]]\nprovider = [%q]\ndo = 'revoke'\ngrace = '1h'\n", name), strings.TrimSuffix(keys, ",")+" }\n"))
				got, err := r.Leak(t.Context(), leak(t, rule, v.Secret, "a"))
				i := f.incident(t, r, got.IncidentID)
				if err != nil || got.Action != revoker.Suspended || v.Alive() || v.Gone() || i.State != revoker.StateWaiting || !i.DueAt.Equal(thursday.Add(time.Hour)) || i.DeadAt.IsZero() {
					t.Fatalf("%+v, %v; %+v", got, err, i)
				}
				want := revoker.StateDead
				if dismissed {
					want, err = revoker.StateDismissed, r.Dismiss(t.Context(), i.ID, "a test")
				} else {
					f.pass(time.Hour)
					err = revoker.Due(r, t.Context(), i.ID)
				}
				i = f.incident(t, r, i.ID)
				if err != nil || i.State != want || v.Alive() != dismissed || v.Gone() != (!dismissed && !v.Keeps) || !v.DecoysAlive() || i.DeadAt.IsZero() != dismissed {
					t.Errorf("%v; deleted %v, alive %v, %+v", err, v.Gone(), v.Alive(), i)
				}
				f.unsealed(t, v.Secret)
			})
		}
	}
}

// Approvers hold back what cannot be undone, not that a key is made inactive.
func TestSuspendedKeyAsks(t *testing.T) {
	f := newClocked(t, "")
	v, p, h := awsFake(t, "[[leak]]\nprovider = ['aws']\ndo = 'revoke'\ngrace = '1h'\nhours = 'Mon-Fri 08:00-09:00'\napprovers = ['ben']\n")
	r := v.with(t, f.fixture, p)
	got, err := r.Leak(t.Context(), h)
	if err != nil || got.Action != revoker.Suspended || v.Alive() {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := r.Confirm(t.Context(), got.IncidentID); !errors.Is(err, revoker.ErrNotApprover) || v.Gone() {
		t.Errorf("%v, deleted %v", err, v.Gone())
	}
	f.reopen(t, "ben")
	if err := v.with(t, f.fixture, p).Confirm(context.WithoutCancel(t.Context()), got.IncidentID); err != nil || !v.Gone() {
		t.Errorf("%v, deleted %v", err, v.Gone())
	}
}

package revoker_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker"
)

// A clock that was set back or ahead between the process that found a leak and the one
// that goes on leaves an incident that is true: dead by one revocation, or, when the
// secret was kept for as long as it may be, one with what a person can do. Its times
// never go back.
func TestClockJumps(t *testing.T) {
	for name, c := range map[string]struct {
		by   time.Duration
		want string
	}{
		"back an hour": {-time.Hour, revoker.StateDead}, "back a month": {-30 * 24 * time.Hour, revoker.StateDead},
		"ahead a day": {24 * time.Hour, revoker.StateDead}, "ahead a week and a day": {8 * 24 * time.Hour, revoker.StateFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
			r := f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
			answers := v.Vendor
			v.net.Answer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
			hit := leak(t, "gitlab-pat", v.Secret, "a")
			c1, err := r.Leak(t.Context(), hit)
			if err != nil || c1.Action != revoker.Queued {
				t.Fatalf("%+v, %v", c1, err)
			}
			reg, err := registry.Open(t.Context(), registry.Options{Path: f.db, Actor: "test", Now: func() time.Time { return time.Now().Add(c.by) },
				Pepper: registry.PepperSource{File: filepath.Join(f.dir, "keys", "pepper"), Checkpoints: filepath.Join(f.dir, "keys", "cp")}})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { reg.Close() })
			f.reg = reg
			r = f.revoker(t, revoker.Auto, v.policy(t, revokeGitLab))
			v.net.Answer(answers)
			err = r.Retry(context.WithoutCancel(t.Context()), c1.IncidentID)
			i := f.incident(t, r, c1.IncidentID)
			if c.want == revoker.StateFailed {
				// Whoever comes next finds that the secret is no longer kept.
				if err == nil || !strings.Contains(err.Error(), "no longer kept") || !v.Alive() || i.State == revoker.StateDead {
					t.Errorf("%v; alive %v, %+v", err, v.Alive(), i)
				}
				return
			}
			if err != nil || i.State != c.want || v.Alive() {
				t.Errorf("%v; alive %v, %+v", err, v.Alive(), i)
			}
			times := []time.Time{i.FoundAt, i.MatchedAt, i.RevokingAt, i.DeadAt, i.ConfirmedAt}
			for n, at := range times[1:] {
				if at.Before(times[n]) {
					t.Errorf("%s: times go back: %v", name, times)
				}
			}
			f.unsealed(t, v.Secret)
		})
	}
}

// A worker deletes sealed secrets whose week is over, also where nothing is sealed any
// more, and no others; the incident that waited says what a person can do.
func TestWorkerSweepsSealed(t *testing.T) {
	for name, c := range map[string]struct {
		by    time.Duration
		lives bool // no --drain
		want  int
	}{"within the week": {6 * 24 * time.Hour, false, 1}, "after it": {8 * 24 * time.Hour, false, 0}, "after it, one that lives": {8 * 24 * time.Hour, true, 0}} {
		t.Run(name, func(t *testing.T) {
			f, v := newFixture(t, ""), fakeVendor(t, "gitlab")
			p := v.policy(t, "[[leak]]\nprovider = ['gitlab']\ndo = 'ask'\n")
			got, err := f.revoker(t, revoker.Auto, p).Leak(t.Context(), leak(t, "gitlab-pat", v.Secret, "a"))
			if err != nil || f.count(t, "sealed_secrets") != 1 {
				t.Fatalf("%+v, %v, %d sealed", got, err, f.count(t, "sealed_secrets"))
			}
			reg, err := registry.Open(t.Context(), registry.Options{Path: f.db, Actor: "test", Now: func() time.Time { return time.Now().Add(c.by) },
				Pepper: registry.PepperSource{File: filepath.Join(f.dir, "keys", "pepper"), Checkpoints: filepath.Join(f.dir, "keys", "cp")}})
			if err != nil {
				t.Fatal(err)
			}
			defer reg.Close()
			f.reg = reg
			later := f.revoker(t, revoker.Auto, p)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if c.lives { // nothing is due: it sweeps, and would wait for ever
				go func() {
					for ctx.Err() == nil && f.count(t, "sealed_secrets") > 0 {
						time.Sleep(time.Millisecond)
					}
					cancel()
				}()
			}
			if err := later.Work(ctx, revoker.WorkOptions{Drain: !c.lives}); err != nil {
				t.Fatal(err)
			}
			if n := f.count(t, "sealed_secrets"); n != c.want {
				t.Errorf("%d sealed secrets are kept, want %d", n, c.want)
			}
			err = later.Confirm(t.Context(), got.IncidentID)
			if i := f.incident(t, later, got.IncidentID); v.Alive() != (c.want == 0) || (i.State == revoker.StateDead) != (c.want == 1) {
				t.Errorf("confirm: %v, alive %v, %+v", err, v.Alive(), i)
			} else {
				t.Logf("confirm: %v; note %q, state %s", err, i.Note, i.State)
			}
		})
	}
}

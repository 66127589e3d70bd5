package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
)

// A suspended token is refused until it is resumed; what is revoked stays so.
func TestSuspendAndResume(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{TTL: time.Hour})
	for _, step := range []struct {
		do      registry.Action
		changed bool
		reason  string // of the verdict then
	}{
		{registry.Resume, false, registry.ReasonValid},
		{registry.Suspend, true, registry.ReasonSuspended},
		{registry.Suspend, false, registry.ReasonSuspended},
		{registry.Resume, true, registry.ReasonValid},
		{registry.Suspend, true, registry.ReasonSuspended},
		{registry.Revoke, true, registry.ReasonRevoked},
		{registry.Revoke, false, registry.ReasonRevoked},
	} {
		_, changed, err := r.Do(ctx, step.do, tok.ID, registry.Change{Reason: "because"})
		if err != nil || changed != step.changed {
			t.Fatalf("%s: changed %v, %v", step.do, changed, err)
		}
		if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != step.reason {
			t.Fatalf("after %s: %+v, %v; want %s", step.do, v, err, step.reason)
		}
	}
	for _, a := range []registry.Action{registry.Suspend, registry.Resume} {
		if _, _, err := r.Do(ctx, a, tok.ID, registry.Change{}); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s of a revoked token: %v", a, err)
		}
	}
	want := []string{"token.suspend", "token.resume", "token.suspend", "token.revoke"}
	if got := slices.DeleteFunc(kinds(t, r, tok.ID), func(k string) bool { return !slices.Contains(want, k) }); !slices.Equal(got, want) {
		t.Errorf("audit %v, want %v", got, want)
	}
	// Its time runs on while it is suspended.
	late, lateValue := issue(t, r, registry.IssueRequest{TTL: time.Hour})
	if _, _, err := r.Do(ctx, registry.Suspend, late.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	c.move(2 * time.Hour)
	got, changed, err := r.Do(ctx, registry.Resume, late.ID, registry.Change{})
	if err != nil || !changed || got.State != registry.Expired {
		t.Errorf("resumed after its expiry: %s, %v, %v", got.State, changed, err)
	}
	if v, err := r.Verify(ctx, lateValue, registry.Use{}); err != nil || v.Reason != registry.ReasonExpired {
		t.Errorf("%+v, %v", v, err)
	}
}

// Many tokens are changed by what they have in common, all or none; a dry run tells
// the same and does nothing.
func TestDoAll(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	ids := map[string]string{}
	add := func(name string, q registry.IssueRequest) {
		q.Purpose, q.TTL = name, time.Hour
		tok, _ := issue(t, r, q)
		ids[tok.ID] = name
		c.move(time.Minute)
	}
	add("a", registry.IssueRequest{Owner: "ann", Tags: []string{"ci"}, Scopes: []string{"read:repo/*"}})
	add("b", registry.IssueRequest{Owner: "bob", Tags: []string{"ci"}, Scopes: []string{"read:repo/quench"}})
	add("c", registry.IssueRequest{Owner: "ann", Scopes: []string{"write:**"}})
	third := time.Date(2026, 5, 1, 12, 2, 0, 0, time.UTC)
	for _, tc := range []struct {
		f    registry.Filter
		want string
	}{
		{registry.Filter{Owner: "ann"}, "ac"},
		{registry.Filter{Tag: "ci"}, "ab"},
		{registry.Filter{Tag: "ci", Owner: "bob"}, "b"},
		{registry.Filter{Scope: "read:repo/quench"}, "ab"},
		{registry.Filter{Scope: "read:repo/*"}, "a"},
		{registry.Filter{Scope: "write:x/y"}, "c"},
		{registry.Filter{Before: third}, "ab"},
		{registry.Filter{Owner: "nobody"}, ""},
	} {
		for _, step := range []struct {
			a   registry.Action
			dry bool
		}{{registry.Suspend, true}, {registry.Suspend, false}, {registry.Suspend, false}, {registry.Resume, true}, {registry.Resume, false}} {
			list, err := r.DoAll(ctx, step.a, tc.f, registry.Change{Reason: "drill"}, step.dry)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, tok := range list {
				got += ids[tok.ID]
			}
			want := tc.want
			if step.a == registry.Suspend && !step.dry {
				if again, err := r.DoAll(ctx, step.a, tc.f, registry.Change{}, true); err != nil || len(again) > 0 {
					t.Errorf("%+v: %d more to suspend, %v", tc.f, len(again), err)
				}
				if got == "" {
					continue // the second time
				}
			}
			if got != want {
				t.Errorf("%s of %+v (dry %v): %q, want %q", step.a, tc.f, step.dry, got, want)
			}
		}
	}
	for _, f := range []registry.Filter{{}, {State: registry.Live}, {Scope: "no scope"}} {
		if _, err := r.DoAll(ctx, registry.Revoke, f, registry.Change{}, true); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%+v: %v", f, err)
		}
	}
	// One that cannot be told in the log stops all of them.
	if _, err := r.DoAll(ctx, registry.Revoke, registry.Filter{Owner: "ann"}, registry.Change{Reason: "two\nlines"}, false); !errors.Is(err, registry.ErrInvalid) {
		t.Error(err)
	}
	if all, err := r.List(ctx, registry.Filter{State: registry.Live}); err != nil || len(all) != 3 {
		t.Errorf("%d tokens are alive, %v", len(all), err)
	}
}

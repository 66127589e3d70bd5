package registry_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/issuing"
)

// A successor has the rights of the old token, which runs out after the overlap and
// never later than it would have.
func TestRotate(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	old, oldValue := issue(t, r, registry.IssueRequest{Prefix: "acmecorp", Env: "test", TTL: 48 * time.Hour, Scopes: []string{"read:repo/*", "write:**"}, Tags: []string{"ci"}})
	verdict := func(want ...string) {
		t.Helper()
		v, err := r.Verify(ctx, oldValue, registry.Use{})
		if err != nil || !slices.Contains(want, v.Reason) {
			t.Errorf("the old token: %+v, %v; want %s", v, err, want)
		}
	}
	c.move(time.Hour)
	next, value, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	if next.Owner != old.Owner || next.Purpose != old.Purpose || next.Env != "test" || !slices.Equal(next.Scopes, old.Scopes) || !slices.Equal(next.Tags, old.Tags) ||
		next.Family != old.ID || next.Predecessor != old.ID || next.ExpiresAt.Sub(next.CreatedAt) != 48*time.Hour || !strings.HasPrefix(string(value.Reveal()), "acmecorp_test_") {
		t.Errorf("successor %+v", next)
	}
	if v, err := r.Verify(ctx, value, registry.Use{Scope: "write:x"}); err != nil || !v.Valid {
		t.Errorf("the successor: %+v, %v", v, err)
	}
	verdict(registry.ReasonValid)
	c.move(time.Hour)
	verdict(registry.ReasonExpired)

	// At once, with fewer rights; the family goes on.
	third, _, err := r.Rotate(ctx, next.ID, registry.RotateRequest{Scopes: []string{"read:repo/quench"}, TTL: time.Hour})
	if err != nil || third.Family != old.ID || third.Predecessor != next.ID || !slices.Equal(third.Scopes, []string{"read:repo/quench"}) || third.ExpiresAt.Sub(third.CreatedAt) != time.Hour {
		t.Errorf("%+v, %v", third, err)
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonRevoked {
		t.Errorf("rotated without an overlap: %+v, %v", v, err)
	}
	family, err := r.DoAll(ctx, registry.Revoke, registry.Filter{Family: old.ID}, registry.Change{Reason: "a member leaked"}, false)
	if err != nil || len(family) != 2 { // the expired first and the third
		t.Errorf("%d of the family were revoked, %v", len(family), err)
	}
	if got := kinds(t, r, next.ID); !slices.Contains(got, "token.rotate") || !slices.Contains(got, "token.revoke") {
		t.Errorf("audit of the second: %v", got)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

// Held, the old token is as it was until Retire, which never makes it live longer.
func TestHoldAndRetire(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	old, _ := issue(t, r, registry.IssueRequest{TTL: time.Hour})
	if _, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Hold: true}); err != nil {
		t.Fatal(err)
	}
	if got, err := r.Token(ctx, old.ID); err != nil || got.State != registry.Live || !got.ExpiresAt.Equal(old.ExpiresAt) {
		t.Errorf("held: %+v, %v", got, err)
	}
	for _, tc := range []struct {
		overlap time.Duration
		want    time.Time
	}{{2 * time.Hour, old.ExpiresAt}, {time.Minute, c.now().Add(time.Minute)}, {30 * time.Minute, c.now().Add(time.Minute)}} {
		if got, err := r.Retire(ctx, old.ID, tc.overlap); err != nil || !got.ExpiresAt.Equal(tc.want) {
			t.Errorf("retired with an overlap of %v: until %v, %v; want %v", tc.overlap, got.ExpiresAt, err, tc.want)
		}
	}
	if got, err := r.Retire(ctx, old.ID, 0); err != nil || got.State != registry.Revoked {
		t.Errorf("retired at once: %+v, %v", got, err)
	}
}

// Rotated again while it runs out, as where the first successor was lost, a token has a
// successor of a whole life, and not of the overlap that is left.
func TestRotateAgain(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	o.Issue = registry.IssuePolicy{Rules: []issuing.Rule{{Owner: "*", Never: true}}}
	r := open(t, o)
	for _, want := range []registry.IssueRequest{{TTL: 48 * time.Hour}, {Never: true}} {
		old, _ := issue(t, r, want)
		var last registry.Token
		for n := range 3 {
			next, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Overlap: time.Hour})
			if err != nil {
				t.Fatal(err)
			}
			if next.ExpiresAt.IsZero() != want.Never || !want.Never && next.ExpiresAt.Sub(next.CreatedAt) != want.TTL {
				t.Errorf("successor %d of %+v: made %v, expires %v", n, want, next.CreatedAt, next.ExpiresAt)
			}
			last = next
			c.move(time.Minute)
		}
		// What follows is rotated too.
		third, _, err := r.Rotate(ctx, last.ID, registry.RotateRequest{Overlap: time.Minute})
		if err != nil || third.ExpiresAt.IsZero() != want.Never {
			t.Errorf("the third: %v, %v", third.ExpiresAt, err)
		}
		if next, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Overlap: time.Hour}); err != nil || next.ExpiresAt.IsZero() != want.Never || !want.Never && next.ExpiresAt.Sub(next.CreatedAt) != want.TTL {
			t.Errorf("a successor where the last was rotated: made %v, expires %v, %v", next.CreatedAt, next.ExpiresAt, err)
		}
		if got, err := r.Token(ctx, old.ID); err != nil || !got.ExpiresAt.Equal(c.now().Add(57*time.Minute)) {
			t.Errorf("the old one: %v, %v; want the end of the first overlap", got.ExpiresAt, err)
		}
	}
}

func TestRotateRefuses(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, _ := issue(t, r, registry.IssueRequest{Scopes: []string{"read:repo/*"}})
	dead, _ := issue(t, r, registry.IssueRequest{})
	if _, _, err := r.Do(ctx, registry.Revoke, dead.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	imported, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "bob", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		id   string
		q    registry.RotateRequest
		want error
		text string
	}{
		{dead.ID, registry.RotateRequest{}, registry.ErrInvalid, "is revoked; issue a new one"},
		{imported.ID, registry.RotateRequest{}, registry.ErrInvalid, "was imported"},
		{"0000000000", registry.RotateRequest{}, registry.ErrNoToken, ""},
		{tok.ID, registry.RotateRequest{Overlap: -1}, registry.ErrInvalid, "overlap"},
		{tok.ID, registry.RotateRequest{Overlap: 8 * 24 * time.Hour}, registry.ErrInvalid, "overlap"},
		{tok.ID, registry.RotateRequest{Scopes: []string{"read:**"}}, registry.ErrInvalid, "more than token"},
		{tok.ID, registry.RotateRequest{Scopes: []string{"write:repo/a"}}, registry.ErrInvalid, "more than token"},
		{tok.ID, registry.RotateRequest{Scopes: []string{"nonsense"}}, registry.ErrInvalid, "action:resource"},
		{tok.ID, registry.RotateRequest{Prefix: "No"}, registry.ErrInvalid, ""},
	} {
		if _, _, err := r.Rotate(ctx, tc.id, tc.q); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%+v: error %v, want %v and %q", tc.q, err, tc.want, tc.text)
		}
	}
	if all, err := r.List(ctx, registry.Filter{}); err != nil || len(all) != 3 {
		t.Errorf("%d tokens, %v: a refusal left something behind", len(all), err)
	}
}

// A scope that a successor may have grants nothing that the old token's do not.
func TestFewerRights(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	rapid.Check(t, func(t *rapid.T) {
		side := func(wild bool) *rapid.Generator[string] {
			return rapid.Custom(func(t *rapid.T) string {
				segs := []string{"a", "b"}
				if wild {
					segs = append(segs, "*")
				}
				list := rapid.SliceOfN(rapid.SampledFrom(segs), 1, 3).Draw(t, "segments")
				if wild && rapid.Bool().Draw(t, "rest") {
					list = append(list, "**")
				}
				return strings.Join(list, "/")
			})
		}
		scope := func(wild bool, name string) string {
			return side(wild).Draw(t, name+" action") + ":" + side(wild).Draw(t, name+" resource")
		}
		old, less := scope(true, "old"), scope(true, "less")
		tok, _, err := r.Issue(ctx, registry.IssueRequest{Owner: "o", Purpose: "p", Scopes: []string{old}})
		if err != nil {
			t.Fatal(err)
		}
		next, _, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{Scopes: []string{less}})
		if errors.Is(err, registry.ErrInvalid) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if want := scope(false, "want"); next.Allows(want) && !tok.Allows(want) {
				t.Fatalf("a successor of %q with %q may do %q", old, less, want)
			}
		}
	})
}

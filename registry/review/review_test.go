package review

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/usage"
	"github.com/quench-dev/quench/registry/usage/watch"
)

var (
	now  = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	old  = now.Add(-200 * 24 * time.Hour)
	late = now.Add(-time.Hour)
)

func used(scopes ...string) usage.Summary {
	s := usage.Summary{First: old, Last: late, Events: 100}
	for _, name := range scopes {
		s.Scopes.Known = append(s.Scopes.Known, usage.Thing{Name: name, Uses: 10, First: old, Last: late})
	}
	s.Scopes.Different = len(scopes)
	return s
}

func TestToken(t *testing.T) {
	tok := func(scopes ...string) registry.Token {
		return registry.Token{ID: "QF3xP0aYb1", Origin: "issued", State: registry.Live, CreatedAt: old, LastUsedAt: late, Uses: 100, Scopes: scopes}
	}
	fresh, never, long, imported := tok("read:a"), tok("read:a"), tok("read:a"), tok("read:a", "read:b")
	fresh.CreatedAt = late
	never.LastUsedAt, never.Uses = time.Time{}, 0
	long.LastUsedAt = now.Add(-100 * 24 * time.Hour)
	imported.Origin, imported.Provider = "imported", "vault"
	stale := used("read:a", "write:a")
	stale.Scopes.Known[1].Last = now.Add(-91 * 24 * time.Hour)
	many := used("read:repo/a", "read:repo/b")
	many.Scopes.Different = 70
	young := used("read:a")
	young.First = now.Add(-30 * 24 * time.Hour)
	byLog := used()
	for name, c := range map[string]struct {
		t       registry.Token
		s       usage.Summary
		kinds   string
		command string
	}{
		"fresh":            {fresh, usage.Summary{}, "", ""},
		"never used":       {never, usage.Summary{}, "never_used", "quench token revoke QF3xP0aYb1 --reason 'never used'"},
		"used by a log":    {never, byLog, "unused_scopes", "quench token suspend QF3xP0aYb1 --reason 'none of its scopes is used'"},
		"unused":           {long, usage.Summary{}, "unused", "quench token revoke QF3xP0aYb1 --reason unused"},
		"nothing known":    {tok("read:a"), usage.Summary{}, "", ""},
		"all used":         {tok("read:a", "read:b"), used("read:a", "read:b"), "", ""},
		"one unused":       {tok("read:a", "write:a"), used("read:a"), "unused_scopes", "quench token rotate QF3xP0aYb1 --scope read:a"},
		"long unused":      {tok("read:a", "write:a"), stale, "unused_scopes", "quench token rotate QF3xP0aYb1 --scope read:a"},
		"too broad":        {tok("read:repo/*"), used("read:repo/a", "read:repo/b"), "too_broad", "quench token rotate QF3xP0aYb1 --scope read:repo/a --scope read:repo/b"},
		"both":             {tok("read:**", "run:*", "x:y"), used("read:a/b", "run:1", "run:2", "run:3", "run:4", "run:5", "run:6"), "unused_scopes too_broad", "quench token rotate QF3xP0aYb1 --scope read:a/b --scope 'run:*'"},
		"many":             {tok("read:repo/*"), used("read:repo/a", "read:repo/b", "read:repo/c", "read:repo/d", "read:repo/e", "read:repo/f"), "", ""},
		"forgotten names":  {tok("read:repo/*", "x:y"), many, "", ""},
		"young evidence":   {tok("read:a", "x:y"), young, "", ""},
		"imported":         {imported, used("read:a"), "unused_scopes", ""},
		"foreign evidence": {tok("read:a", "x:y"), used("read:a", "x'; rm -rf"), "", ""},
		"a name cut short": {tok("read:a", "x:y"), used("read:a", "x:yyyyyyyyyyyyyyyyyyyyyy~0a1b2c3d"), "", ""},
	} {
		a := Token(c.t, c.s, now, Options{})
		if a == nil {
			if c.kinds != "" {
				t.Errorf("%s: nothing, want %s", name, c.kinds)
			}
			continue
		}
		if got := strings.Join(a.Kinds, " "); got != c.kinds || a.Command != c.command || a.Why == "" {
			t.Errorf("%s: %s, %q, %s; want %s, %q", name, got, a.Command, a.Why, c.kinds, c.command)
		}
	}
}

// Times of scopes are exact to the hour: one used at a quarter to is not unused since half
// past, though it is told to be of the full hour.
func TestScopesWithinTheHour(t *testing.T) {
	tok := registry.Token{ID: "QF3xP0aYb1", Origin: "issued", State: registry.Live, CreatedAt: old, LastUsedAt: late, Uses: 100, Scopes: []string{"read:a"}}
	s := used("read:a")
	s.Scopes.Known[0].Last = now.Add(-DefaultUnused)
	if a := Token(tok, s, now.Add(30*time.Minute), Options{}); a != nil {
		t.Errorf("used in the hour: %s", a.Why)
	}
	if a := Token(tok, s, now.Add(time.Hour), Options{}); a == nil {
		t.Error("used in the hour before: nothing is said")
	}
}

// What is proposed grants all that was used, and nothing that was not granted before.
func TestProposalsAreNarrower(t *testing.T) {
	scope := rapid.StringMatching(`(read|write|\*):[ab](/[ab]){0,2}(/\*\*?)?`)
	concrete := rapid.StringMatching(`(read|write|run):[ab](/[abc]){0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		tok := registry.Token{ID: "QF3xP0aYb1", Origin: "issued", CreatedAt: old, LastUsedAt: late, Scopes: rapid.SliceOfN(scope, 1, 5).Draw(t, "scopes")}
		asked := rapid.SliceOfNDistinct(concrete, 0, 8, rapid.ID[string]).Draw(t, "asked")
		a := Token(tok, used(asked...), now, Options{Few: 3})
		if a == nil {
			return
		}
		within := func(all []string, s string) bool {
			return slices.ContainsFunc(all, func(in string) bool { return bound.Covers(in, s) })
		}
		for _, s := range a.Scopes {
			if bound.CheckScope(s, false) != nil || !within(tok.Scopes, s) {
				t.Fatalf("%q is more than %q", s, tok.Scopes)
			}
		}
		for _, s := range asked {
			if within(tok.Scopes, s) && !within(a.Scopes, s) {
				t.Fatalf("%q was used and is not in %q", s, a.Scopes)
			}
		}
	})
}

func TestRegistry(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	at := old
	r, err := registry.Open(ctx, registry.Options{Path: filepath.Join(dir, "db", "registry.db"), Create: true, Now: func() time.Time { return at }, EachUse: true,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w, err := watch.New(r, watch.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r.Observe(w)
	q := registry.IssueRequest{Owner: "o", Purpose: "p", Scopes: []string{"read:repo/*", "write:repo/a"}, TTL: 365 * 24 * time.Hour}
	tok, value, err := r.Issue(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	idle, _, err := r.Issue(ctx, q)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if v, err := r.Verify(ctx, value, registry.Use{Scope: "read:repo/x"}); err != nil || !v.Valid {
			t.Fatal(v, err)
		}
		if v, err := r.Verify(ctx, value, registry.Use{Scope: "write:repo/b"}); err != nil || v.Valid {
			t.Fatal(v, err)
		}
		at = now
	}
	all, live, blind, err := Registry(ctx, r, Options{})
	if err != nil || live != 2 || blind != 0 || len(all) != 2 {
		t.Fatalf("%+v, %d live, %d blind, %v", all, live, blind, err)
	}
	slices.SortFunc(all, func(a, b Advice) int { return strings.Compare(a.Kinds[0], b.Kinds[0]) })
	if all[0].Token.ID != idle.ID || all[0].Kinds[0] != NeverUsed {
		t.Errorf("%+v", all[0])
	}
	if all[1].Token.ID != tok.ID || all[1].Command != "quench token rotate "+tok.ID+" --scope read:repo/x" {
		t.Errorf("%+v", all[1])
	}
}

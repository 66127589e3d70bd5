package registry_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

func newMatch(t testing.TB, r *registry.Registry) *match.Set {
	t.Helper()
	set, err := r.Match(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// Tokens of any state and shape are found in a text, labelled by their state.
func TestMatchInText(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	live, liveValue := issue(t, r, registry.IssueRequest{})
	short, shortValue := issue(t, r, registry.IssueRequest{TTL: time.Hour, Prefix: "acme", Env: "test"})
	dead, deadValue := issue(t, r, registry.IssueRequest{})
	if _, _, err := r.Do(ctx, registry.Revoke, dead.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	foreign, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "o", Purpose: "p", Provider: "vendor"})
	if err != nil {
		t.Fatal(err)
	}
	c.move(2 * time.Hour)
	set := newMatch(t, r)
	e, err := scanner.New(&rules.Set{}, scanner.Options{Known: set})
	if err != nil {
		t.Fatal(err)
	}
	late, lateValue := issue(t, r, registry.IssueRequest{}) // after the set was loaded
	text := fmt.Sprintf("a=%s b=\"%s\"\nAuthorization: Bearer %s\nhttps://u:%s@host/\nx: %s\nnothing: %s\nlate %s.\n",
		liveValue.Reveal(), shortValue.Reveal(), deadValue.Reveal(), odd(1).Reveal(),
		base64.StdEncoding.EncodeToString(odd(1).Reveal()), odd(2).Reveal(), lateValue.Reveal())
	var got []string
	for _, m := range e.ScanBytes([]byte(text)) {
		if m.Token != nil {
			got = append(got, fmt.Sprintf("%d %s %s", m.Line, m.Token.ID, m.Token.State))
		}
	}
	want := []string{"1 " + live.ID + " live", "1 " + short.ID + " expired", "2 " + dead.ID + " revoked",
		"3 " + foreign.ID + " live", "4 " + foreign.ID + " live", "6 " + late.ID + " live"}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if err := set.Err(); err != nil {
		t.Error(err)
	}
}

// What another process imports is found soon, without being told.
func TestMatchFollowsOtherProcesses(t *testing.T) {
	p := newPlace(t)
	a, b := open(t, p.options()), open(t, p.options())
	set := newMatch(t, a)
	if _, ok := set.Lookup(odd(1).Reveal()); ok {
		t.Fatal("found before it was imported")
	}
	tok, err := b.Import(context.Background(), registry.ImportRequest{Value: odd(1), Owner: "o", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		if k, ok := set.Lookup(odd(1).Reveal()); ok {
			if k.ID != tok.ID || k.State != registry.Live {
				t.Errorf("found %+v, want %s live", k, tok.ID)
			}
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not found in 10 s")
		}
		<-time.After(time.Millisecond)
	}
	if _, _, err := b.Do(context.Background(), registry.Revoke, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	if k, ok := set.Lookup(odd(1).Reveal()); !ok || k.State != registry.Revoked {
		t.Errorf("right after the revocation: %+v, %v", k, ok)
	}
}

func BenchmarkIssue(b *testing.B) {
	r := open(b, newPlace(b).options())
	for b.Loop() {
		issue(b, r, registry.IssueRequest{Scopes: []string{"read:**"}})
	}
}

func BenchmarkVerify(b *testing.B) {
	ctx := context.Background()
	r := open(b, newPlace(b).options())
	_, value := issue(b, r, registry.IssueRequest{Scopes: []string{"read:**"}})
	check := func(name string, value secret.Secret, want string) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if v, err := r.Verify(ctx, value, registry.Use{Scope: "read:x"}); err != nil || v.Reason != want {
					b.Fatal(v, err)
				}
			}
		})
	}
	check("valid", value, registry.ReasonValid)
	check("unknown", odd(1), registry.ReasonUnknown)
}

func BenchmarkLookup(b *testing.B) {
	r := open(b, newPlace(b).options())
	_, value := issue(b, r, registry.IssueRequest{})
	for n := range 200 {
		if _, err := r.Import(context.Background(), registry.ImportRequest{Value: odd(n), Owner: "o", Purpose: "p"}); err != nil {
			b.Fatal(err)
		}
	}
	set := newMatch(b, r)
	plain := value.Reveal()
	mistyped := append([]byte{}, plain...)
	mistyped[20] ^= 1
	for name, c := range map[string][]byte{"negative": odd(9999).Reveal(), "negative-own-form": mistyped, "hit": plain} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				set.Lookup(c)
			}
		})
	}
}

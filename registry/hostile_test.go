package registry_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/erasure"
	"github.com/quench-dev/quench/scanner/secret"
)

// hostile are texts that end a literal, a comment, a pattern or a parameter in one
// database or the other.
var hostile = []string{
	`'); DROP TABLE tokens; --`, `x' OR '1'='1`, `" OR ""="`, `%`, `_%`, `\`, `\'; --`, `/* */ ; --`, "`;", `$1 $$ ? ?1 :a @a {0}`, `'||pg_sleep(60)||'`, `[*?]`, `["x"]`, `null`,
}

// What users and clients write is text in every place that takes text: it comes back as
// it was given, means no other token, and changes nothing else.
func TestHostileText(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	r := open(t, o)
	other, otherValue := issue(t, r, registry.IssueRequest{Owner: "bystander", Purpose: "p", Tags: []string{"x"}, Scopes: []string{"read:x"}})
	for i, s := range hostile {
		tok, value := issue(t, r, registry.IssueRequest{Owner: s, Purpose: s, Tags: []string{s}, Scopes: []string{"read:a"}})
		imported, err := r.Import(ctx, registry.ImportRequest{Value: odd(i), Owner: s, Purpose: s, Provider: s, Tags: []string{s}})
		if err != nil {
			t.Fatal(s, err)
		}
		for _, want := range []registry.Token{tok, imported} {
			got, err := r.Token(ctx, want.ID)
			if err != nil || got.Owner != s || got.Purpose != s || !slices.Equal(got.Tags, []string{s}) || got.Provider != want.Provider {
				t.Errorf("%q came back as %+v, %v", s, got, err)
			}
		}
		both := []string{tok.ID, imported.ID}
		for name, f := range map[string]registry.Filter{"owner": {Owner: s}, "tag": {Tag: s}} {
			if all, err := r.List(ctx, f); err != nil || !slices.Equal(ids(all), both) {
				t.Errorf("by %s %q: %v, %v", name, s, ids(all), err)
			}
		}
		if all, err := r.List(ctx, registry.Filter{Family: s}); err != nil || len(all) > 0 {
			t.Errorf("by family %q: %v, %v", s, ids(all), err)
		}
		if _, err := r.List(ctx, registry.Filter{Scope: s}); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("by scope %q: %v", s, err)
		}
		if all, err := r.List(ctx, registry.Filter{State: s}); err == nil && len(all) > 0 {
			t.Errorf("in state %q: %v", s, ids(all))
		}
		if _, err := r.Token(ctx, s); !errors.Is(err, registry.ErrNoToken) {
			t.Errorf("token %q: %v", s, err)
		}
		if _, _, err := r.Do(ctx, registry.Revoke, s, registry.Change{}); !errors.Is(err, registry.ErrNoToken) {
			t.Errorf("revoking %q: %v", s, err)
		}
		for range 2 { // in the transaction that answers, and in that of all of a second
			use := registry.Use{Client: s, Method: s, Endpoint: s, Agent: s + "\x00"}
			if v, err := r.Verify(ctx, value, use); err != nil || !v.Valid {
				t.Errorf("used by %q: %v, %v", s, v.Reason, err)
			}
			if v, err := r.Verify(ctx, secret.NewString(s+"0123456789abcdef"), use); err != nil || v.Valid {
				t.Errorf("the value %q: %v, %v", s, v.Reason, err)
			}
		}
		if err := r.Flush(ctx); err != nil {
			t.Fatal(s, err)
		}
		if _, err := r.Verify(ctx, value, registry.Use{Scope: s}); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("asked for scope %q: %v", s, err)
		}
		next, _, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{Overlap: time.Hour})
		if err != nil || next.Owner != s || next.Purpose != s {
			t.Errorf("rotated %q: %+v, %v", s, next, err)
		}
		if all, err := r.DoAll(ctx, registry.Suspend, registry.Filter{Tag: s}, registry.Change{Actor: s, Reason: s}, false); err != nil || len(all) != 3 {
			t.Errorf("suspended by tag %q: %v, %v", s, ids(all), err)
		}
		if all, err := r.DoAll(ctx, registry.Revoke, registry.Filter{Owner: s}, registry.Change{Actor: s, Reason: s}, false); err != nil || len(all) != 3 || all[0].RevokedBy != s || all[0].RevokedReason != s {
			t.Errorf("revoked of owner %q: %v, %v", s, ids(all), err)
		}
		told := false
		if err := r.Audit().Each(ctx, 0, tok.ID, func(e audit.Entry) error {
			told = told || e.Kind == "token.revoke" && e.Actor == s && e.Details["reason"] == s
			return nil
		}); err != nil || !told {
			t.Errorf("the revocation by %q is not in the log as it was, %v", s, err)
		}
	}
	// An owner is taken out, and nobody else.
	for _, s := range hostile {
		if res, err := erasure.Owner(ctx, r, s, false); err != nil || res.Tokens != 3 {
			t.Errorf("erasing %q: %+v, %v", s, res, err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	r = open(t, o)
	if got, err := r.Token(ctx, other.ID); err != nil || got.State != registry.Live || got.Owner != "bystander" || got.Uses != 0 {
		t.Errorf("the bystander: %+v, %v", got, err)
	}
	if v, err := r.Verify(ctx, otherValue, registry.Use{Scope: "read:x"}); err != nil || !v.Valid {
		t.Errorf("the bystander: %v, %v", v.Reason, err)
	}
	if all, err := r.List(ctx, registry.Filter{}); err != nil || len(all) != 1+3*len(hostile) {
		t.Errorf("%d tokens, %v", len(all), err)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

func ids(all []registry.Token) (out []string) {
	for _, t := range all {
		out = append(out, t.ID)
	}
	return out
}

package erasure_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/erasure"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/sweeper"
	"github.com/quench-dev/quench/scanner/secret"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// An owner is gone from the database and its files, byte by byte; other owners and the
// proofs of the log are not touched.
func TestOwner(t *testing.T) {
	ctx := t.Context()
	dir := t.TempDir()
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	r, err := registry.Open(ctx, registry.Options{Path: storetest.Address(t, filepath.Join(dir, "state", "registry.db")), Create: true, Actor: "root", Now: func() time.Time { return now },
		EachUse: true, Pepper: registry.PepperSource{File: filepath.Join(dir, "config", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	issue := func(owner, purpose string) (registry.Token, secret.Secret) {
		tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: owner, Purpose: purpose, Tags: []string{"tag-of-" + owner}})
		if err != nil {
			t.Fatal(err)
		}
		return tok, value
	}
	ann, value := issue("ann.example", "phone-of-ann")
	bob, _ := issue("bob.example", "phone-of-bob")
	if _, err := r.Verify(ctx, value, registry.Use{Client: "laptop-of-ann"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Do(ctx, registry.Suspend, bob.ID, registry.Change{Actor: "ann.example", Reason: "bob is away"}); err != nil {
		t.Fatal(err)
	}
	if _, err := erasure.Owner(ctx, r, "ann.example", false); !errors.Is(err, erasure.ErrAlive) {
		t.Fatalf("with a live token: %v", err)
	}
	now = now.Add(31 * 24 * time.Hour)
	if _, err := sweeper.Sweep(ctx, r); err != nil { // with its alert
		t.Fatal(err)
	}
	proof, err := r.Audit().Prove(ctx, 1)
	if err != nil {
		t.Fatal(err)
	}
	dry, err := erasure.Owner(ctx, r, "ann.example", true)
	if err != nil {
		t.Fatal(err)
	}
	got, err := erasure.Owner(ctx, r, "ann.example", false)
	if want := (erasure.Result{Events: 4, Tokens: 1, Alerts: 1}); err != nil || got != want || dry != want {
		t.Errorf("%+v, dry %+v, %v; want %+v", got, dry, err, want)
	}
	sound, err := r.Audit().Verify(ctx)
	if err != nil || sound.Erased != 4 {
		t.Errorf("%+v, %v", sound, err)
	}
	if tok, err := r.Token(ctx, ann.ID); err != nil || tok.Owner != erasure.Word || tok.Purpose != erasure.Word || len(tok.Tags) > 0 {
		t.Errorf("%+v, %v", tok, err)
	}
	if tok, err := r.Token(ctx, bob.ID); err != nil || tok.Purpose != "phone-of-bob" {
		t.Errorf("%+v, %v", tok, err)
	}
	if len(proof.Open) == 0 {
		t.Error("the proof opens nothing")
	}
	if !storetest.OnPostgres() {
		gone(t, filepath.Join(dir, "state"))
	}
	if _, err := erasure.Owner(ctx, r, "", false); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("no owner: %v", err)
	}
	if again, err := erasure.Owner(ctx, r, "ann.example", false); err != nil || again != (erasure.Result{}) {
		t.Errorf("again: %+v, %v", again, err)
	}
}

func gone(t *testing.T, dir string) {
	t.Helper()
	for file, want := range map[string]bool{"registry.db": true, "registry.db-wal": false} {
		b, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil && want {
			t.Fatal(err)
		}
		for _, word := range []string{"ann.example", "phone-of-ann", "laptop-of-ann"} {
			if bytes.Contains(b, []byte(word)) {
				t.Errorf("%s holds %q", file, word)
			}
		}
		if want && !bytes.Contains(b, []byte("phone-of-bob")) {
			t.Errorf("%s does not hold bob's", file)
		}
	}
}

package revoker

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/riverqueue/river/rivertype"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker/internal/webhook"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// incident makes a registry with an incident whose provider is to be told and
// cannot be reached.
func incident(t *testing.T) (*Revoker, Incident) {
	t.Helper()
	ctx, dir := context.Background(), t.TempDir()
	reg, err := registry.Open(ctx, registry.Options{Path: storetest.Address(t, filepath.Join(dir, "r.db")), Create: true, Actor: "test",
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper"), Checkpoints: filepath.Join(dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	text, err := rules.Expand("Zq{30:alnum}", 3)
	if err != nil {
		t.Fatal(err)
	}
	value := secret.NewString(text)
	tok, err := reg.Import(ctx, registry.ImportRequest{Owner: "ann", Purpose: "test", Provider: "vendor", Value: value})
	if err != nil {
		t.Fatal(err)
	}
	p, err := policies.Parse([]byte("[[provider]]\nname = 'vendor'\nkind = 'webhook'\nurl = 'https://127.0.0.1:1'\nsecret_file = '" + filepath.ToSlash(filepath.Join(dir, "none")) + "'\n"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(reg, p, Options{Mode: Auto})
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Contain(ctx, scanner.Hit{Match: scanner.Match{Rule: scanner.RegistryRule, Secret: value, Confidence: rules.High, Token: &scanner.KnownToken{ID: tok.ID}},
		Origin: sources.Origin{Source: "dir", Path: "a"}, FoundAt: time.Now()})
	if err != nil || c.Action != Queued {
		t.Fatalf("%+v, %v", c, err)
	}
	i, err := r.Incident(ctx, c.IncidentID)
	if err != nil || i.State != StateRevoking {
		t.Fatalf("%+v, %v", i, err)
	}
	return r, i
}

// A process that slept through its lease comes back with an answer of its own:
// it is kept, and changes nothing that was settled meanwhile.
func TestLateAnswer(t *testing.T) {
	ctx := context.Background()
	r, i := incident(t)
	if err := r.settle(ctx, i, Receipt{Provider: "vendor", Outcome: Accepted, Status: 202, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	first, err := r.Incident(ctx, i.ID)
	if err != nil || first.State != StateDead || first.ConfirmedAt.IsZero() {
		t.Fatalf("%+v, %v", first, err)
	}
	for _, late := range []Outcome{Denied, Failed, Gone} {
		if err := r.settle(ctx, i, Receipt{Provider: "vendor", Outcome: late, At: time.Now(), Detail: "late"}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := r.Incident(ctx, i.ID)
	if err != nil || got.State != StateDead || got.Note != "" || !got.ConfirmedAt.Equal(first.ConfirmedAt) || len(got.Receipts) != len(first.Receipts)+3 {
		t.Errorf("%+v, %v", got, err)
	}
}

// After its last attempt an incident says that nobody comes back to it, and a
// person's retry puts it into the queue again.
func TestGivesUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r, i := incident(t)
	if _, err := r.reg.Store().Writer().Exec("UPDATE river_job SET attempt = ?, max_attempts = ?, scheduled_at = ?", maxAttempts-1, maxAttempts,
		time.Now().Add(-time.Second).UTC().Format("2006-01-02 15:04:05.000")); err != nil {
		t.Fatal(err)
	}
	if err := r.Work(ctx, WorkOptions{Drain: true}); err != nil {
		t.Fatal(err)
	}
	got, err := r.Incident(ctx, i.ID)
	if err != nil || got.State != StateFailed || got.Note == "" {
		t.Fatalf("%+v, %v", got, err)
	}
	var again *retryError
	if err := r.Retry(ctx, i.ID); !errors.As(err, &again) {
		t.Errorf("retry: %v", err)
	}
	due, _, err := r.waiting(ctx, 10)
	if got, _ := r.Incident(ctx, i.ID); got.State != StateRevoking || due != 1 || err != nil {
		t.Errorf("after a retry: %+v, %d due, %v", got, due, err)
	}
}

func TestNextRetry(t *testing.T) {
	for n, want := range map[int]time.Duration{0: 500 * time.Millisecond, 1: time.Second, 4: 8 * time.Second, 9: 256 * time.Second, 10: maxWait, 599: maxWait} {
		start := time.Now()
		got := retryPolicy{}.NextRetry(&rivertype.JobRow{Errors: make([]rivertype.AttemptError, n)}).Sub(start)
		if got < want || got > want+time.Minute/2 {
			t.Errorf("after %d errors: %s, want %s", n, got, want)
		}
	}
}

// The times fit into each other: see their comments.
func TestTimes(t *testing.T) {
	if !(webhook.Timeout < leaseTime && leaseTime < headStart && webhook.Timeout < jobTimeout && jobTimeout < rescueAfter) {
		t.Errorf("call %s, lease %s, head start %s, job %s, rescue %s", webhook.Timeout, leaseTime, headStart, jobTimeout, rescueAfter)
	}
}

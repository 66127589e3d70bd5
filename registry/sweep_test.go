package registry_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
)

func TestSweepWarnsOnceOfEach(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	start := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	c := &clock{at: start}
	o.Now = c.now
	r := open(t, o)
	tok, _ := issue(t, r, registry.IssueRequest{TTL: 30 * day, RotateWithin: 20 * day})
	short, _ := issue(t, r, registry.IssueRequest{TTL: time.Hour})
	gone, _ := issue(t, r, registry.IssueRequest{TTL: 30 * day})
	if _, _, err := r.Do(ctx, registry.Revoke, gone.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	events := func(id string) string {
		return strings.Join(slices.DeleteFunc(kinds(t, r, id), func(k string) bool { return !strings.HasSuffix(k, "_due") && !strings.HasSuffix(k, "_passed") }), " ")
	}
	for _, step := range []struct {
		at   time.Duration
		want int // warnings
	}{
		{0, 0}, {time.Hour - time.Second, 0}, {time.Hour, 1}, {13*day - time.Second, 0}, {13 * day, 1}, {13 * day, 0}, {19 * day, 1},
		{20*day - time.Hour, 1}, {20 * day, 1}, {23 * day, 1},
		{30*day - 2*time.Minute, 1}, // two were missed, the latest is told
		{31 * day, 1}, {40 * day, 0},
	} {
		c.move(start.Add(step.at).Sub(c.now()))
		if got, err := r.Sweep(ctx); err != nil || len(got) != step.want {
			t.Errorf("after %v: %d warnings, %v; want %d", step.at, len(got), err, step.want)
		}
	}
	if got, want := events(tok.ID), "token.rotation_due token.rotation_due token.rotation_due token.rotation_passed token.expiry_due token.expiry_due token.expiry_passed"; got != want {
		t.Errorf("events %s, want %s", got, want)
	}
	if got := events(short.ID) + events(gone.ID); got != "token.expiry_passed" {
		t.Errorf("of a short and a revoked token: %q", got)
	}
}

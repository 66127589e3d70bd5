package registry_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/issuing"
)

const day = 24 * time.Hour

func TestIssuePolicy(t *testing.T) {
	rules := registry.IssuePolicy{MaxTTL: issuing.Lifetime(60 * day), Rules: []issuing.Rule{
		{Owner: "ci-*", MaxTTL: issuing.Lifetime(14 * day), RotateWithin: issuing.Lifetime(7 * day), Forbid: []string{"read:**"}},
		{Owner: "ci-never", Never: true},
		{Owner: "ops", Never: true},
	}}
	for _, tc := range []struct {
		name        string
		policy      registry.IssuePolicy
		q           registry.IssueRequest
		want        error
		ttl, rotate time.Duration // of what is issued; 0 is none
	}{
		{"zero policy", registry.IssuePolicy{}, registry.IssueRequest{Owner: "ann"}, nil, 30 * day, 0},
		{"a year", registry.IssuePolicy{}, registry.IssueRequest{Owner: "ann", TTL: 365 * day}, nil, 365 * day, 0},
		{"more", registry.IssuePolicy{}, registry.IssueRequest{Owner: "ann", TTL: 365*day + 1}, registry.ErrPolicy, 0, 0},
		{"never", registry.IssuePolicy{}, registry.IssueRequest{Owner: "ann", Never: true}, registry.ErrPolicy, 0, 0},
		{"never and a ttl", rules, registry.IssueRequest{Owner: "ops", Never: true, TTL: day}, registry.ErrInvalid, 0, 0},
		{"allowed never", rules, registry.IssueRequest{Owner: "ops", Never: true}, nil, 0, 0},
		{"the policy's own most", rules, registry.IssueRequest{Owner: "ops", TTL: 61 * day}, registry.ErrPolicy, 0, 0},
		{"default below the most", rules, registry.IssueRequest{Owner: "ci-a"}, nil, 14 * day, 7 * day},
		{"own deadline", rules, registry.IssueRequest{Owner: "ci-a", RotateWithin: day}, nil, 14 * day, day},
		{"expires before the deadline", rules, registry.IssueRequest{Owner: "ci-a", TTL: day}, nil, day, 0},
		{"late deadline", rules, registry.IssueRequest{Owner: "ci-a", RotateWithin: 8 * day}, registry.ErrPolicy, 0, 0},
		{"first rule decides", rules, registry.IssueRequest{Owner: "ci-never", Never: true}, registry.ErrPolicy, 0, 0},
		{"no rule", rules, registry.IssueRequest{Owner: "ann"}, registry.ErrPolicy, 0, 0},
		{"forbidden", rules, registry.IssueRequest{Owner: "ci-a", Scopes: []string{"read:**"}}, registry.ErrPolicy, 0, 0},
		{"contains the forbidden", rules, registry.IssueRequest{Owner: "ci-a", Scopes: []string{"**:**"}}, registry.ErrPolicy, 0, 0},
		{"narrower", rules, registry.IssueRequest{Owner: "ci-a", Scopes: []string{"read:a/*"}}, nil, 14 * day, 7 * day},
	} {
		o := newPlace(t).options()
		o.Issue = tc.policy
		r := open(t, o)
		tc.q.Purpose = "tests"
		tok, _, err := r.Issue(context.Background(), tc.q)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", tc.name, err, tc.want)
		}
		if err != nil {
			continue
		}
		if ttl := tok.ExpiresAt.Sub(tok.CreatedAt); tok.ExpiresAt.IsZero() != (tc.ttl == 0) || tc.ttl > 0 && ttl != tc.ttl {
			t.Errorf("%s: expires %v after it was made, want %v", tc.name, ttl, tc.ttl)
		}
		if in := tok.RotateBy.Sub(tok.CreatedAt); tok.RotateBy.IsZero() != (tc.rotate == 0) || tc.rotate > 0 && in != tc.rotate {
			t.Errorf("%s: to be rotated within %v, want %v", tc.name, in, tc.rotate)
		}
	}
}

// A successor is under the policy of the day it is made.
func TestPolicyHoldsForSuccessors(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	o.Issue = registry.IssuePolicy{Rules: []issuing.Rule{{Owner: "*", Never: true}}}
	r := open(t, o)
	old, _ := issue(t, r, registry.IssueRequest{Never: true})
	next, _, err := r.Rotate(ctx, old.ID, registry.RotateRequest{Overlap: time.Hour})
	if err != nil || !next.ExpiresAt.IsZero() {
		t.Fatalf("the successor of one that never expires: %v, %v", next.ExpiresAt, err)
	}
	o.Issue = registry.IssuePolicy{}
	strict := open(t, o)
	if _, _, err := strict.Rotate(ctx, next.ID, registry.RotateRequest{}); !errors.Is(err, registry.ErrPolicy) {
		t.Errorf("under a stricter policy: %v, want ErrPolicy", err)
	}
	if _, _, err := strict.Rotate(ctx, next.ID, registry.RotateRequest{TTL: time.Hour}); err != nil {
		t.Errorf("with a ttl: %v", err)
	}
}

func TestBadPolicyIsRefused(t *testing.T) {
	for _, bad := range []issuing.Rule{
		{}, {Owner: "["}, {Owner: "*", MaxTTL: issuing.Lifetime(registry.MaxTTL + 1)}, {Owner: "*", Scopes: []string{"read"}},
		{Owner: "*", Forbid: []string{":"}}, {Owner: "*", Prefixes: []string{"X"}}, {Owner: "*", Environments: []string{"prod"}},
	} {
		o := newPlace(t).options()
		o.Issue.Rules = []issuing.Rule{bad}
		if r, err := registry.Open(context.Background(), o); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", bad, err)
			if r != nil {
				r.Close()
			}
		}
	}
}

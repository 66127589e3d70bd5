package revoker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker"
)

// Where one of a family leaked, the others that are alive are offered to be revoked:
// in the report, at the incident and in the alert, and only while there are any.
func TestFamilyIsOffered(t *testing.T) {
	ctx := t.Context()
	f := newFixture(t, "")
	var err error
	if f.tok, f.value, err = f.reg.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "test"}); err != nil {
		t.Fatal(err)
	}
	next, _, err := f.reg.Rotate(ctx, f.tok.ID, registry.RotateRequest{Overlap: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	offer := "another of its family is alive (" + next.ID + "); if it may have leaked with this one: quench token revoke --family " + f.tok.ID
	dry, err := f.revoker(t, revoker.DryRun, revoker.Policy{}).Contain(ctx, f.hit("a.env"))
	if err != nil || dry.Offer != offer || !strings.HasSuffix(dry.Told(), "; "+offer) {
		t.Errorf("dry run: %q, %v", dry.Told(), err)
	}
	r := f.revoker(t, revoker.Auto, revoker.Policy{})
	c, err := r.Contain(ctx, f.hit("a.env"))
	if err != nil || c.Action != revoker.Revoked || !strings.HasSuffix(c.Told(), "; "+offer) {
		t.Errorf("contained: %s %q, %v", c.Action, c.Told(), err)
	}
	if i, err := r.Incident(ctx, c.IncidentID); err != nil || i.Family == nil || i.Family.Offer() != offer {
		t.Errorf("incident: %+v, %v", i.Family, err)
	}
	if c, err = r.Contain(ctx, f.hit("b.env")); err != nil || c.Action != revoker.AlreadyDead {
		t.Fatal(c, err)
	}
	all, err := alert.List(ctx, f.reg.Store().Reader(), alert.Filter{TokenID: f.tok.ID})
	if err != nil || len(all) != 1 || all[0].Kind != "token.leaked" || all[0].Severity != alert.Critical || all[0].IncidentID != c.IncidentID || all[0].Owner != "ann" ||
		!strings.HasPrefix(all[0].Advice, "It is revoked") || !strings.Contains(all[0].Advice, offer) || !strings.Contains(all[0].Title, "a.env, line 3") {
		t.Errorf("alerts %+v, %v", all, err)
	}
	if _, err := f.reg.DoAll(ctx, registry.Revoke, registry.Filter{Family: f.tok.ID}, registry.Change{}, false); err != nil {
		t.Fatal(err)
	}
	if i, err := r.Incident(ctx, c.IncidentID); err != nil || i.Family != nil {
		t.Errorf("when all are revoked: %+v, %v", i.Family, err)
	}
}

// The alert of a leak says what is left to do.
func TestLeakIsTold(t *testing.T) {
	var protect revoker.Policy
	protect.Protect.Owners = []string{"ann"}
	for _, c := range []struct {
		mode     revoker.Mode
		policy   revoker.Policy
		before   registry.Action
		severity string
		advice   string
	}{
		{revoker.Off, revoker.Policy{}, "", alert.Critical, "It is alive. Revoke it"},
		{revoker.Auto, protect, "", alert.Critical, "The policy protects it"},
		{revoker.Auto, revoker.Policy{}, registry.Revoke, alert.Info, "Nothing is to be done: the token was already revoked"},
	} {
		f := newFixture(t, "")
		if c.before != "" {
			if _, _, err := f.reg.Do(t.Context(), c.before, f.tok.ID, registry.Change{}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.revoker(t, c.mode, c.policy).Contain(t.Context(), f.hit("a.env")); err != nil {
			t.Fatal(err)
		}
		all, err := alert.List(t.Context(), f.reg.Store().Reader(), alert.Filter{})
		if err != nil || len(all) != 1 || all[0].Severity != c.severity || !strings.HasPrefix(all[0].Advice, c.advice) {
			t.Errorf("%s: %+v, %v", c.mode, all, err)
		}
	}
}

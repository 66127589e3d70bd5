package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/revoker/internal/brake"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/hours"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner"
)

// dueArgs are of a job that ends what was waiting. It is another kind than a call that
// failed: that it is still to come is no failure.
type dueArgs struct {
	IncidentID string `json:"incident_id" river:"unique"`
}

func (dueArgs) Kind() string { return "end-waiting" }

// wait makes an incident one that is ended by itself at a time, in tx.
func (r *Revoker) wait(ctx context.Context, tx *sql.Tx, id string, until time.Time) error {
	// The queue counts time as the machine does, the incident as the registry does.
	res, err := r.queue.InsertTx(ctx, tx, dueArgs{id}, &river.InsertOpts{ScheduledAt: time.Now().Add(until.Sub(r.reg.Now())), UniqueOpts: unfinished})
	if err != nil {
		return fmt.Errorf("queueing the end of incident %s: %w", id, err)
	}
	_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, due_at = ?, job_id = ? WHERE id = ?", StateWaiting, micros(until), res.Job.ID, id)
	return err
}

// bound writes how the end of an incident is held back.
func bound(ctx context.Context, tx *sql.Tx, id string, f decide.Final) error {
	if f.Zero() {
		return nil
	}
	_, err := tx.ExecContext(ctx, "UPDATE incidents SET hours = ?, approvers = ?, grace_us = ? WHERE id = ?",
		f.Hours, strings.Join(f.Approvers, "\n"), time.Duration(f.Grace).Microseconds(), id)
	return err
}

// final is how the end of an incident is held back.
func (i Incident) final() decide.Final {
	return decide.Final{Hours: i.Hours, Approvers: i.Approvers, Grace: decide.Grace(i.grace)}
}

// holdTx suspends a token of the registry whose revocation policy or brake holds back.
func (r *Revoker) holdTx(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, inc Incident, hold decide.Hold, braked bool, c *Containment) error {
	now := r.reg.Now()
	_, changed, err := r.reg.DoTx(ctx, tx, registry.Suspend, tok.ID, registry.Change{Reason: "leaked, incident " + inc.ID, IncidentID: inc.ID})
	if err != nil {
		return err
	}
	c.Action, c.DeadAt = Suspended, now
	c.Text = "suspended " + max(now.Sub(c.FoundAt).Round(time.Millisecond), time.Millisecond).String() + " after it was found; "
	note := hold.Why
	if hold.Ask {
		c.Text += hold.Why + "; quench incident confirm revokes it"
	} else {
		note = "suspended until then: " + hold.Why
		c.Text += "revoked after " + hold.Until.UTC().Format(decide.Stamp) + ", " + hold.Why
	}
	then, prov, err := r.thenTx(ctx, tx, h, tok, inc.ID)
	if err != nil {
		return err
	}
	suspended, brakedAt, automatic := any(nil), any(nil), any(micros(now))
	if changed { // else a person suspended it, and alone resumes it
		suspended = micros(now)
	}
	if hold.Ask {
		automatic = nil // a person decides
	}
	if braked {
		brakedAt = micros(now)
		if err := brake.Tell(ctx, tx, brake.Tokens, now, hold.Why, "They are suspended, so nobody can use them"); err != nil {
			return err
		}
	}
	_, err = tx.ExecContext(ctx, `UPDATE incidents SET state = ?, note = ?, provider = ?, then_do = ?, dead_at = ?, suspended_at = ?, braked_at = ?, automatic_at = ?, due_at = NULL, confirmed_at = NULL WHERE id = ?`,
		StateAsking, note, prov, then, micros(now), suspended, brakedAt, automatic, inc.ID)
	if err == nil {
		err = bound(ctx, tx, inc.ID, r.policy.Tokens)
	}
	if err == nil && !hold.Ask {
		err = r.wait(ctx, tx, inc.ID, hold.Until)
	}
	return err
}

// thenTx decides now, while the leak is known, what is done at the provider of a token
// once it is revoked, and seals what that takes.
func (r *Revoker) thenTx(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, id string) (then decide.Action, prov string, err error) {
	if !r.policy.Calls(tok.Provider) {
		return "", "", nil // a webhook is found by the token
	}
	p := r.planAPI(h, tok)
	switch p.Do {
	case decide.Revoke:
		then = decide.Revoke
	case decide.Ask, decide.Wait: // held back twice is once, and then a person says so
		then = decide.Ask
	default:
		return "", "", nil
	}
	if r.box == nil {
		return "", "", sealed.ErrKey
	}
	return then, tok.Provider, r.box.Put(ctx, tx, id, tok.Provider, sealed.Content{Secret: h.Secret}, r.reg.Now())
}

// planAPI is what policy wants done at the provider of a token.
func (r *Revoker) planAPI(h scanner.Hit, tok registry.Token) decide.Plan {
	l := leakOf(h)
	l.Provider, l.Environment, l.Owner, l.Confidence = tok.Provider, tok.Env, tok.Owner, "high"
	return r.decider(true).Plan(l, 0) // what the registry knows for its own has another brake
}

// decider is the policy's, by this registry's clock.
func (r *Revoker) decider(auto bool) *decide.Policy {
	d := r.policy.Decider(r.table, auto)
	d.Now = r.reg.Now
	return d
}

// due ends what was waiting, when its time has come.
func (r *Revoker) due(ctx context.Context, id string) error {
	call, later := false, (*retryError)(nil)
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		call, later = false, nil
		inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE id = ?", id))
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return fmt.Errorf("incident %s: %w", id, ErrNoIncident)
		case err != nil:
			return err
		case inc.State != StateWaiting:
			return nil // a person was here before
		case r.policy.Off():
			later = &retryError{after: maxWait, detail: decide.KillSwitch}
			return note(ctx, tx, id, decide.KillSwitch)
		}
		open, err := hours.Parse(inc.Hours)
		if err != nil { // of another version, or of whoever wrote the database
			const held = "when it may end cannot be read: quench incident confirm ends it, dismiss stops it"
			later = &retryError{after: maxWait, detail: fmt.Sprintf("%s (%v)", held, err)}
			return note(ctx, tx, id, held)
		}
		until := open.Next(maxTime(inc.DueAt, r.reg.Now())) // it may be late, and the office closed again
		if left := until.Sub(r.reg.Now()); left > 0 {
			later = &retryError{after: left, detail: "not due before " + until.Format(time.RFC3339)}
			_, err := tx.ExecContext(ctx, "UPDATE incidents SET due_at = ? WHERE id = ?", micros(until), id)
			return err
		}
		if guarded, err := r.guarded(ctx, tx, inc); err != nil || guarded != "" {
			later = &retryError{after: maxWait, detail: guarded}
			return errors.Join(err, note(ctx, tx, id, guarded))
		}
		call, err = r.finish(ctx, tx, inc, "incident.due")
		return err
	})
	switch {
	case err != nil || later == nil && !call:
		return err
	case later != nil:
		return later
	}
	_, err = r.deliver(ctx, id)
	return err
}

// guarded says why policy does not let what was waiting end now; empty if it does.
func (r *Revoker) guarded(ctx context.Context, tx *sql.Tx, inc Incident) (string, error) {
	if inc.TokenID == "" {
		err := inc.readPlaces(ctx, r.reg.Store().Reader())
		for _, p := range inc.Places {
			if r.decider(true).Protects(decide.Leak{Provider: inc.Provider, Rule: inc.Rule, Path: p.Path}) {
				return "the policy protects it now: quench incident dismiss, or confirm, ends the wait", err
			}
		}
		return "", err
	}
	tok, err := r.reg.TokenTx(ctx, tx, inc.TokenID)
	if err == nil && tok.State != registry.Revoked && r.policy.Protects(tok) {
		return "the policy protects the token now: quench incident dismiss resumes it, confirm revokes it", nil
	}
	return "", err
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// finish makes an incident that was held back one that is ended now. call says that its
// provider is to be called.
func (r *Revoker) finish(ctx context.Context, tx *sql.Tx, inc Incident, kind string) (call bool, err error) {
	now := r.reg.Now()
	if _, err := audit.Append(ctx, tx, now, audit.Event{Kind: kind, Actor: r.reg.Actor(), TokenID: inc.TokenID, IncidentID: inc.ID,
		Details: map[string]string{"was": inc.State}}); err != nil {
		return false, err
	}
	state, job := StateRevoking, any(nil)
	if inc.TokenID != "" {
		tok, err := r.reg.TokenTx(ctx, tx, inc.TokenID)
		if err != nil {
			return false, err
		}
		if _, _, err := r.reg.DoTx(ctx, tx, registry.Revoke, tok.ID, registry.Change{Reason: "leaked, incident " + inc.ID, IncidentID: inc.ID}); err != nil {
			return false, err
		}
		p, told := r.policy.Webhook(tok.Provider)
		switch {
		case inc.then == decide.Ask:
			state = StateAsking
		case inc.then == decide.Revoke && r.policy.Calls(inc.Provider):
		case told:
			inc.Provider = p.Name
		default:
			state = StateDead
		}
	}
	if state == StateRevoking {
		id, err := r.enqueue(ctx, tx, inc.ID)
		if err != nil {
			return false, err
		}
		job = id
	}
	if err := r.dropJob(ctx, tx, inc.job); err != nil {
		return false, err
	}
	note := ""
	if state == StateAsking {
		note = "it is revoked here; the policy has a person confirm the call to its provider"
	}
	dead := any(nil)
	if inc.TokenID != "" {
		dead = micros(now)
	}
	_, err = tx.ExecContext(ctx, `UPDATE incidents SET state = ?, note = ?, provider = ?, then_do = '', revoking_at = coalesce(revoking_at, ?), dead_at = coalesce(dead_at, ?),
		due_at = NULL, next_at = NULL, braked_at = NULL, job_id = ? WHERE id = ?`, state, note, inc.Provider, micros(now), dead, job, inc.ID)
	if err == nil && kind == "incident.confirm" { // a person's word stands over office hours
		_, err = tx.ExecContext(ctx, "UPDATE incidents SET hours = '' WHERE id = ?", inc.ID)
	}
	if err == nil && inc.TokenID != "" { // from here on it cannot be resumed
		_, err = tx.ExecContext(ctx, "UPDATE incidents SET suspended_at = NULL WHERE id = ?", inc.ID)
	}
	return state == StateRevoking, err
}

// approve refuses who may not confirm, and keeps in the audit log that they tried.
func (r *Revoker) approve(ctx context.Context, inc Incident) error {
	who := r.reg.Actor()
	if len(inc.Approvers) == 0 || slices.Contains(inc.Approvers, who) {
		return nil
	}
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		_, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.confirm_refused", Actor: who, TokenID: inc.TokenID, IncidentID: inc.ID,
			Details: map[string]string{"approvers": strings.Join(inc.Approvers, ", ")}})
		return err
	})
	return errors.Join(fmt.Errorf("incident %s: %w: by policy %s confirms it, and this account is %q", inc.ID, ErrNotApprover, decide.Names(inc.Approvers), who), err)
}

// ErrNotApprover means that policy names others who may confirm.
var ErrNotApprover = errors.New("not yours to confirm")

// resumeTx takes back in tx what an incident suspended. call says that its provider is
// to be called for that.
func (r *Revoker) resumeTx(ctx context.Context, tx *sql.Tx, inc Incident, reason string) (call bool, err error) {
	if inc.TokenID != "" {
		if _, _, err := r.reg.DoTx(ctx, tx, registry.Resume, inc.TokenID, registry.Change{Reason: reason, IncidentID: inc.ID}); err != nil {
			return false, err
		}
		_, err = tx.ExecContext(ctx, "UPDATE incidents SET dead_at = NULL, suspended_at = NULL WHERE id = ?", inc.ID)
		return false, err
	}
	if err := r.dropJob(ctx, tx, inc.job); err != nil {
		return false, err
	}
	job, err := r.enqueue(ctx, tx, inc.ID)
	if err != nil {
		return false, err
	}
	_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ?, due_at = NULL, next_at = NULL, job_id = ? WHERE id = ?", StateResuming, reason, job, inc.ID)
	return true, err
}

// Brakes tells how the brakes stand.
func (r *Revoker) Brakes(ctx context.Context) ([]brake.Brake, error) {
	return brake.All(ctx, r.reg.Store().Reader(), r.policy.Brake, r.reg.Now())
}

// Lately is what was decided on without a person within the brakes' hour.
func (r *Revoker) Lately(ctx context.Context) (policy.Lately, error) {
	return brake.Lately(ctx, r.reg.Store().Reader(), r.reg.Now())
}

// undoable names how a person takes back what a provider did; empty where they cannot.
func (r *Revoker) undoable(inc Incident) string {
	if r.table == nil {
		return ""
	}
	p, err := r.table.Get(inc.Provider)
	if err != nil {
		return ""
	}
	return p.Info().Undo
}

// suspender is the provider of an incident, if it can take back what it does.
func (a *attempt) suspender() provider.Suspender {
	s, _ := a.p.(provider.Suspender)
	return s
}

package revoker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/revoker/internal/brake"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/internal/tell"
	"github.com/quench-dev/quench/revoker/record"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// sealedKey is the file of the key of sealed secrets, beside the pepper.
const sealedKey = "sealed.key"

// leakOf is what a policy decides by.
func leakOf(h scanner.Hit) decide.Leak {
	return decide.Leak{Rule: h.Rule.ID, Source: h.Origin.Source, Path: h.Origin.Path, Refs: h.Origin.Refs, Confidence: string(h.Confidence)}
}

// Leak does what mode and policy say about a finding that is no token of the
// registry: a secret of somebody's, which their provider can end. Nothing is stored
// and nobody called for what the policy does not name. When it returns anything
// else, the incident is on disk, and the call in the queue. It may be called again
// for the same secret: further places join the incident.
func (r *Revoker) Leak(ctx context.Context, f scanner.Finding) (Containment, error) {
	c := Containment{Action: Reported, FoundAt: f.FoundAt, MatchedAt: r.reg.Now()}
	if f.Token != nil || f.Dropped != "" || f.Secret.IsZero() {
		return c, nil
	}
	by := r.decider(r.mode != Off)
	p := by.Named(leakOf(f.Hit), 0)
	if p.Leak.Provider == "" {
		return c, nil
	}
	if r.mode == DryRun {
		c.Action, c.Text = action(p), p.Would()
		return c, nil
	}
	begun, call := c, false
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) (err error) {
		c = begun // the store may run this again
		call, err = r.leakTx(ctx, tx, f, by, p.Leak, &c)
		return err
	})
	if err != nil {
		return Containment{}, fmt.Errorf("storing the incident: %w", err)
	}
	if !call {
		return c, nil
	}
	if until, ok := r.down.Load(p.Leak.Provider); ok && r.reg.Now().Before(until.(time.Time)) {
		c.Action, c.Text = Queued, c.Text+"; "+p.At+" did not answer just now, quench worker goes on"
		return c, nil
	}
	outcome, err := r.deliver(ctx, c.IncidentID)
	r.told(&c, outcome, err)
	return c, nil
}

// leakTx is the one transaction. call says that the provider is to be called.
func (r *Revoker) leakTx(ctx context.Context, tx *sql.Tx, f scanner.Finding, by *decide.Policy, l decide.Leak, c *Containment) (call bool, err error) {
	lately, err := brake.Decided(ctx, tx, brake.Secrets, r.reg.Now())
	if err != nil {
		return false, err
	}
	p := by.Plan(l, lately)
	place, unknown, err := finding.Store(ctx, tx, record.Of(f.Hit))
	if err != nil {
		return false, err
	}
	inc, fresh, err := r.openSecret(ctx, tx, f, p, c)
	if err != nil {
		return false, err
	}
	c.IncidentID, c.Fresh, c.DeadAt = inc.ID, unknown, inc.DeadAt
	if _, err := tx.ExecContext(ctx, "INSERT INTO incident_places (incident_id, finding_id) VALUES (?, ?) ON CONFLICT DO NOTHING", inc.ID, place); err != nil {
		return false, err
	}
	if inc.State != StateReported || inc.Outcome != "" && p.Do == decide.Check {
		c.Action, c.Text = inc.before()
		return false, nil
	}
	c.Action, c.Text = action(p), p.Does()
	if err := r.begin(ctx, tx, inc, p, r.content(f)); err != nil {
		return false, err
	}
	if p.Braked {
		if err := brake.Tell(ctx, tx, brake.Secrets, r.reg.Now(), p.Kept, "They may be alive"); err != nil {
			return false, err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE incidents SET braked_at = ? WHERE id = ?", micros(r.reg.Now()), inc.ID); err != nil {
			return false, err
		}
	}
	if fresh || p.Do == decide.Ask {
		err = tell.Secret(ctx, tx, f.Hit, tell.Incident{ID: inc.ID, Provider: inc.Provider, Rule: inc.Rule}, p, string(action(p)), r.reg.Now())
	}
	return p.Calls(), err
}

// content is what is sealed of a finding: the secret, and its public half where the
// provider needs just one.
func (r *Revoker) content(f scanner.Finding) sealed.Content {
	c := sealed.Content{Secret: f.Secret, Parts: map[string]secret.Secret{}}
	if f.Pair == nil {
		return c
	}
	for _, name := range r.policy.Issuers(r.table, f.Rule.ID) {
		if p, err := r.table.Get(name); err == nil && len(p.Info().Parts) == 1 {
			c.Parts[p.Info().Parts[0]] = f.Pair.Secret
		}
	}
	return c
}

// begin writes what was decided, and queues the call.
func (r *Revoker) begin(ctx context.Context, tx *sql.Tx, inc Incident, p decide.Plan, what sealed.Content) error {
	if p.Do == decide.Report {
		return note(ctx, tx, inc.ID, p.Kept)
	}
	if r.box == nil {
		return errors.New("no folder for the key of sealed secrets is known; set QUENCH_PEPPER_FILE")
	}
	now := r.reg.Now()
	if err := errors.Join(sealed.Expire(ctx, tx, now), r.box.Put(ctx, tx, inc.ID, p.Leak.Provider, what, now)); err != nil {
		return err
	}
	if err := bound(ctx, tx, inc.ID, p.Final); err != nil {
		return err
	}
	if p.Do == decide.Wait {
		automatic := any(nil)
		then := decide.Action("")
		if automatic = micros(now); inc.TokenID != "" {
			automatic, then = nil, decide.Revoke // it was counted when it was revoked here
		}
		if _, err := tx.ExecContext(ctx, "UPDATE incidents SET note = ?, provider = ?, then_do = ?, automatic_at = coalesce(?, automatic_at) WHERE id = ?", p.Kept, p.Leak.Provider, then, automatic, inc.ID); err != nil {
			return err
		}
		return r.wait(ctx, tx, inc.ID, p.Until)
	}
	if p.Do == decide.Ask {
		_, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ?, provider = ? WHERE id = ?", StateAsking, p.Kept, p.Leak.Provider, inc.ID)
		return err
	}
	job, err := r.enqueue(ctx, tx, inc.ID)
	if err != nil {
		return err
	}
	if err := r.lease(ctx, tx, inc.ID); err != nil {
		return err
	}
	state, revoking, automatic := StateChecking, any(nil), any(nil)
	if p.Do == decide.Revoke {
		state, revoking = StateRevoking, micros(now)
		if inc.TokenID == "" {
			automatic = micros(now)
		}
	}
	_, err = tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = '', provider = ?, revoking_at = coalesce(?, revoking_at), automatic_at = coalesce(?, automatic_at), job_id = ? WHERE id = ?",
		state, p.Leak.Provider, revoking, automatic, job, inc.ID)
	return err
}

// openSecret finds the secret's incident or makes it.
func (r *Revoker) openSecret(ctx context.Context, tx *sql.Tx, f scanner.Finding, p decide.Plan, c *Containment) (Incident, bool, error) {
	macs := r.reg.SecretMACs(f.Secret)
	for _, mac := range macs {
		inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE provider = ? AND secret_mac = ?", p.Leak.Provider, mac))
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE incidents SET secret_mac = ? WHERE id = ?", macs[0], inc.ID) // the newest pepper's
			return inc, false, err
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return inc, false, err
		}
	}
	id, err := uuid.NewV7()
	if err != nil {
		return Incident{}, false, err
	}
	inc := Incident{ID: id.String(), Provider: p.Leak.Provider, Rule: f.Rule.ID, Hint: f.Secret.Redacted(), State: StateReported, LeakedAt: leakedAt(f.Hit), FoundAt: c.FoundAt, MatchedAt: c.MatchedAt}
	_, err = tx.ExecContext(ctx, "INSERT INTO incidents (id, secret_mac, rule, hint, state, provider, note, leaked_at, found_at, matched_at) VALUES (?, ?, ?, ?, ?, ?, '', ?, ?, ?)",
		inc.ID, macs[0], inc.Rule, inc.Hint, inc.State, inc.Provider, nullMicros(inc.LeakedAt), micros(inc.FoundAt), micros(inc.MatchedAt))
	if err != nil {
		return inc, false, err
	}
	_, err = audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.open", Actor: r.reg.Actor(), IncidentID: inc.ID,
		Details: map[string]string{"source": f.Origin.Source, "rule": f.Rule.ID, "mode": string(r.mode), "provider": inc.Provider, "policy": string(p.Do), "why": p.Why}})
	return inc, true, err
}

// tellAPI decides whether the provider of a token that was just revoked is called.
func (r *Revoker) tellAPI(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, c *Containment) (job int64, err error) {
	p := r.planAPI(h, tok)
	now := micros(r.reg.Now())
	if _, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, provider = ?, revoking_at = ?, dead_at = ?, automatic_at = ? WHERE id = ?", StateDead, tok.Provider, now, now, now, c.IncidentID); err != nil {
		return 0, err
	}
	if p.Do == decide.Report || p.Do == decide.Check { // whether a token that is refused here is alive there is for a person to ask
		p.Do = decide.Report
		p.Kept = "its provider " + tok.Provider + " was not called: " + cmp.Or(p.Kept, p.Why)
		c.Text += "; " + p.Kept
		return 0, note(ctx, tx, c.IncidentID, p.Kept)
	}
	inc := Incident{ID: c.IncidentID, TokenID: tok.ID}
	if err := r.begin(ctx, tx, inc, p, sealed.Content{Secret: h.Secret}); err != nil {
		return 0, err
	}
	if !p.Calls() {
		c.Text += "; " + p.Does()
		return 0, nil
	}
	c.provider = tok.Provider
	err = tx.QueryRowContext(ctx, "SELECT job_id FROM incidents WHERE id = ?", c.IncidentID).Scan(&job)
	return job, err
}

// action is what Containment says of a plan before there is an answer.
func action(p decide.Plan) Action {
	switch {
	case p.Do == decide.Ask:
		return Asking
	case p.Do == decide.Wait:
		return Waiting
	case p.Do == decide.Revoke:
		return WouldRevoke
	case p.Protected:
		return Protected
	}
	return Reported
}

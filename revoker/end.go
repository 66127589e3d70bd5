package revoker

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/quench-dev/quench/revoker/calls"
	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/hours"
	"github.com/quench-dev/quench/revoker/internal/lease"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/internal/tell"
	"github.com/quench-dev/quench/revoker/provider"
)

const (
	// endTimeout bounds one attempt: two ways to end a secret of three steps each,
	// and a check before and after, of webhook.Timeout each, are 40 s.
	endTimeout = 45 * time.Second
	// acceptedTime is how long a provider that took a secret may need to end it
	// before it is told again. The slowest document "within minutes".
	acceptedTime = 24 * time.Hour
)

// attempt is one try to end or check a secret.
type attempt struct {
	inc   Incident
	p     provider.Provider
	set   provider.Settings
	net   provider.Net
	in    provider.Input
	owner string // of the lease: this attempt alone
	rate  budget.Rate
	// batch are further incidents of the provider that go with this one.
	batch []*attempt
}

// end calls the provider of an incident's secret, under a lease, and stores what came
// of it. A nil error means that there is nothing left to do, as from deliver.
func (r *Revoker) end(ctx context.Context, inc Incident) (Outcome, error) {
	if !inc.calls() {
		return "", nil
	}
	if wait := inc.next.Sub(r.reg.Now()); wait > 0 {
		return "", &retryError{after: wait, detail: "the provider asked not to be called before " + inc.next.Format(time.RFC3339)}
	}
	a, err := r.prepare(ctx, inc)
	if err == nil && a.closed(r.reg.Now()) > 0 {
		return "", &retryError{after: a.closed(r.reg.Now()), detail: "by policy only within " + inc.Hours}
	}
	switch {
	case errors.Is(err, sealed.ErrGone):
		return Failed, r.settleGone(ctx, inc)
	case err != nil: // an operator has to see it, and the queue comes back
		noted := r.reg.Store().InTx(ctx, func(tx *sql.Tx) error { return note(ctx, tx, inc.ID, err.Error()) })
		return "", errors.Join(&retryError{after: maxWait, detail: err.Error()}, noted)
	}
	var wait *retryError
	if err := r.claimEnd(ctx, a); errors.Is(err, errSettled) {
		return "", nil
	} else if errors.As(err, &wait) {
		return "", errors.Join(err, r.reg.Store().InTx(ctx, func(tx *sql.Tx) error { return note(ctx, tx, inc.ID, wait.detail) }))
	} else if err != nil {
		return "", err
	}
	call, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	call, stop := lease.Hold(call, r.reg.Store(), a.owner, r.reg.Now, leaseTime)
	defer stop()
	if len(a.batch) > 0 {
		return r.endBatch(ctx, call, a)
	}
	return r.settled(ctx, a, a.make(call))
}

// settled stores the answers of an attempt. Its results are those of end.
func (r *Revoker) settled(ctx context.Context, a *attempt, answers []provider.Answer) (Outcome, error) {
	inc, last := a.inc, answers[len(answers)-1]
	f := follows(a.inc, last, a.p.Info().CanCheck, r.reg.Now())
	f.suspended = f.suspended && a.suspender() != nil
	f.drop = f.drop || f.state == StateDead && !f.suspended
	if f.again && last.Outcome == provider.Accepted && !a.waits(r.reg.Now()) {
		f.accepted = r.reg.Now() // it was told just now: from here on it has its time
	}
	if err := r.settleEnd(context.WithoutCancel(ctx), a, answers, f); err != nil {
		return "", fmt.Errorf("storing the answers of %s: %w", inc.Provider, err)
	}
	if last.Status == 0 && !last.Outcome.Final() { // nobody there: the next do not wait for it, too
		r.down.Store(inc.Provider, r.reg.Now().Add(rescueAfter))
	} else {
		r.down.Delete(inc.Provider)
	}
	if f.suspended {
		return suspended, nil
	}
	if f.again {
		return Outcome(last.Outcome), &retryError{last.RetryAfter, string(last.Outcome) + ": " + last.Detail}
	}
	return Outcome(last.Outcome), nil
}

// prepare gathers what a call is made with, before anything is written.
func (r *Revoker) prepare(ctx context.Context, inc Incident) (*attempt, error) {
	if !r.policy.Calls(inc.Provider) {
		return nil, fmt.Errorf("provider %q is not in the policy any more", inc.Provider)
	}
	if r.box == nil {
		return nil, sealed.ErrKey
	}
	a := &attempt{inc: inc, owner: r.owner + "/" + uuid.NewString()}
	var err error
	if a.p, err = r.table.Get(inc.Provider); err != nil {
		return nil, err
	}
	a.rate = r.policy.Rate(a.p.Info())
	if a.set, a.net, err = r.policy.API(inc.Provider); err != nil {
		return nil, err
	}
	a.net.Dial, a.net.Lookup, a.net.Now = r.dial, r.lookup, r.reg.Now
	c, err := r.box.Take(ctx, r.reg.Store().Reader(), inc.ID, inc.Provider, r.reg.Now())
	if err != nil {
		return nil, err
	}
	a.in = provider.Input{Secret: c.Secret, Parts: c.Parts}
	return a, nil
}

// claimEnd leases the incident to one attempt, reads it under the lock, and writes
// that a call is begun: should this process die before the answer, the next finds
// that there may have been one.
func (r *Revoker) claimEnd(ctx context.Context, a *attempt) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE id = ?", a.inc.ID))
		if err != nil {
			return err
		}
		if !inc.calls() {
			return errSettled
		}
		a.inc = inc
		now := r.reg.Now()
		// The transaction that queued the call leased it to this process; from there
		// it goes to one attempt, and no other of this process takes it.
		if err := lease.Take(ctx, tx, inc.ID, a.owner, r.owner, now, leaseTime); err != nil {
			return err
		}
		calls := 0
		if inc.State != StateChecking && !a.waits(now) {
			calls = 1
			if _, err := tx.ExecContext(ctx, "UPDATE incidents SET attempting_at = ? WHERE id = ?", micros(now), inc.ID); err != nil {
				return err
			}
		}
		wait, why, err := budget.Take(ctx, tx, inc.Provider, a.rate, calls, now)
		if err != nil || wait > 0 {
			return cmp.Or(err, error(&retryError{wait, "its provider is called " + now.Add(wait).Format(time.RFC3339) + ": " + why}))
		}
		if _, ok := a.p.(provider.Batcher); ok && calls > 0 && inc.State == StateRevoking && inc.attempting.IsZero() {
			a.batch, err = r.gather(ctx, tx, a, now)
		}
		return err
	})
}

// waits reports whether the provider took the secret and is only asked whether it has
// ended it.
func (a *attempt) waits(now time.Time) bool {
	return a.inc.Outcome == Accepted && a.p.Info().CanCheck && now.Sub(a.inc.accepted) < acceptedTime
}

// graced reports whether a revocation that can be taken back is made final later.
func (i Incident) graced() bool {
	return i.grace > 0 && i.SuspendedAt.IsZero() && i.State == StateRevoking
}

// calls reports whether a provider is to be called for an incident.
func (i Incident) calls() bool {
	return i.State == StateRevoking || i.State == StateChecking || i.State == StateResuming
}

// closed is how long it is until the policy's hours, for what cannot be undone.
func (a *attempt) closed(now time.Time) time.Duration {
	h, err := hours.Parse(a.inc.Hours)
	if err != nil || a.inc.State != StateRevoking || a.suspender() != nil && a.inc.SuspendedAt.IsZero() || a.waits(now) {
		return 0
	}
	return h.Next(now).Sub(now)
}

// make makes the calls.
func (a *attempt) make(ctx context.Context) []provider.Answer {
	if a.inc.State == StateChecking {
		return []provider.Answer{a.p.Check(ctx, a.net, a.set, a.in)}
	}
	// What is already suspended is deleted or resumed by its id: that may be repeated, and
	// no check tells a deleted one from one that is suspended.
	if s := a.suspender(); s != nil && a.inc.State == StateResuming {
		return []provider.Answer{s.Resume(ctx, a.net, a.set, a.in)}
	} else if s != nil && !a.inc.SuspendedAt.IsZero() {
		return []provider.Answer{s.Delete(ctx, a.net, a.set, a.in)}
	}
	if !a.waits(a.net.Now()) {
		return provider.Kill(ctx, a.p, a.net, a.set, a.in, !a.inc.attempting.IsZero() || a.inc.Outcome == Accepted)
	}
	c := a.p.Check(ctx, a.net, a.set, a.in)
	last := c
	switch c.Outcome {
	case provider.Dead:
		last.Outcome, last.Detail = provider.Revoked, "confirmed: the provider does not take it any more"
	case provider.Live:
		last.Outcome, last.Detail = provider.Accepted, "the provider still takes it: to be checked again"
	default:
		last.Outcome = provider.Accepted
	}
	return []provider.Answer{c, last}
}

// after is what follows from an answer.
type after struct {
	state, note             string
	dead, confirmed, unsure bool
	accepted                time.Time
	next                    time.Time
	drop                    bool // the sealed secret
	again                   bool // the queue comes back
	alert                   bool
	truth                   bool // true whoever holds the lease
	suspended               bool // for now: it is ended for good later
}

// suspended is the outcome for those who found a secret that is ended for good later.
const suspended Outcome = "suspended"

// follows tells what an incident becomes by the last answer.
func follows(inc Incident, a provider.Answer, canCheck bool, now time.Time) after {
	f := after{state: inc.State, accepted: inc.accepted}
	resuming := inc.State == StateResuming
	if resuming && (a.Outcome == provider.Unknown || a.Outcome == provider.Failed) {
		f.again, f.note = true, inc.Note
		if a.RetryAfter > 0 {
			f.next = now.Add(a.RetryAfter)
		}
		return f
	}
	switch a.Outcome {
	case provider.Resumed:
		f.state, f.note, f.drop, f.truth = StateDismissed, reasonOf(inc), true, true
	case provider.Revoked, provider.AlreadyDead, provider.Dead:
		f.state, f.dead, f.confirmed, f.drop, f.truth = StateDead, true, true, true, true
		switch {
		case resuming:
			f.note, f.alert = "it could not be resumed, since it was deleted before", true
		case inc.graced() && a.Outcome == provider.Revoked:
			f.suspended, f.drop = true, false
		}
	case provider.Live:
		f.state, f.note, f.alert = StateReported, "it is alive; quench incident confirm ends it", true
	case provider.Accepted:
		if !canCheck {
			f.state, f.dead, f.suspended, f.note = StateDead, true, inc.graced(), "the provider took it, and has no call that confirms it"
			break
		}
		f.again = true
	case provider.Unknown:
		f.again, f.unsure, f.note = true, inc.State == StateRevoking, a.Detail
	case provider.Failed:
		f.again, f.note = true, a.Detail
	default: // denied, needs-admin, unsupported
		if resuming { // and it is not to be ended by a retry
			f.note, f.alert = reasonOf(inc)+unresumed+string(a.Outcome)+": "+a.Detail, true
			break
		}
		f.state, f.note, f.alert = StateFailed, string(a.Outcome)+": "+a.Detail, true
	}
	if f.again && a.RetryAfter > 0 {
		f.next = now.Add(a.RetryAfter)
	}
	return f
}

// unresumed stands between a person's reason and why that could not be done yet.
const unresumed = "; not resumed yet: "

func reasonOf(i Incident) string {
	reason, _, _ := strings.Cut(i.Note, unresumed)
	return reason
}

// settleEnd stores the answers and what follows, in one transaction. An answer that
// comes after the lease was lost is kept as proof, and changes the incident only if it
// is a last one.
func (r *Revoker) settleEnd(ctx context.Context, a *attempt, answers []provider.Answer, f after) error {
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		for _, x := range answers {
			if err := calls.Keep(ctx, tx, r.reg, a.inc.ID, a.inc.TokenID, a.inc.Provider, x); err != nil {
				return err
			}
		}
		res, err := tx.ExecContext(ctx, "DELETE FROM leases WHERE incident_id = ? AND owner = ?", a.inc.ID, a.owner)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 && !f.truth {
			return err
		}
		now := r.reg.Now()
		last := answers[len(answers)-1]
		if err := calls.Told(ctx, tx, a.inc.Provider, last, now); err != nil {
			return err
		}
		at := func(b bool) any {
			if b {
				return micros(now)
			}
			return nil
		}
		res, err = tx.ExecContext(ctx, `UPDATE incidents SET state = ?, outcome = ?, note = ?, dead_at = coalesce(dead_at, ?), confirmed_at = ?,
			attempting_at = ?, accepted_at = ?, next_at = ? WHERE id = ? AND state = ?`,
			f.state, outcomeOf(a.inc, last), f.note, at(f.dead), at(f.confirmed), at(f.unsure), nullMicros(f.accepted), nullMicros(f.next), a.inc.ID, a.inc.State)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // settled by others meanwhile
		}
		if f.state == StateDismissed {
			if _, err := tx.ExecContext(ctx, "UPDATE incidents SET dead_at = NULL, suspended_at = NULL WHERE id = ?", a.inc.ID); err != nil {
				return err
			}
		}
		if f.suspended {
			return errors.Join(r.dropJob(ctx, tx, a.inc.job), r.suspend(ctx, tx, a.inc))
		}
		if f.drop {
			if err := sealed.Drop(ctx, tx, a.inc.ID); err != nil {
				return err
			}
		}
		if f.alert {
			a.inc.Outcome, a.inc.Note = Outcome(last.Outcome), f.note
			if err := r.tellFailed(ctx, tx, a.inc); err != nil {
				return err
			}
		}
		if f.again {
			return nil
		}
		return r.dropJob(ctx, tx, a.inc.job)
	})
}

// suspend makes an incident whose secret is refused by its provider one that waits for
// its end.
func (r *Revoker) suspend(ctx context.Context, tx *sql.Tx, inc Incident) error {
	now := r.reg.Now()
	h := inc.final().Hold(now)
	note := "suspended: " + h.Why
	if !h.Ask {
		note = "suspended until then: " + h.Why
	}
	if _, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ?, suspended_at = ? WHERE id = ?", StateAsking, note, micros(now), inc.ID); err != nil {
		return err
	}
	if h.Ask {
		return nil
	}
	return r.wait(ctx, tx, inc.ID, maxTime(h.Until, now))
}

// outcomeOf is what an incident keeps of an answer: that it was accepted outlasts a
// check that says nothing.
func outcomeOf(inc Incident, a provider.Answer) string {
	if a.Outcome == provider.Dead { // a check, asked for as such
		return string(Gone)
	}
	return string(a.Outcome)
}

// settleGone ends an incident whose secret was kept for as long as it may be.
func (r *Revoker) settleGone(ctx context.Context, inc Incident) error {
	inc.Outcome = Failed
	inc.Note = "its secret is no longer kept: scan again with --revoke=auto, or end it by quench revoke --provider " + inc.Provider
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, outcome = ?, note = ? WHERE id = ? AND state = ?", StateFailed, Failed, inc.Note, inc.ID, inc.State)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return errors.Join(r.tellFailed(ctx, tx, inc), r.dropJob(ctx, tx, inc.job))
	})
}

// tellFailed writes the alert of an incident that a person must act on.
func (r *Revoker) tellFailed(ctx context.Context, tx *sql.Tx, i Incident) error {
	return tell.Failed(ctx, tx, tell.Incident{ID: i.ID, TokenID: i.TokenID, Provider: i.Provider, Rule: i.Rule, Outcome: string(i.Outcome), Note: i.Note, Resuming: i.State == StateResuming}, r.reg.Now())
}

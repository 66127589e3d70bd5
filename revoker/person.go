package revoker

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/internal/decide"
	"github.com/quench-dev/quench/revoker/internal/sealed"
	"github.com/quench-dev/quench/revoker/provider"
	"github.com/quench-dev/quench/scanner/secret"
)

// maxReason bounds what a person says, in bytes: a sentence, not a report.
const maxReason = 500

// Confirm is a person who says that the secret of an incident is to be ended: it is
// queued and its provider called, at once. Neither brake nor protection holds a person
// back; the kill switch does. It wraps ErrRefused when the provider does not end it.
func (r *Revoker) Confirm(ctx context.Context, id string) error {
	inc, err := r.Incident(ctx, id)
	if err != nil {
		return err
	}
	if err := r.approve(ctx, inc); err != nil {
		return err
	}
	switch {
	case inc.State == StateWaiting || inc.State == StateAsking && (!inc.SuspendedAt.IsZero() || inc.TokenID != "" && inc.then != ""), inc.State == StateAsking && inc.TokenID != "" && inc.Provider == "":
		return r.confirmHeld(ctx, inc)
	case inc.Provider == "" || inc.TokenID != "" && inc.State == StateReported:
		return fmt.Errorf("incident %s is of a token of the registry: quench token revoke %s ends it", inc.ID, inc.TokenID)
	case inc.State != StateAsking && inc.State != StateReported:
		return fmt.Errorf("incident %s is %s: there is nothing to confirm", inc.ID, inc.State)
	}
	return r.pursue(ctx, inc, "incident.confirm", StateAsking, StateReported)
}

// confirmHeld ends now what was held back.
func (r *Revoker) confirmHeld(ctx context.Context, inc Incident) error {
	if r.policy.Off() {
		return errors.New(decide.KillSwitch + ": nothing is ended")
	}
	call := false
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) (err error) {
		now, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE id = ?", inc.ID))
		if err != nil {
			return err
		}
		if now.State != inc.State {
			return fmt.Errorf("incident %s has become %s meanwhile", inc.ID, now.State)
		}
		call, err = r.finish(ctx, tx, now, "incident.confirm")
		return err
	})
	if err != nil || !call {
		return err
	}
	return r.attempted(ctx, inc.ID)
}

// AddParts keeps what belongs to the secret of an incident and was not found beside it,
// for the calls to its provider.
func (r *Revoker) AddParts(ctx context.Context, id string, parts map[string]secret.Secret) error {
	if len(parts) == 0 {
		return nil
	}
	inc, err := r.Incident(ctx, id)
	if err != nil {
		return err
	}
	if r.box == nil {
		return sealed.ErrKey
	}
	if err := r.approve(ctx, inc); err != nil {
		return err
	}
	p, err := r.table.Get(inc.Provider)
	if err != nil {
		return fmt.Errorf("incident %s: %w", inc.ID, err)
	}
	names := slices.Sorted(maps.Keys(parts))
	for _, name := range names {
		if !slices.Contains(p.Info().Parts, name) {
			return fmt.Errorf("incident %s: %s takes no part %q, but of %q", inc.ID, inc.Provider, name, p.Info().Parts)
		}
	}
	return r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		if err := r.box.Add(ctx, tx, inc.ID, inc.Provider, parts, r.reg.Now()); err != nil {
			return err
		}
		_, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.parts", Actor: r.reg.Actor(), TokenID: inc.TokenID, IncidentID: inc.ID,
			Details: map[string]string{"provider": inc.Provider, "parts": strings.Join(names, ", ")}})
		return err
	})
}

// attempted makes the first attempt of what a person asked for.
func (r *Revoker) attempted(ctx context.Context, id string) error {
	switch o, err := r.deliver(ctx, id); {
	case err != nil:
		return fmt.Errorf("incident %s: %w; quench worker goes on", id, err)
	case o == Denied || o == Outcome(provider.NeedsAdmin) || o == Outcome(provider.Unsupported):
		return fmt.Errorf("incident %s: %w; its receipts say why", id, ErrRefused)
	}
	return nil
}

// retryEnd is Retry of an incident whose provider is called.
func (r *Revoker) retryEnd(ctx context.Context, inc Incident) error {
	switch inc.State {
	case StateDead:
		return nil
	case StateResuming:
		return r.attempted(ctx, inc.ID)
	case StateFailed, StateRevoking, StateChecking:
		return r.pursue(ctx, inc, "incident.retry", StateFailed, StateRevoking, StateChecking)
	}
	return fmt.Errorf("incident %s is %s: quench incident confirm ends its secret", inc.ID, inc.State)
}

// pursue makes an incident one whose secret is to be ended, and makes an attempt.
func (r *Revoker) pursue(ctx context.Context, inc Incident, kind string, from ...string) error {
	switch {
	case r.policy.Off():
		return errors.New(decide.KillSwitch + ": nobody is called")
	case !r.policy.Calls(inc.Provider):
		return fmt.Errorf("incident %s: provider %q is not in the policy", inc.ID, inc.Provider)
	}
	if _, err := r.prepare(ctx, inc); errors.Is(err, sealed.ErrGone) {
		return fmt.Errorf("%w: scan again with --revoke=auto, or end it by quench revoke --provider %s", err, inc.Provider)
	} else if err != nil {
		return err
	}
	err := r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		now := micros(r.reg.Now())
		var args = []any{StateRevoking, now, inc.ID}
		for _, s := range from {
			args = append(args, s)
		}
		res, err := tx.ExecContext(ctx, `UPDATE incidents SET state = ?, revoking_at = coalesce(revoking_at, ?), note = '', next_at = NULL, hours = '', braked_at = NULL
			WHERE id = ? AND state IN (?`+strings.Repeat(", ?", len(from)-1)+")", args...)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return err // settled by others meanwhile
		}
		// A person's word stands over the provider's wish not to be called for a while, and
		// over our guess that it is down; not over how many calls there are.
		if err := budget.Answered(ctx, tx, inc.Provider, 0, r.reg.Now()); err != nil {
			return err
		}
		if _, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: kind, Actor: r.reg.Actor(), TokenID: inc.TokenID, IncidentID: inc.ID,
			Details: map[string]string{"provider": inc.Provider}}); err != nil {
			return err
		}
		job, err := r.enqueue(ctx, tx, inc.ID)
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE incidents SET job_id = ? WHERE id = ?", job, inc.ID)
		return err
	})
	if err != nil {
		return fmt.Errorf("queueing incident %s: %w", inc.ID, err)
	}
	return r.attempted(ctx, inc.ID)
}

// Dismiss is a person who says why nothing is to be done about an incident. What waits
// is stopped, and what was suspended is taken back. The secret is not kept any longer.
// Further places change nothing, but for a token of the registry.
func (r *Revoker) Dismiss(ctx context.Context, id, reason string) error {
	reason = strings.TrimSpace(reason)
	if reason == "" || len(reason) > maxReason {
		return fmt.Errorf("dismissing incident %s: want a reason of 1 to %d bytes, for those who ask later", id, maxReason)
	}
	inc, err := r.Incident(ctx, id)
	if err != nil {
		return err
	}
	call := false
	err = r.reg.Store().InTx(ctx, func(tx *sql.Tx) error {
		call = false
		inc, err := scanIncident(tx.QueryRowContext(ctx, selectIncident+" WHERE id = ?", inc.ID))
		if err != nil {
			return err
		}
		switch {
		case inc.State == StateDead && r.undoable(inc) != "":
			return fmt.Errorf("incident %s is dead, and its secret no longer kept: to take that back: %s", inc.ID, r.undoable(inc))
		case inc.State == StateDismissed || inc.State == StateDead || inc.State == StateResuming:
			return fmt.Errorf("incident %s is %s: there is nothing to dismiss", inc.ID, inc.State)
		case inc.TokenID != "" && inc.State == StateReported:
			return fmt.Errorf("incident %s is of a live token of the registry, which is never ignored: protect it in the policy, or quench token revoke %s", inc.ID, inc.TokenID)
		}
		var held int
		if err := tx.QueryRowContext(ctx, "SELECT count(*) FROM leases WHERE incident_id = ? AND until > ?", inc.ID, micros(r.reg.Now())).Scan(&held); err != nil {
			return err
		}
		if held > 0 {
			return fmt.Errorf("incident %s: its provider is being called at this moment: %w; try again in some seconds", inc.ID, errLeased)
		}
		if !inc.SuspendedAt.IsZero() {
			if call, err = r.resumeTx(ctx, tx, inc, reason); err != nil {
				return err
			}
		}
		if call {
			_, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.dismiss", Actor: r.reg.Actor(), IncidentID: inc.ID,
				Details: map[string]string{"reason": reason, "was": inc.State}})
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE incidents SET state = ?, note = ?, next_at = NULL, due_at = NULL, braked_at = NULL WHERE id = ?", StateDismissed, reason, inc.ID); err != nil {
			return err
		}
		if _, err := audit.Append(ctx, tx, r.reg.Now(), audit.Event{Kind: "incident.dismiss", Actor: r.reg.Actor(), TokenID: inc.TokenID, IncidentID: inc.ID,
			Details: map[string]string{"reason": reason, "was": inc.State}}); err != nil {
			return err
		}
		return errors.Join(sealed.Drop(ctx, tx, inc.ID), r.dropJob(ctx, tx, inc.job))
	})
	if err != nil || !call {
		return err
	}
	return r.attempted(ctx, inc.ID)
}

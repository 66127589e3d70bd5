package registry

import (
	"context"
	"database/sql"
	"errors"
	"sync/atomic"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/counts"
	"github.com/quench-dev/quench/registry/recent"
	"github.com/quench-dev/quench/registry/refusals"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/version"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// keepRows is how many tokens Verify keeps at hand: at about a kilobyte each, 32
	// to 64 MB where so many are in use, and most uses where a million are.
	keepRows = 1 << 15
	// maxWaiting uses may wait for their second to end: what a machine of some cores
	// can verify in it. They are about 150 bytes each. Beyond, each use is a
	// transaction of its own, which slows the callers down.
	maxWaiting = 1 << 18
)

// fastPath is what Verify knows beside the database.
type fastPath struct {
	version *version.Versions
	find    *sql.Stmt // closed with the database, as the next
	judge   *sql.Stmt // find of a transaction
	rows    *recent.Rows[recentToken]
}

// recentToken is a live token that was used before, any number of times, and is not
// to be changed.
type recentToken struct {
	Token
	more atomic.Int64 // uses since it was read
}

// prepare makes the statements of the fast path.
func (r *Registry) prepare(ctx context.Context) (err error) {
	r.fast.rows = recent.New[recentToken](keepRows)
	if r.fast.version, err = version.New(ctx, r.store.Reader()); err != nil {
		return err
	}
	if r.fast.find, err = r.store.Reader().PrepareContext(ctx, findToken); err != nil {
		return store.Explain(err)
	}
	r.fast.judge, err = r.store.Writer().PrepareContext(ctx, findToken)
	return store.Explain(err)
}

// verifyFast answers, without a transaction, a valid use of a token that was used
// before and may be used any number of times, and what is no token; it is written down
// with others. All else is not ok, and for a transaction to decide.
//
// The number of the last change is read each time (a step in an index, as cheap as
// SQLite's data_version and the same on PostgreSQL). So a change that was
// committed before the call, by whatever process, is seen: rows at hand are of
// that number or read now.
func (r *Registry) verifyFast(ctx context.Context, value secret.Secret, use Use) (v Verdict, ok bool) {
	if r.each {
		return Verdict{}, false
	}
	if !r.wellFormed(value) {
		return r.refuse(ReasonMalformed, use)
	}
	t, err := r.recentToken(ctx, value)
	if errors.Is(err, sql.ErrNoRows) { // under the primary pepper
		_, _, err = r.find(ctx, r.store.Reader(), value, func(mac, keyID []byte) (Token, error) {
			return scanToken(r.fast.find.QueryRowContext(ctx, mac, keyID), r.Now())
		})
		if errors.Is(err, sql.ErrNoRows) {
			return r.refuse(ReasonUnknown, use)
		}
	}
	if err != nil || t == nil {
		return Verdict{}, false
	}
	now := r.Now()
	if !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) || t.untold(now) {
		return Verdict{}, false
	}
	if reason, err := t.pass(use); err != nil || reason != ReasonValid {
		return Verdict{}, false
	}
	out := t.Token
	if !r.uses.Add(Decided{Token: &t.Token, Use: use, Reason: ReasonValid, At: now}) {
		return Verdict{}, false
	}
	out.Uses, out.LastUsedAt = t.Uses+t.more.Add(1), now
	return Verdict{Valid: true, Reason: ReasonValid, Token: &out}, true
}

// refuse answers what is no token of this registry.
func (r *Registry) refuse(reason string, use Use) (v Verdict, ok bool) {
	return Verdict{Reason: reason}, r.refused.Add(reason, &use, r.Now())
}

// writeRefusals writes down what is no token and was refused.
func (r *Registry) writeRefusals(ctx context.Context, all []*refusals.Sum) error {
	events := make([]audit.Event, len(all))
	for i, s := range all {
		events[i] = audit.Event{Kind: "token.refuse", Actor: r.actor, Details: s.Details()}
	}
	return r.store.InTx(ctx, func(tx *sql.Tx) error { return audit.AppendAll(ctx, tx, r.Now(), events) })
}

// recentToken is the token of value as it is now; nil when the fast path is not for
// it, as for those under an older pepper, and sql.ErrNoRows when none is under the
// newest.
func (r *Registry) recentToken(ctx context.Context, value secret.Secret) (*recentToken, error) {
	ring := r.ring.Load()
	key := ring.Primary()
	mac := recent.Key(value.MAC(key.MAC))
	now, err := r.fast.version.Now(ctx)
	if err != nil || now.Peppers != ring.Version() {
		return nil, err
	}
	if have := r.fast.rows.Version(); have < now.Tokens {
		changed, err := r.fast.version.Changed(ctx, have)
		if err != nil {
			return nil, err
		}
		r.fast.rows.Advance(have, now.Tokens, changed)
	}
	if t, ok := r.fast.rows.Get(mac, now.Tokens); ok {
		return t, nil
	}
	t, err := scanToken(r.fast.find.QueryRowContext(ctx, mac[:], key.ID[:]), r.Now())
	if err != nil || t.State != Live || t.MaxUses > 0 || t.Uses == 0 {
		return nil, err
	}
	row := &recentToken{Token: t}
	r.fast.rows.Put(mac, now.Tokens, row)
	return row, nil
}

// Ready says whether the registry can be asked: its error is what keeps it from that.
func (r *Registry) Ready(ctx context.Context) error {
	_, err := r.fast.version.Read(ctx)
	return err
}

// Flush writes the uses down that wait for their second to end, and the refusals of
// what is no token.
func (r *Registry) Flush(ctx context.Context) error {
	return errors.Join(r.uses.Flush(ctx), r.refused.Flush(ctx))
}

// writeUses writes down what verifyFast answered: the uses in the tokens' counts, and
// one audit event for each token and second.
func (r *Registry) writeUses(ctx context.Context, all []Decided) error {
	used := make([]counts.Used, len(all))
	for i := range all {
		used[i] = counts.Used{TokenID: all[i].Token.ID, Use: &all[i].Use, At: all[i].At}
	}
	return r.told(ctx, func(tx *sql.Tx) (func(), error) {
		if err := counts.Write(ctx, tx, r.Now(), r.actor, used); err != nil {
			return nil, err
		}
		return r.observe(ctx, tx, all)
	})
}

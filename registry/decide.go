package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/scanner/secret"
)

// maxTogether asks share a transaction: what its commit costs is small by then, and
// the last one waits for a few milliseconds.
const maxTogether = 64

// ask is a verification that a transaction decides.
type ask struct {
	ctx   context.Context
	value secret.Secret
	use   Use

	verdict Verdict
	err     error
}

// decide has a transaction decide, together with whatever others ask meanwhile. When
// ctx ends first there is no answer, though the use may be written down.
func (r *Registry) decide(ctx context.Context, value secret.Secret, use Use) (Verdict, error) {
	a := &ask{ctx: ctx, value: value, use: use}
	if err := r.asks.Do(ctx, a); err != nil {
		return Verdict{}, err
	}
	return a.verdict, a.err
}

// decideTogether decides all in one transaction. What one of them breaks, such as a
// damaged row, is its own error, and the others are decided without it.
func (r *Registry) decideTogether(all []*ask) {
	for left := slices.Clone(all); len(left) > 0; {
		var failed *ask
		err := r.told(context.Background(), func(tx *sql.Tx) (func(), error) {
			failed = nil
			return r.decideTx(tx, left, &failed)
		})
		if err == nil {
			break
		}
		left = slices.DeleteFunc(left, func(a *ask) bool {
			if failed == nil || a == failed {
				a.verdict, a.err = Verdict{}, err
			}
			return failed == nil || a == failed
		})
	}
}

// decideTx decides on all in tx, and writes it down. failed is whose error it is, if
// it is one's.
func (r *Registry) decideTx(tx *sql.Tx, all []*ask, failed **ask) (func(), error) {
	ctx := context.Background()
	if _, err := r.rekey(ctx, tx); err != nil {
		return nil, err
	}
	var decided []Decided
	var none []*ask // of what is no token, to be told with others
	var events []audit.Event
	for _, a := range all {
		if a.err = a.ctx.Err(); a.err != nil { // nobody waits for it any more
			continue
		}
		var under *pepper.Key
		var err error
		a.verdict, under, err = r.judge(ctx, tx, a.value, a.use)
		if err == nil && a.verdict.Token != nil {
			err = r.remac(ctx, tx, a.verdict.Token.ID, a.value, under)
		}
		if err == nil && a.verdict.Token == nil && !r.each && r.refused.Takes() {
			none = append(none, a)
			continue
		}
		if err == nil {
			err = r.record(ctx, tx, &a.verdict, a.use, &events)
		}
		if err != nil {
			*failed = a
			return nil, err
		}
		if a.verdict.Token != nil {
			decided = append(decided, Decided{Token: a.verdict.Token, Use: a.use, Reason: a.verdict.Reason, At: r.Now()})
		}
	}
	if err := audit.AppendAll(ctx, tx, r.Now(), events); err != nil {
		return nil, fmt.Errorf("writing down %d uses: %w", len(decided), err)
	}
	done, err := r.observe(ctx, tx, decided)
	return func() {
		if done != nil {
			done()
		}
		for _, a := range none {
			r.refused.Keep(a.verdict.Reason, &a.use, r.Now())
		}
	}, err
}

// Package calls keeps what is known of the calls to providers: receipts, what an answer
// says to all who call, how much may still be called, and the calls that a person makes.
//
// All of it is in the registry's database, so that the calls of all processes are held
// to one limit. It makes no call itself. Start reading at Book.
package calls

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/revoker/internal/budget"
	"github.com/quench-dev/quench/revoker/provider"
)

// Lost reports whether the provider could not be reached, or said that it cannot work.
func Lost(last provider.Answer) bool {
	return !last.Outcome.Final() && (last.Status == 0 || last.Status >= http.StatusInternalServerError) && last.RetryAfter == 0
}

// Told writes what an answer says of the provider, for all that call it.
func Told(ctx context.Context, tx *sql.Tx, name string, last provider.Answer, now time.Time) error {
	if Lost(last) {
		return budget.Failed(ctx, tx, name, now)
	}
	after := time.Duration(0)
	if last.Status == http.StatusTooManyRequests || last.Status == http.StatusForbidden && last.Outcome == provider.Failed || last.Status == 0 {
		after = last.RetryAfter
	}
	return budget.Answered(ctx, tx, name, after, now)
}

// Keep stores an answer as a receipt of an incident, in tx, and in the audit log.
func Keep(ctx context.Context, tx *sql.Tx, r *registry.Registry, incident, token, name string, x provider.Answer) error {
	detail := x.Detail
	if x.RequestID != "" {
		if detail != "" {
			detail += "; "
		}
		detail += "request " + x.RequestID
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO receipts (incident_id, provider, call, outcome, status, answer_hash, detail, at, took_us) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
		incident, name, x.Call, string(x.Outcome), x.Status, x.BodyHash, detail, x.At.UnixMicro(), x.Took.Microseconds())
	if err != nil {
		return err
	}
	_, err = audit.Append(ctx, tx, r.Now(), audit.Event{Kind: "provider.called", Actor: r.Actor(), TokenID: token, IncidentID: incident,
		Details: map[string]string{"provider": name, "call": x.Call, "outcome": string(x.Outcome), "status": fmt.Sprint(x.Status)}})
	return err
}

// Standing is how the calls to a provider stand.
type Standing struct {
	// Left is how many may be made at once now, and Most how many when none was; nil
	// and 0 without a limit. One more may be made after each Every.
	Left    *int   `json:"calls_left,omitempty"`
	Most    int    `json:"calls_most,omitempty"`
	EveryMS int64  `json:"calls_every_ms,omitempty"`
	Until   string `json:"not_before,omitempty"` // RFC 3339: calls that nobody asked for wait
	Why     string `json:"why,omitempty"`
	// Failures are calls in a row that had no answer.
	Failures int `json:"unanswered,omitempty"`
}

// Says is the standing in words; empty while nothing was called that counts.
func (s Standing) Says() (all []string) {
	if s.Left != nil && *s.Left < s.Most {
		all = append(all, fmt.Sprintf("%d of %d calls are left, and one more each %s", *s.Left, s.Most, time.Duration(s.EveryMS)*time.Millisecond))
	}
	if s.Until != "" {
		all = append(all, "not called before "+s.Until+": "+s.Why)
	} else if s.Failures == 1 {
		all = append(all, "its last call had no answer")
	} else if s.Failures > 1 {
		all = append(all, fmt.Sprintf("its last %d calls had no answer", s.Failures))
	}
	return all
}

// Book is the count of calls of one registry. A nil one counts nothing.
type Book struct{ r *registry.Registry }

// Of is the book of a registry, which outlives it.
func Of(r *registry.Registry) *Book { return &Book{r} }

// Standings are those of providers, by their names; rate is how often one may be called.
func (b *Book) Standings(ctx context.Context, of []provider.Info, rate func(provider.Info) budget.Rate) (map[string]Standing, error) {
	known := map[string]budget.Standing{}
	now := time.Now()
	if b != nil {
		now = b.r.Now()
		var err error
		if known, err = budget.Standings(ctx, b.r.Store().Reader(), now); err != nil {
			return nil, err
		}
	}
	all := map[string]Standing{}
	for _, i := range of {
		rate, k := rate(i), known[i.Name]
		s := Standing{Why: k.Why, Failures: k.Failures}
		if !k.Until.IsZero() {
			s.Until = k.Until.Local().Format(time.RFC3339)
		}
		if rate.Every > 0 {
			left := k.Left(rate, now)
			s.Left, s.Most, s.EveryMS = &left, rate.Burst, rate.Every.Milliseconds()
		}
		all[i.Name] = s
	}
	return all, nil
}

// Spend asks for a call that ends a secret, by a person. Their word stands over the
// provider's wish not to be called for a while, and over our guess that it is down; not
// over how many calls there are: then it is an error that says when there will be one.
func (b *Book) Spend(ctx context.Context, i provider.Info, rate func(provider.Info) budget.Rate) error {
	if b == nil {
		return nil
	}
	name := i.Name
	return b.r.Store().InTx(ctx, func(tx *sql.Tx) error {
		now := b.r.Now()
		if err := budget.Answered(ctx, tx, name, 0, now); err != nil {
			return err
		}
		wait, why, err := budget.Take(ctx, tx, name, rate(i), 1, now)
		if err == nil && wait > 0 {
			err = fmt.Errorf("%s cannot be called before %s: %s", name, now.Add(wait).Local().Format(time.RFC3339), why)
		}
		return err
	})
}

// Told writes what the answer to such a call says, for all others.
func (b *Book) Told(ctx context.Context, name string, last provider.Answer) error {
	if b == nil {
		return nil
	}
	return b.r.Store().InTx(ctx, func(tx *sql.Tx) error { return Told(ctx, tx, name, last, b.r.Now()) })
}

// Package brake counts what was revoked without a person, and tells when that is too
// much.
//
// The counts are in the database, so that all processes on it share them. How much is
// too much, and what is done then, others know. Start reading at Lately.
package brake

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker/internal/decide"
)

// What brakes are for. Their incidents are told apart by whether they have a token.
const (
	Tokens  = "tokens"
	Secrets = "secrets"
)

var where = map[string]string{Tokens: "token_id IS NOT NULL", Secrets: "secret_mac IS NOT NULL"}

// Brake is one of the brakes as it stands.
type Brake struct {
	Of     string // Tokens or Secrets
	Lately int    // decided on without a person within the hour
	Most   int
	Held   int // wait for a person since it held
}

// Says is the brake in words; empty while nothing waits because of it.
func (b Brake) Says() string {
	if b.Held == 0 {
		return ""
	}
	who := fmt.Sprintf("%d %s wait", b.Held, b.Of)
	if b.Held == 1 {
		who = "1 " + strings.TrimSuffix(b.Of, "s") + " waits"
	}
	return fmt.Sprintf("the brake: %s for a person; of %d that may be revoked within an hour without one, %d were", who, b.Most, b.Lately)
}

// Stands is the brake in words, whether it holds or not.
func (b Brake) Stands() string {
	if said := b.Says(); said != "" {
		return said
	}
	return fmt.Sprintf("the brake of %s: of %d that may be revoked within an hour without a person, %d were", b.Of, b.Most, b.Lately)
}

// Reader is a pool or a transaction.
type Reader interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func count(ctx context.Context, q Reader, query string, args ...any) (n int, err error) {
	if err = q.QueryRowContext(ctx, query, args...).Scan(&n); err != nil {
		err = fmt.Errorf("reading the brakes: %w", err)
	}
	return n, err
}

// Decided counts what was decided on without a person within the brake's time.
func Decided(ctx context.Context, q Reader, of string, now time.Time) (int, error) {
	return count(ctx, q, "SELECT count(*) FROM incidents WHERE automatic_at > ? AND "+where[of], now.Add(-decide.BrakeTime).UnixMicro())
}

func live(ctx context.Context, q Reader, now time.Time) (int, error) {
	return count(ctx, q, "SELECT count(*) FROM tokens WHERE state = ? AND (expires_at IS NULL OR expires_at > ?)", registry.Live, now.UnixMicro())
}

// Lately is what the brakes decide by.
func Lately(ctx context.Context, q Reader, now time.Time) (l decide.Lately, err error) {
	if l.Secrets, err = Decided(ctx, q, Secrets, now); err == nil {
		l.Tokens, err = Decided(ctx, q, Tokens, now)
	}
	if err == nil {
		l.Live, err = live(ctx, q, now)
	}
	return l, err
}

// All are the brakes as they stand.
func All(ctx context.Context, q Reader, p decide.Brake, now time.Time) ([]Brake, error) {
	l, err := Lately(ctx, q, now)
	if err != nil {
		return nil, err
	}
	all := []Brake{{Of: Tokens, Lately: l.Tokens, Most: p.MostTokens(l.Live)}, {Of: Secrets, Lately: l.Secrets, Most: p.MostSecrets()}}
	for n := range all {
		all[n].Held, err = count(ctx, q, "SELECT count(*) FROM incidents WHERE braked_at IS NOT NULL AND state = 'asking' AND "+where[all[n].Of])
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// liveFor is how long a count of live tokens serves: counting a million takes a tenth of
// a second, and one percent of them does not change in a minute.
const liveFor = time.Minute

// Count remembers how many tokens are live. It is safe for concurrent use.
type Count struct{ last atomic.Pointer[counted] }

type counted struct {
	at   time.Time
	live int
}

// Tokens is what the brake of tokens decides by. Live ones are counted only where the
// least brake would hold.
func (c *Count) Tokens(ctx context.Context, q Reader, p decide.Brake, now time.Time) (l decide.Lately, err error) {
	if l.Tokens, err = Decided(ctx, q, Tokens, now); err != nil || l.Tokens < p.MostTokens(0) {
		return l, err
	}
	if last := c.last.Load(); last != nil && now.Sub(last.at) < liveFor && !now.Before(last.at) {
		l.Live = last.live
		return l, nil
	}
	if l.Live, err = live(ctx, q, now); err == nil {
		c.last.Store(&counted{now, l.Live})
	}
	return l, err
}

// Tell writes the alert of a brake that holds for the first time within its time, before
// the incident it holds is marked. so says how what is held stands.
func Tell(ctx context.Context, tx *sql.Tx, of string, now time.Time, why, so string) error {
	n, err := count(ctx, tx, "SELECT count(*) FROM (SELECT 1 FROM incidents WHERE braked_at > ? AND "+where[of]+" LIMIT 1) AS one", now.Add(-decide.BrakeTime).UnixMicro())
	if err != nil || n > 0 {
		return err
	}
	_, err = alert.Append(ctx, tx, alert.Alert{Key: fmt.Sprintf("brake/%s/%d", of, now.UnixMicro()), Kind: "brake.tripped", Severity: alert.Critical, At: now,
		Title:   "the brake holds: further leaked " + of + " wait for a person",
		Advice:  strings.ToUpper(why[:1]) + why[1:] + ". " + so + ". Is it a leak, or a mistake? See quench incident list, then quench incident confirm or dismiss.",
		Details: map[string]string{"of": of}})
	return err
}

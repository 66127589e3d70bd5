package registry

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// Match loads the set that tells the scanner which runs of a text are tokens:
// live ones, and expired, suspended and revoked ones, labelled by their state.
// It follows the registry until it, or the registry, is closed.
func (r *Registry) Match(ctx context.Context) (*match.Set, error) {
	// Prepared once: a log may repeat a token a million times.
	find, err := r.store.Reader().PrepareContext(ctx, findToken)
	if err != nil {
		return nil, fmt.Errorf("loading the tokens to look for: %w", store.Explain(err))
	}
	set, err := match.New(ctx, &known{r, find, r.store.TokenGlance()})
	if err != nil {
		return nil, fmt.Errorf("loading the tokens to look for: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sets = append(r.sets, set)
	return set, nil
}

// known is the registry as a match.Source.
type known struct {
	r    *Registry
	find *sql.Stmt // closed with the database
	look *store.Glance
}

// Still implements match.Still.
func (k *known) Still() bool { return !k.look.Changed() }

// Changes implements match.Feed.
func (k *known) Changes() (<-chan struct{}, func()) { return k.r.store.Changes() }

// Version implements match.Source by the newest change of a token and of a pepper,
// which both only grow. That is two steps in an index, and unlike SQLite's
// data_version it does not move for recorded uses, audit events or findings, nor
// need a connection of its own.
func (k *known) Version(ctx context.Context) (int64, error) {
	n, err := k.r.fast.version.Read(ctx)
	return n.Tokens + n.Peppers, err
}

// Keys implements match.Source.
func (k *known) Keys(ctx context.Context) (all []match.Key, err error) {
	if _, err := k.r.rekey(ctx, k.r.store.Reader()); err != nil {
		return nil, err
	}
	for _, key := range k.r.ring.Load().Keys {
		all = append(all, key.Fingerprint)
	}
	return all, nil
}

// After implements match.Source. All that it reads is in one index.
func (k *known) After(ctx context.Context, seq int64, f func(uint64)) (int64, error) {
	rows, err := k.r.store.Reader().QueryContext(ctx, "SELECT seq, fingerprint FROM tokens WHERE seq > ? ORDER BY seq", seq)
	if err != nil {
		return seq, store.Explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var fp int64
		if err := rows.Scan(&seq, &fp); err != nil {
			return seq, err
		}
		f(uint64(fp))
	}
	return seq, store.Explain(rows.Err())
}

// Shapes implements match.Source.
func (k *known) Shapes(ctx context.Context) ([]scanner.Shape, error) {
	return rows.Shapes(ctx, k.r.store.Reader())
}

// Find implements match.Source.
func (k *known) Find(ctx context.Context, candidate []byte) (scanner.KnownToken, bool, error) {
	t, _, err := k.r.find(ctx, k.r.store.Reader(), secret.New(candidate), func(mac, keyID []byte) (Token, error) {
		return scanToken(k.find.QueryRowContext(ctx, mac, keyID), k.r.Now())
	})
	if errors.Is(err, sql.ErrNoRows) {
		return scanner.KnownToken{}, false, nil
	}
	if err != nil {
		return scanner.KnownToken{}, false, fmt.Errorf("asking the registry about a candidate: %w", store.Explain(err))
	}
	return scanner.KnownToken{ID: t.ID, State: t.State, Hint: t.Hint}, true, nil
}

// TokenOf returns the token that a value is, for those who read values out of logs;
// ErrNoToken when it is none. Unlike Verify it is no use of the token.
func (r *Registry) TokenOf(ctx context.Context, value secret.Secret) (Token, error) {
	t, _, err := r.find(ctx, r.store.Reader(), values.Bare(value), func(mac, keyID []byte) (Token, error) {
		return r.tokenBy(ctx, r.store.Reader(), "mac = ? AND key_id = ?", mac, keyID)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, ErrNoToken
	}
	if err != nil {
		return Token{}, fmt.Errorf("looking a value up: %w", store.Explain(err))
	}
	return t, nil
}

// Own implements match.Source.
func (k *known) Own(candidate []byte) bool {
	_, ok := rules.ParseToken(candidate)
	return ok
}

// OwnShapes implements match.Source: the brands issued here, and the default.
func (k *known) OwnShapes() []scanner.Shape {
	k.r.mu.Lock()
	defer k.r.mu.Unlock()
	var all []scanner.Shape
	for _, brand := range append([]string{rules.DefaultBrand}, k.r.prefixes...) {
		n := len(brand) + len("_live_") + rules.TokenIDLen + rules.TokenSecretLen + rules.TokenSumLen
		all = append(all, scanner.Shape{Len: n, Extra: "_"})
	}
	return all
}

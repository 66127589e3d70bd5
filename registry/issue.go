package registry

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// DefaultTTL is the life of what is issued or imported and names none.
	DefaultTTL = issuing.DefaultTTL
	// MaxTTL is the longest life; what is longer means never, and must be said so.
	MaxTTL = issuing.MaxTTL

	idLen = rules.TokenIDLen
	// maxShapes bounds the forms of all tokens together: each one is tried on
	// every run of every scanned text.
	maxShapes = 64
	// maxText bounds owner, purpose, provider, tag and reason, in bytes.
	maxText = 1024
)

// IssueRequest is what a new token is to be, and IssuePolicy what tokens may be issued,
// and rotated into: the zero one allows all but a life of more than a year.
type (
	IssueRequest = issuing.Request
	IssuePolicy  = issuing.Policy
)

// ImportRequest is a token that exists already.
type ImportRequest struct {
	// Value is hashed at once and not kept.
	Value secret.Secret
	// Pair is in place of Value what was made of it where it lives.
	Pair    *pepper.Pair
	Owner   string
	Purpose string
	Scopes  []string
	// TTL until it expires; 0 is DefaultTTL for a token of this registry, and
	// "not known" for one of a Provider, which alone decides that.
	TTL      time.Duration
	Env      string
	Provider string // who issued it; "" is this registry
	Tags     []string
}

// Issue makes a new token. Its value is returned this once and stored nowhere.
func (r *Registry) Issue(ctx context.Context, q IssueRequest) (Token, secret.Secret, error) {
	t, value, err := r.newToken(q, r.actor)
	if err == nil {
		err = r.store.InTx(ctx, func(tx *sql.Tx) error { return r.insert(ctx, tx, &t, value, nil) })
	}
	if err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("issuing a token: %w", err)
	}
	return t, value, nil
}

// newToken makes a token and its value; nothing is stored yet.
func (r *Registry) newToken(q IssueRequest, actor string) (Token, secret.Secret, error) {
	if q.Prefix == "" {
		q.Prefix = rules.DefaultBrand
	}
	if err := rules.CheckBrand(q.Prefix); err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if q.Env == "" {
		q.Env = "live"
	}
	if err := r.issue.Apply(&q, actor); err != nil {
		return Token{}, secret.Secret{}, err
	}
	t := Token{ID: values.Random(idLen), Origin: "issued", Owner: q.Owner, Purpose: q.Purpose, Env: q.Env, Scopes: q.Scopes, Tags: q.Tags, brand: q.Prefix}
	if err := r.complete(&t, q.TTL); err != nil {
		return Token{}, secret.Secret{}, err
	}
	if err := t.limit(q); err != nil {
		return Token{}, secret.Secret{}, err
	}
	plain, err := rules.QuenchToken(q.Prefix, t.Env, []byte(t.ID), []byte(values.Random(rules.TokenSecretLen)))
	if err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	value := secret.New(plain)
	t.Hint, t.Shape = value.Redacted(), findable.ShapeOf(plain)
	clear(plain)
	return t, value, nil
}

// Import makes an existing value a token, so that it is found, watched and,
// where its provider allows, revoked. The same value again is ErrDuplicate.
func (r *Registry) Import(ctx context.Context, q ImportRequest) (Token, error) {
	t, err := r.importToken(q)
	if err == nil && q.Pair == nil {
		t.HardToFind, err = findable.Missed(q.Value)
	}
	if err == nil {
		err = r.store.InTx(ctx, func(tx *sql.Tx) error { return r.insert(ctx, tx, &t, q.Value, q.Pair) })
	}
	if err != nil {
		return Token{}, fmt.Errorf("importing a token: %w", err)
	}
	return t, nil
}

// importToken makes the token of an existing value, but for where it is hard to find.
func (r *Registry) importToken(q ImportRequest) (Token, error) {
	t := Token{ID: values.Random(idLen), Origin: "imported", Owner: q.Owner, Purpose: q.Purpose, Env: q.Env, Scopes: q.Scopes, Tags: q.Tags, Provider: q.Provider}
	if p := q.Pair; p != nil {
		if !q.Value.IsZero() {
			return Token{}, fmt.Errorf("%w: a value and an HMAC of one", ErrInvalid)
		}
		t.Hint, t.Shape, t.HardToFind = p.Hint, p.Shape(), p.HardToFind
	} else {
		b := q.Value.Reveal()
		if err := values.Check(b); err != nil {
			return Token{}, err
		}
		p, ok := rules.ParseToken(b)
		if !ok && r.ownBrand(p.Brand) {
			return Token{}, fmt.Errorf("%w: the value has the form of this registry's tokens and a wrong checksum: it is mistyped or cut", ErrInvalid)
		}
		if ok {
			t.Env = string(p.Env)
		}
		t.Hint, t.Shape = q.Value.Redacted(), findable.ShapeOf(b)
	}
	if q.TTL == 0 && q.Provider == "" {
		q.TTL = DefaultTTL
	}
	return t, r.complete(&t, q.TTL)
}

// complete checks what is common to all tokens, and fills the defaults.
func (r *Registry) complete(t *Token, ttl time.Duration) error {
	t.State, t.CreatedAt = Live, r.Now()
	if t.Env == "" {
		t.Env = "live"
	}
	if t.Env != "live" && t.Env != "test" {
		return fmt.Errorf("%w: environment %q; it is live or test", ErrInvalid, clip(t.Env))
	}
	switch {
	case strings.TrimSpace(t.Owner) == "":
		return fmt.Errorf("%w: the owner is missing: who answers for the token is required", ErrInvalid)
	case strings.TrimSpace(t.Purpose) == "":
		return fmt.Errorf("%w: the purpose is missing: what the token is for is required", ErrInvalid)
	}
	for _, s := range append([]string{t.Owner, t.Purpose, t.Provider}, t.Tags...) {
		if err := checkText(s); err != nil {
			return err
		}
	}
	switch {
	case ttl < 0:
		return fmt.Errorf("%w: a ttl of %v is in the past", ErrInvalid, ttl)
	case ttl > MaxTTL:
		return fmt.Errorf("%w: a ttl of %d days is longer than the longest, %d days", ErrInvalid, ttl/(24*time.Hour), MaxTTL/(24*time.Hour))
	case ttl > 0:
		t.ExpiresAt = t.CreatedAt.Add(max(ttl, time.Microsecond)).Truncate(time.Microsecond)
	}
	if len(t.Scopes) > bound.MaxScopes {
		return fmt.Errorf("%w: %d scopes; at most %d", ErrInvalid, len(t.Scopes), bound.MaxScopes)
	}
	for _, s := range t.Scopes {
		if err := checkScope(s, false); err != nil {
			return err
		}
	}
	t.Scopes = append([]string{}, slices.Compact(slices.Sorted(slices.Values(t.Scopes)))...) // [] in JSON
	t.Tags = slices.Compact(slices.Sorted(slices.Values(t.Tags)))
	return nil
}

// checkText refuses what would break a line of output or is no text.
func checkText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%w: %q has %d bytes, at most %d are kept", ErrInvalid, clip(s), len(s), maxText)
	}
	if strings.ToValidUTF8(s, "") != s || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return fmt.Errorf("%w: %q holds control characters or is not UTF-8", ErrInvalid, clip(s))
	}
	return nil
}

// knowBrands stores that tokens carry brands, so that a token of this registry
// with a wrong checksum is told from a foreign one. That they are known before tx
// commits does no harm.
func (r *Registry) knowBrands(ctx context.Context, tx *sql.Tx, brands []string) error {
	if len(brands) == 0 {
		return nil
	}
	all, err := rows.AddBrands(ctx, tx, brands)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.prefixes = all
	return nil
}

// ownBrand reports whether tokens were issued with the brand here.
func (r *Registry) ownBrand(brand []byte) bool {
	if brand == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(brand) == rules.DefaultBrand || slices.Contains(r.prefixes, string(brand))
}

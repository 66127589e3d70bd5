package registry

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

const (
	// DefaultTTL is a month: short enough that a forgotten token dies by
	// itself, long enough that nobody asks for one that never does.
	DefaultTTL = 30 * 24 * time.Hour
	// MaxTTL is the longest life; what is longer means never, and must be said so.
	MaxTTL = issuing.MaxTTL

	idLen = rules.TokenIDLen
	// minImport is the shortest value that may be imported, in bytes. Shorter
	// ones are found by chance: in a terabyte of text there are 2^40 places,
	// while 16 hex characters, the weakest common form, have 2^64 values.
	minImport = 16
	// maxImport is the longest one; the scanner cuts no longer candidates.
	maxImport = 4096
	// minDistinct characters must differ in an imported value: "0000000000000000"
	// stands in every second file, and finding it would revoke something.
	minDistinct = 4
	// maxShapes bounds the forms of all tokens together: each one is tried on
	// every run of every scanned text.
	maxShapes = 64
	// maxText bounds owner, purpose, provider, tag and reason, in bytes.
	maxText = 1024
)

// IssueRequest is what a new token is to be.
type IssueRequest struct {
	Owner   string        // who answers for it; required
	Purpose string        // what it is for; required
	Scopes  []string      // action:resource; none grants nothing
	TTL     time.Duration // until it expires; 0 is DefaultTTL, or the most that the policy allows
	Never   bool          // it never expires, where the policy allows that
	Env     string        // "live" (default) or "test"
	Prefix  string        // brand; "" is rules.DefaultBrand
	Tags    []string

	Networks     []string      // it is good from: CIDR or addresses; none is everywhere
	Countries    []string      // it is good from: codes of ISO 3166-1; none is everywhere
	MaxUses      int64         // 0 is any number
	RotateWithin time.Duration // until it should have a successor; 0 is no deadline
}

// ImportRequest is a token that exists already.
type ImportRequest struct {
	// Value is hashed at once and not kept.
	Value   secret.Secret
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
	t, value, err := r.newToken(q)
	if err == nil {
		err = r.store.InTx(ctx, func(tx *sql.Tx) error { return r.insert(ctx, tx, &t, value) })
	}
	if err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("issuing a token: %w", err)
	}
	return t, value, nil
}

// newToken makes a token and its value; nothing is stored yet.
func (r *Registry) newToken(q IssueRequest) (Token, secret.Secret, error) {
	if q.Prefix == "" {
		q.Prefix = rules.DefaultBrand
	}
	if err := rules.CheckBrand(q.Prefix); err != nil {
		return Token{}, secret.Secret{}, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if q.Env == "" {
		q.Env = "live"
	}
	if err := applyPolicy(&r.issue, &q); err != nil {
		return Token{}, secret.Secret{}, err
	}
	t := Token{ID: base62(idLen), Origin: "issued", Owner: q.Owner, Purpose: q.Purpose, Env: q.Env, Scopes: q.Scopes, Tags: q.Tags, brand: q.Prefix}
	if err := r.complete(&t, q.TTL); err != nil {
		return Token{}, secret.Secret{}, err
	}
	if err := t.limit(q); err != nil {
		return Token{}, secret.Secret{}, err
	}
	plain, err := rules.QuenchToken(q.Prefix, t.Env, []byte(t.ID), []byte(base62(rules.TokenSecretLen)))
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
	b := q.Value.Reveal()
	if err := r.importable(b); err != nil {
		return Token{}, fmt.Errorf("importing a token: %w", err)
	}
	t := Token{ID: base62(idLen), Origin: "imported", Owner: q.Owner, Purpose: q.Purpose, Env: q.Env, Scopes: q.Scopes,
		Tags: q.Tags, Provider: q.Provider, Hint: q.Value.Redacted(), Shape: findable.ShapeOf(b)}
	if p, ok := rules.ParseToken(b); ok {
		t.Env = string(p.Env)
	}
	if q.TTL == 0 && q.Provider == "" {
		q.TTL = DefaultTTL
	}
	if err := r.complete(&t, q.TTL); err != nil {
		return Token{}, fmt.Errorf("importing a token: %w", err)
	}
	hard, err := findable.Missed(q.Value)
	if err != nil {
		return Token{}, fmt.Errorf("importing a token: %w", err)
	}
	t.HardToFind = hard
	if err := r.store.InTx(ctx, func(tx *sql.Tx) error { return r.insert(ctx, tx, &t, q.Value) }); err != nil {
		return Token{}, fmt.Errorf("importing a token: %w", err)
	}
	return t, nil
}

// importable says why a value cannot be a token, without showing it.
func (r *Registry) importable(b []byte) error {
	if len(b) < minImport {
		return fmt.Errorf("%w: the value has %d characters and needs at least %d: shorter ones are found by chance", ErrInvalid, len(b), minImport)
	}
	if len(b) > maxImport {
		return fmt.Errorf("%w: the value has %d bytes, at most %d are looked for in text", ErrInvalid, len(b), maxImport)
	}
	distinct := map[byte]bool{}
	for i, c := range b {
		if c <= ' ' || c >= 0x7f {
			return fmt.Errorf("%w: byte %d of the value is a space, a control character or not ASCII; a token has none", ErrInvalid, i+1)
		}
		distinct[c] = true
	}
	if len(distinct) < minDistinct {
		return fmt.Errorf("%w: the value has %d different characters and needs at least %d: such text is everywhere", ErrInvalid, len(distinct), minDistinct)
	}
	if p, ok := rules.ParseToken(b); !ok && r.ownBrand(p.Brand) {
		return fmt.Errorf("%w: the value has the form of this registry's tokens and a wrong checksum: it is mistyped or cut", ErrInvalid)
	}
	return nil
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
	if t.Owner == "" || t.Purpose == "" {
		return fmt.Errorf("%w: owner and purpose are required: who answers for the token, and what it is for", ErrInvalid)
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

// insert stores t with the MAC and fingerprint of value, and its audit event.
func (r *Registry) insert(ctx context.Context, tx *sql.Tx, t *Token, value secret.Secret) error {
	if t.Family == "" {
		t.Family = t.ID
	}
	if t.brand != "" {
		if err := r.knowPrefix(ctx, tx, t.brand); err != nil {
			return err
		}
	}
	if _, err := r.rekey(ctx, tx); err != nil {
		return err
	}
	other, _, err := r.find(ctx, tx, value, func(mac, keyID []byte) (o Token, err error) {
		return o, tx.QueryRowContext(ctx, "SELECT id FROM tokens WHERE mac = ? AND key_id = ?", mac, keyID).Scan(&o.ID)
	})
	if err == nil {
		return fmt.Errorf("%w: %s", ErrDuplicate, other.ID)
	}
	if !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if err := shapeFits(ctx, tx, t.Shape); err != nil {
		return err
	}
	seq, err := nextSeq(ctx, tx)
	if err != nil {
		return err
	}
	key := r.ring.Load().Primary()
	mac := value.MAC(key.MAC)
	_, err = tx.ExecContext(ctx, `INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider,
			scopes, tags, state, created_at, expires_at, shape_len, shape_extra, hard_to_find, seq, family, predecessor, brand,
			networks, countries, max_uses, rotate_by)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		t.ID, key.ID[:], mac[:], fingerprint(key, value), t.Origin, t.Hint, t.Owner, t.Purpose, t.Env, t.Provider,
		jsonList(t.Scopes), jsonList(t.Tags), t.State, t.CreatedAt.UnixMicro(), toMicro(t.ExpiresAt), t.Shape.Len, t.Shape.Extra, jsonList(t.HardToFind), seq, t.Family, t.Predecessor, t.brand,
		jsonList(t.Networks), jsonList(t.Countries), t.MaxUses, toMicro(t.RotateBy))
	if err != nil {
		return err
	}
	kind := "token.issue"
	if t.Origin == "imported" {
		kind = "token.import"
	}
	details := map[string]string{"owner": t.Owner, "purpose": t.Purpose, "scopes": jsonList(t.Scopes)}
	if !t.ExpiresAt.IsZero() {
		details["expires_at"] = t.ExpiresAt.Format(time.RFC3339Nano)
	}
	if t.Provider != "" {
		details["provider"] = t.Provider
	}
	t.Limits.details(details)
	return r.append(ctx, tx, audit.Event{Kind: kind, TokenID: t.ID, Details: details})
}

// shapeFits refuses a form beyond the maxShapes there may be.
func shapeFits(ctx context.Context, tx *sql.Tx, s scanner.Shape) error {
	var known, all int
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM tokens WHERE shape_len = ? AND shape_extra = ?)", s.Len, s.Extra).Scan(&known)
	if err != nil || known == 1 {
		return err
	}
	err = tx.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT DISTINCT shape_len, shape_extra FROM tokens)").Scan(&all)
	if err != nil {
		return err
	}
	if all >= maxShapes {
		return fmt.Errorf("%w: tokens of %d different forms (length and characters) are registered, which is the most a scan can look for", ErrInvalid, all)
	}
	return nil
}

// nextSeq is the change number of the row about to be written: rows keep the
// number of their last change, and the write lock makes this the next one.
func nextSeq(ctx context.Context, tx *sql.Tx) (seq int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT coalesce(max(seq), 0) + 1 FROM tokens").Scan(&seq)
	return seq, err
}

// knowPrefix stores that tokens carry prefix, so that a token of this registry
// with a wrong checksum is told from a foreign one. That it is known before tx
// commits does no harm.
func (r *Registry) knowPrefix(ctx context.Context, tx *sql.Tx, prefix string) error {
	var text []byte
	var all []string
	err := tx.QueryRowContext(ctx, "SELECT value FROM meta WHERE key = 'prefixes'").Scan(&text)
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	if !slices.Contains(all, prefix) {
		all = append(all, prefix)
		_, err = tx.ExecContext(ctx, "INSERT INTO meta (key, value) VALUES ('prefixes', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", []byte(jsonList(all)))
		if err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Contains(r.prefixes, prefix) {
		r.prefixes = append(r.prefixes, prefix)
	}
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

const base62Alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

// base62 is n random characters, each of 5.95 bits.
func base62(n int) string {
	out := make([]byte, 0, n)
	buf := make([]byte, 2*n)
	for {
		rand.Read(buf)
		for _, c := range buf {
			if c >= 4*62 { // the remainder would make some characters likelier
				continue
			}
			if out = append(out, base62Alphabet[c%62]); len(out) == n {
				return string(out)
			}
		}
	}
}

// jsonList is JSON of a list, [] for none.
func jsonList(list []string) string {
	b, err := json.Marshal(append([]string{}, list...))
	if err != nil {
		panic("registry: a list of strings is always JSON: " + err.Error())
	}
	return string(b)
}

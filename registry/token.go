package registry

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/counts"
	"github.com/quench-dev/quench/registry/rows"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/scanner"
)

// States of a token. Expired is not stored: it is live past its expiry.
const (
	Live      = "live"
	Suspended = "suspended"
	Revoked   = "revoked"
	Expired   = "expired"
)

// Token is one credential as the registry knows it: everything but its bytes.
type Token struct {
	ID      string   `json:"id"`
	Hint    string   `json:"hint"` // what may be shown of the value
	Origin  string   `json:"origin"`
	Owner   string   `json:"owner"`
	Purpose string   `json:"purpose"`
	Env     string   `json:"env"`
	State   string   `json:"state"`
	Scopes  []string `json:"scopes"`
	Tags    []string `json:"tags,omitempty"`
	// Provider issued it and can revoke it; empty is this registry.
	Provider string `json:"provider,omitempty"`

	CreatedAt     time.Time `json:"created_at"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"` // zero: never, or not known
	RevokedAt     time.Time `json:"revoked_at,omitzero"`
	RevokedBy     string    `json:"revoked_by,omitempty"`
	RevokedReason string    `json:"revoked_reason,omitempty"`
	LastUsedAt    time.Time `json:"last_used_at,omitzero"`
	Uses          int64     `json:"uses"`

	// Family names the first of the tokens that followed each other by rotation,
	// Predecessor the one before; empty is none.
	Family      string `json:"family"`
	Predecessor string `json:"predecessor,omitempty"`

	Limits

	// Shape is what the scanner cuts candidates by.
	Shape scanner.Shape `json:"-"`
	// HardToFind names the contexts, such as "k=T", in which a scan would not
	// find this token.
	HardToFind []string `json:"hard_to_find,omitempty"`

	brand string // of one being issued
}

const tokenColumns = `id, hint, origin, owner, purpose, env, provider, scopes, tags, state, created_at, expires_at,
	revoked_at, revoked_by, revoked_reason, ` + counts.Columns + `, shape_len, shape_extra, hard_to_find, family, predecessor,
	networks, countries, max_uses, rotate_by, overdue_at`

// findToken finds a token by its MAC under a key.
const findToken = "SELECT " + tokenColumns + " FROM " + counts.Tokens + " WHERE mac = ? AND key_id = ?"

// scanToken reads a row of tokenColumns, of counts.Tokens; now decides whether it is expired.
func scanToken(row interface{ Scan(...any) error }, now time.Time) (Token, error) {
	var t Token
	var scopes, tags, hard, networks, countries string
	var created int64
	var expires, revoked, uses, used, rotate, overdue sql.NullInt64
	err := row.Scan(&t.ID, &t.Hint, &t.Origin, &t.Owner, &t.Purpose, &t.Env, &t.Provider, &scopes, &tags, &t.State, &created, &expires,
		&revoked, &t.RevokedBy, &t.RevokedReason, &uses, &used, &t.Shape.Len, &t.Shape.Extra, &hard, &t.Family, &t.Predecessor,
		&networks, &countries, &t.MaxUses, &rotate, &overdue)
	if err != nil {
		return Token{}, err
	}
	for _, list := range []struct {
		text string
		to   *[]string
	}{{scopes, &t.Scopes}, {tags, &t.Tags}, {hard, &t.HardToFind}, {networks, &t.Networks}, {countries, &t.Countries}} {
		if err := json.Unmarshal([]byte(list.text), list.to); err != nil {
			return Token{}, fmt.Errorf("%w: token %s: %w", store.ErrCorrupt, t.ID, err)
		}
	}
	t.Uses = uses.Int64
	t.CreatedAt = time.UnixMicro(created).UTC()
	t.ExpiresAt, t.RevokedAt, t.LastUsedAt = fromMicro(expires), fromMicro(revoked), fromMicro(used)
	t.RotateBy, t.overdueAt = fromMicro(rotate), fromMicro(overdue)
	if t.State == Live && !t.ExpiresAt.IsZero() && !now.Before(t.ExpiresAt) {
		t.State = Expired
	}
	return t, nil
}

func fromMicro(n sql.NullInt64) time.Time {
	if !n.Valid {
		return time.Time{}
	}
	return time.UnixMicro(n.Int64).UTC()
}

func toMicro(t time.Time) sql.NullInt64 {
	return sql.NullInt64{Int64: t.UnixMicro(), Valid: !t.IsZero()}
}

func (r *Registry) list(ctx context.Context, q querier, f Filter) ([]Token, error) {
	if f.Scope != "" {
		if err := checkScope(f.Scope, false); err != nil {
			return nil, fmt.Errorf("listing tokens: %w", err)
		}
	}
	rows, err := q.QueryContext(ctx, "SELECT "+tokenColumns+" FROM "+counts.Tokens+`
		WHERE (?1 = '' OR owner = ?1) AND (?2 = '' OR tags LIKE ?2) AND (CAST(?3 AS BIGINT) IS NULL OR created_at < ?3) AND (?4 = '' OR family = ?4)
		ORDER BY created_at, id`, f.Owner, rows.Holding(f.Tag), toMicro(f.Before), f.Family)
	if err != nil {
		return nil, fmt.Errorf("listing tokens: %w", store.Explain(err))
	}
	defer rows.Close()
	var all []Token
	now := r.Now()
	for rows.Next() {
		t, err := scanToken(rows, now)
		if err != nil {
			return nil, fmt.Errorf("listing tokens: %w", store.Explain(err))
		}
		if (f.State == "" || f.State == t.State) && (f.Tag == "" || slices.Contains(t.Tags, f.Tag)) && (f.Scope == "" || t.hasScope(f.Scope)) {
			all = append(all, t)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("listing tokens: %w", store.Explain(err))
	}
	return all, nil
}

// hasScope reports whether t may do what scope names, or has it with its wildcards.
func (t *Token) hasScope(scope string) bool {
	if strings.Contains(scope, "*") {
		return slices.Contains(t.Scopes, scope)
	}
	return t.Allows(scope)
}

// Token returns the token with the id; ErrNoToken when there is none.
func (r *Registry) Token(ctx context.Context, id string) (Token, error) {
	return r.token(ctx, r.store.Reader(), id)
}

// TokenTx is Token as a transaction sees it.
func (r *Registry) TokenTx(ctx context.Context, tx *sql.Tx, id string) (Token, error) {
	return r.token(ctx, tx, id)
}

func (r *Registry) token(ctx context.Context, q querier, id string) (Token, error) {
	if !isID(id) {
		return Token{}, noToken(id)
	}
	t, err := r.tokenBy(ctx, q, "id = ?", id)
	if errors.Is(err, sql.ErrNoRows) {
		return Token{}, noToken(id)
	}
	if err != nil {
		return Token{}, fmt.Errorf("reading token %s: %w", id, store.Explain(err))
	}
	return t, nil
}

func (r *Registry) tokenBy(ctx context.Context, q querier, where string, args ...any) (Token, error) {
	return scanToken(q.QueryRowContext(ctx, "SELECT "+tokenColumns+" FROM "+counts.Tokens+" WHERE "+where, args...), r.Now())
}

// noToken repeats an id only where it has the form of one: what else was given
// may be a token's value, by mistake.
func noToken(id string) error {
	if !isID(id) {
		return fmt.Errorf("%w; an id is %d letters and digits, as token list shows (a token's value is never an argument)", ErrNoToken, idLen)
	}
	return fmt.Errorf("%w: %q; see token list", ErrNoToken, id)
}

func isID(id string) bool {
	return len(id) == idLen && strings.Trim(id, values.Alphabet) == ""
}

// Package family knows which tokens may have leaked together with one: those of its
// family, by rotation, that can still be used.
//
// It reads the registry's database and says what to do in words; it changes nothing.
// Start reading at Of.
package family

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry"
)

// Family are the other tokens of a leaked token's family that can still be used: where
// one value leaked, those delivered to the same places before and after may have, too.
type Family struct {
	ID    string   `json:"id"`
	Alive []string `json:"alive"`
}

// Offer says what to do about them; empty when there are none.
func (f Family) Offer() string {
	if len(f.Alive) == 0 {
		return ""
	}
	s := "others of its family are alive (" + strings.Join(f.Alive, ", ") + ")"
	if len(f.Alive) == 1 {
		s = "another of its family is alive (" + f.Alive[0] + ")"
	}
	return s + "; if it may have leaked with this one: quench token revoke --family " + f.ID
}

// Reader is a pool or a transaction.
type Reader interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// Of reads those of the token's family that can be used, now or when resumed.
func Of(ctx context.Context, q Reader, tok registry.Token, now time.Time) (Family, error) {
	f := Family{ID: tok.Family}
	rows, err := q.QueryContext(ctx, `SELECT id FROM tokens WHERE (id = ? OR family = ? AND predecessor <> '') AND id <> ? AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > ?)
		ORDER BY created_at, id`, tok.Family, tok.Family, tok.ID, now.UnixMicro())
	if err != nil {
		return f, fmt.Errorf("reading the family of token %s: %w", tok.ID, err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return f, err
		}
		f.Alive = append(f.Alive, id)
	}
	return f, rows.Err()
}

package revoker

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/scanner"
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

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// family reads those of the token's family that can be used, now or when resumed.
func (r *Revoker) family(ctx context.Context, q querier, tok registry.Token) (Family, error) {
	f := Family{ID: tok.Family}
	rows, err := q.QueryContext(ctx, `SELECT id FROM tokens WHERE (id = ? OR family = ? AND predecessor <> '') AND id <> ? AND state <> 'revoked' AND (expires_at IS NULL OR expires_at > ?)
		ORDER BY created_at, id`, tok.Family, tok.Family, tok.ID, micros(r.reg.Now()))
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

// tell writes the alert of a new incident.
func (r *Revoker) tell(ctx context.Context, tx *sql.Tx, h scanner.Hit, tok registry.Token, c Containment, f Family) error {
	a := alert.Alert{Key: "incident/" + c.IncidentID, Kind: "token.leaked", Severity: alert.Critical, TokenID: tok.ID, IncidentID: c.IncidentID, Owner: tok.Owner, At: r.reg.Now(),
		Title:   fmt.Sprintf("token %s of %s (%s) leaked: %s, line %d", tok.ID, tok.Owner, tok.Purpose, h.Origin.Path, h.Line),
		Details: map[string]string{"done": string(c.Action), "source": h.Origin.Source}}
	if h.Origin.Commit != "" {
		a.Details["commit"] = h.Origin.Commit
	}
	switch c.Action {
	case Revoked:
		a.Advice = "It is revoked (" + c.Text + "). Issue a new one to those who need it (quench token issue), and look where it was used: quench token show " + tok.ID + "."
	case AlreadyDead:
		a.Severity, a.Advice = alert.Info, "Nothing is to be done: "+c.Text+"."
	case Protected:
		a.Advice = "The policy protects it, so it is alive. Rotate it: quench token rotate " + tok.ID + " --now."
	default:
		a.Advice = "It is alive. Revoke it: quench token revoke " + tok.ID + "."
	}
	if o := f.Offer(); o != "" {
		a.Advice += " And " + o + "."
	}
	_, err := alert.Append(ctx, tx, a)
	return err
}

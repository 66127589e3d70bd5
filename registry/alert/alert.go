// Package alert keeps the outbox of alerts: what a person must know now, as rows
// written in the transaction of what they tell.
//
// A change and its alert are on disk together or not at all; whoever delivers
// alerts reads them from here, in order, as often as it takes. The package knows
// rows; it does not know why something is alarming, whom to tell, or how. It
// never holds a secret. Start reading at Append, then List.
package alert

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/store"
)

// Severity of an alert.
const (
	Info     = "info"     // good to know
	Warning  = "warning"  // something will break, or is odd
	Critical = "critical" // a token is, or may be, in wrong hands
)

// ErrInvalid: an alert that says too little to be acted on.
var ErrInvalid = errors.New("invalid alert")

// Alert is one thing somebody must know. No field may hold a secret.
type Alert struct {
	ID int64 `json:"id"` // given by Append, in the order of writing
	// Key says what the alert is about: a second one with the same key is not
	// written. Empty is unlike any other.
	Key        string `json:"-"`
	Kind       string `json:"kind"`     // noun.verb or noun.adjective, such as token.expiring
	Severity   string `json:"severity"` // info, warning or critical
	TokenID    string `json:"token_id,omitempty"`
	IncidentID string `json:"incident_id,omitempty"`
	Owner      string `json:"owner,omitempty"` // of the token: decides whom to tell
	Title      string `json:"title"`           // one line: what happened to which thing
	Advice     string `json:"advice"`          // what to do now
	// Details are the numbers behind it, by name.
	Details map[string]string `json:"details,omitempty"`
	At      time.Time         `json:"at"`
}

func (a *Alert) check() error {
	switch {
	case a.Kind == "":
		return fmt.Errorf("%w: no kind", ErrInvalid)
	case a.Title == "":
		return fmt.Errorf("%w: %s says nothing", ErrInvalid, a.Kind)
	case a.Advice == "":
		return fmt.Errorf("%w: %s says what happened and not what to do", ErrInvalid, a.Kind)
	case a.At.IsZero():
		return fmt.Errorf("%w: %s has no time", ErrInvalid, a.Kind)
	}
	switch a.Severity {
	case Info, Warning, Critical:
		return nil
	}
	return fmt.Errorf("%w: %s has the severity %q", ErrInvalid, a.Kind, a.Severity)
}

// Append writes a in tx: it is there if and only if tx commits. fresh is false
// when an alert with the same key was written before; then nothing is changed.
func Append(ctx context.Context, tx *sql.Tx, a Alert) (fresh bool, err error) {
	if err := a.check(); err != nil {
		return false, err
	}
	if a.Key == "" {
		a.Key = rand.Text()
	}
	if a.Details == nil {
		a.Details = map[string]string{}
	}
	details, err := json.Marshal(a.Details)
	if err != nil {
		return false, fmt.Errorf("writing the alert %s: %w", a.Kind, err)
	}
	res, err := tx.ExecContext(ctx, `INSERT INTO alerts (dedup_key, kind, severity, token_id, incident_id, owner, title, advice, details, at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (dedup_key) DO NOTHING`,
		text(a.Key), text(a.Kind), a.Severity, text(a.TokenID), text(a.IncidentID), text(a.Owner), text(a.Title), text(a.Advice), string(details), a.At.UnixMicro())
	if err != nil {
		return false, fmt.Errorf("writing the alert %s: %w", a.Kind, err)
	}
	n, err := res.RowsAffected()
	return n == 1, err
}

// text is s as a database takes it: titles may hold names from anywhere, and
// PostgreSQL refuses NUL and invalid UTF-8.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// Filter says which alerts are wanted; the zero one is all.
type Filter struct {
	After   int64  // of larger id
	TokenID string // of one token
	Kind    string // of one kind
	Limit   int    // at most so many; 0 is any number
}

// querier is a pool or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// List reads alerts in the order they were written.
func List(ctx context.Context, q querier, f Filter) ([]Alert, error) {
	query := "SELECT id, dedup_key, kind, severity, token_id, incident_id, owner, title, advice, details, at FROM alerts WHERE id > ?"
	args := []any{f.After}
	if f.TokenID != "" {
		query, args = query+" AND token_id = ?", append(args, f.TokenID)
	}
	if f.Kind != "" {
		query, args = query+" AND kind = ?", append(args, f.Kind)
	}
	query += " ORDER BY id"
	if f.Limit > 0 {
		query, args = query+" LIMIT ?", append(args, f.Limit)
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("reading alerts: %w", store.Explain(err))
	}
	defer rows.Close()
	var all []Alert
	for rows.Next() {
		var a Alert
		var details string
		var at int64
		if err := rows.Scan(&a.ID, &a.Key, &a.Kind, &a.Severity, &a.TokenID, &a.IncidentID, &a.Owner, &a.Title, &a.Advice, &details, &at); err != nil {
			return nil, fmt.Errorf("reading alerts: %w", store.Explain(err))
		}
		if err := json.Unmarshal([]byte(details), &a.Details); err != nil {
			return nil, fmt.Errorf("reading alert %d: %w: its details: %w", a.ID, store.ErrCorrupt, err)
		}
		a.At = time.UnixMicro(at).UTC()
		all = append(all, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("reading alerts: %w", store.Explain(err))
	}
	return all, nil
}

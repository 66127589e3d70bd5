// Package audit is the registry's log of what was done: a transparency log in
// the same database, appended in the same transaction as the change it tells.
//
// Each event is a leaf of a Merkle tree as RFC 6962 has it
// (golang.org/x/mod/sumdb/tlog), so that a changed, removed, inserted or
// reordered row is found by Verify, and a rewritten log by any checkpoint saved
// elsewhere. The package knows events, hashes and signed checkpoints; it does
// not know what a token is, and never sees one. Start reading at Append, then
// Verify.
package audit

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// Event is one thing that was done. It must not hold a secret.
type Event struct {
	Kind       string            `json:"kind"`                  // noun.verb, such as "token.issue"
	Actor      string            `json:"actor,omitempty"`       // who did it
	TokenID    string            `json:"token_id,omitempty"`    // the token concerned, if any
	IncidentID string            `json:"incident_id,omitempty"` // the incident concerned, if any
	Details    map[string]string `json:"details,omitempty"`     // more, by name
}

// leaf is an event as it is hashed and stored: JSON with the fields in this
// order and map keys sorted. V is the format's version.
type leaf struct {
	V          int               `json:"v"`
	At         time.Time         `json:"at"`
	Kind       string            `json:"kind"`
	Actor      string            `json:"actor,omitempty"`
	TokenID    string            `json:"token_id,omitempty"`
	IncidentID string            `json:"incident_id,omitempty"`
	Details    map[string]string `json:"details,omitempty"`
}

// Entry is one event of the log.
type Entry struct {
	Index int64     `json:"index"` // from 0
	At    time.Time `json:"at"`
	Event
}

// Append adds e to the log in tx and returns its index, from 0. The event is
// there if and only if tx commits.
func Append(ctx context.Context, tx *sql.Tx, now time.Time, e Event) (index int64, err error) {
	if e.Kind == "" {
		return 0, errors.New("appending to the audit log: the event has no kind")
	}
	// Text may come from a file name or a flag: hash what JSON can hold, so
	// that the stored bytes read back as they were written.
	data, err := json.Marshal(leaf{1, now.UTC().Truncate(time.Microsecond), e.Kind, valid(e.Actor), valid(e.TokenID), valid(e.IncidentID), e.Details})
	if err != nil {
		return 0, fmt.Errorf("appending %s to the audit log: %w", e.Kind, err)
	}
	n, err := size(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("appending %s to the audit log: %w", e.Kind, err)
	}
	hashes, err := tlog.StoredHashes(n, data, hashReader(ctx, tx))
	if err != nil {
		return 0, fmt.Errorf("appending %s to the audit log: %w", e.Kind, err)
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO audit_leaves (idx, token_id, data) VALUES (?, ?, ?)", n, valid(e.TokenID), data); err != nil {
		return 0, fmt.Errorf("appending %s to the audit log: %w", e.Kind, err)
	}
	first := tlog.StoredHashIndex(0, n)
	for i, h := range hashes {
		if _, err := tx.ExecContext(ctx, "INSERT INTO audit_hashes (idx, hash) VALUES (?, ?)", first+int64(i), h[:]); err != nil {
			return 0, fmt.Errorf("appending %s to the audit log: %w", e.Kind, err)
		}
	}
	return n, nil
}

func valid(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// queryer is a transaction or a pool.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// size is the number of leaves: they are numbered without gaps.
func size(ctx context.Context, q queryer) (int64, error) {
	var n int64
	err := q.QueryRowContext(ctx, "SELECT coalesce(max(idx) + 1, 0) FROM audit_leaves").Scan(&n)
	return n, err
}

// hashReader reads stored hashes one by one: a proof needs about 2·log2(n).
func hashReader(ctx context.Context, q queryer) tlog.HashReader {
	return tlog.HashReaderFunc(func(idx []int64) ([]tlog.Hash, error) {
		out := make([]tlog.Hash, len(idx))
		for i, x := range idx {
			var b []byte
			err := q.QueryRowContext(ctx, "SELECT hash FROM audit_hashes WHERE idx = ?", x).Scan(&b)
			if errors.Is(err, sql.ErrNoRows) {
				return nil, fmt.Errorf("%w: hash %d is missing", ErrTampered, x)
			}
			if err != nil {
				return nil, err
			}
			if len(b) != tlog.HashSize {
				return nil, fmt.Errorf("%w: hash %d has %d bytes", ErrTampered, x, len(b))
			}
			out[i] = tlog.Hash(b)
		}
		return out, nil
	})
}

// ErrTampered: the log is not what was written.
var ErrTampered = errors.New("the audit log has been changed")

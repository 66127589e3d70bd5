// Package audit is the registry's log of what was done: a transparency log in
// the same database, appended in the same transaction as the change it tells.
//
// Each event is a leaf of a Merkle tree as RFC 6962 has it
// (golang.org/x/mod/sumdb/tlog), so that a changed, removed, inserted or
// reordered row is found by Verify, and a rewritten log by any checkpoint saved
// elsewhere. What may name persons is in the leaf as a salted hash only, and its
// text beside it, so that it can be erased and all proofs still hold (Erase). Old
// events can leave the database as a signed segment that proves itself, while their
// hashes stay (Segment, Drop). The package knows events, hashes and signed
// checkpoints; it does not know what a token is, and never sees one. Start reading
// at Append, then Verify.
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
	Kind       string `json:"kind"`                  // noun.verb, such as "token.issue"
	TokenID    string `json:"token_id,omitempty"`    // the token concerned, if any
	IncidentID string `json:"incident_id,omitempty"` // the incident concerned, if any
	// Actor did it, Details are more, by name. They may name persons, and can be erased.
	Actor   string            `json:"actor,omitempty"`
	Details map[string]string `json:"details,omitempty"`
	// Public are details that name nobody and stay.
	Public map[string]string `json:"public,omitempty"`
}

// format is that of leaves. In format 1, before any release, actor and details stood
// in the leaf itself and could not be erased.
const format = 2

// leaf is an event as it is hashed and stored: JSON with the fields in this
// order and map keys sorted. V is the format's version.
type leaf struct {
	V          int               `json:"v"`
	At         time.Time         `json:"at"`
	Kind       string            `json:"kind"`
	TokenID    string            `json:"token_id,omitempty"`
	IncidentID string            `json:"incident_id,omitempty"`
	Public     map[string]string `json:"public,omitempty"`
	// Hashes of salt and text of an Opening; nil where the event has none.
	Actor   []byte `json:"actor,omitempty"`
	Details []byte `json:"details,omitempty"`
}

// Entry is one event of the log.
type Entry struct {
	Index int64     `json:"index"` // from 0
	At    time.Time `json:"at"`
	Event
	// Erased are the fields, actor and details, that were erased.
	Erased []string `json:"erased,omitempty"`
}

// Append adds e to the log in tx and returns its index, from 0. The event is
// there if and only if tx commits.
func Append(ctx context.Context, tx *sql.Tx, now time.Time, e Event) (index int64, err error) {
	return appendAll(ctx, tx, now, []Event{e})
}

// encode makes the leaf of e and what opens it.
func encode(now time.Time, e Event) (data, open []byte, err error) {
	if e.Kind == "" {
		return nil, nil, errors.New("the event has no kind")
	}
	// Text may come from a file name or a flag: hash what JSON can hold, so
	// that the stored bytes read back as they were written.
	l := leaf{V: format, At: now, Kind: e.Kind, TokenID: valid(e.TokenID), IncidentID: valid(e.IncidentID), Public: e.Public}
	var o Opening
	if e.Actor != "" {
		l.Actor, o.Actor = salted("actor", valid(e.Actor))
	}
	if len(e.Details) > 0 {
		text, err := json.Marshal(e.Details)
		if err != nil {
			return nil, nil, err
		}
		l.Details, o.Details = salted("details", string(text))
	}
	if data, err = json.Marshal(l); err == nil {
		open, err = json.Marshal(o)
	}
	return data, open, err
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

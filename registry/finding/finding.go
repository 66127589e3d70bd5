// Package finding keeps the rows of what was found: where, by which rule, and which
// token it is, never its bytes.
//
// The same place is one row, however often it is scanned. The package knows
// nothing of scanning, nor of what is done about a finding. Start reading at Store.
package finding

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"
)

// Record is a finding as it is stored: without its secret.
type Record struct {
	// Source, Identity, Offset and Rule name the place: the same place is
	// stored once, however often it is scanned.
	Source   string // kind of source and what it was opened on
	Identity string // path, file identity or blob
	Offset   int64
	Rule     string

	Path       string
	Line       int64
	Commit     string
	Redacted   string // of the secret
	Confidence string
	TokenID    string // of the token it is, if any
	FindingID  string // as reports have it
	FoundAt    time.Time
}

// Store stores f in tx and returns the id of its row. fresh is false
// when the place was stored before; the row then only learns which token it is.
func Store(ctx context.Context, tx *sql.Tx, f Record) (id string, fresh bool, err error) {
	token := sql.NullString{String: f.TokenID, Valid: f.TokenID != ""}
	err = tx.QueryRowContext(ctx, `SELECT id FROM findings WHERE source = ? AND identity = ? AND "offset" = ? AND rule = ?`,
		f.Source, f.Identity, f.Offset, f.Rule).Scan(&id)
	switch {
	case err == nil:
		_, err = tx.ExecContext(ctx, "UPDATE findings SET token_id = ? WHERE id = ? AND token_id IS NULL AND CAST(? AS TEXT) IS NOT NULL", token, id, token)
	case errors.Is(err, sql.ErrNoRows):
		id, fresh = rand.Text()[:idLen], true
		_, err = tx.ExecContext(ctx, `INSERT INTO findings (id, source, identity, "offset", rule, path, line, commit_id, redacted, confidence, token_id, finding_id, found_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			id, f.Source, f.Identity, f.Offset, f.Rule, f.Path, f.Line, f.Commit, f.Redacted, f.Confidence, token, f.FindingID, f.FoundAt.UnixMicro())
	}
	if err != nil {
		return "", false, fmt.Errorf("recording a finding of rule %s in %q: %w", f.Rule, f.Path, err)
	}
	return id, fresh, nil
}

// idLen makes two equal ids unlikely (80 bits) among the billions of findings a
// database may see; they are never typed.
const idLen = 16

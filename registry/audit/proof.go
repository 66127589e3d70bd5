package audit

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// ErrProof: a proof or an export does not hold.
var ErrProof = errors.New("the proof does not hold")

// Proof says that an event is in the log that a checkpoint signs. Who has the log's
// Key can check it without the database.
type Proof struct {
	Index int64 `json:"index"` // from 0
	// Leaf is the event as it was hashed, byte for byte.
	Leaf string `json:"leaf"`
	// Hashes are the audit path of RFC 6962 from the event to the tree.
	Hashes tlog.RecordProof `json:"hashes"`
	// Checkpoint is a signed note of the tree.
	Checkpoint string `json:"checkpoint"`
}

// Key is the public key that checkpoints are signed with, as golang.org/x/mod's note
// writes it: to be kept where proofs are checked.
func (l *Log) Key() string { return l.vkey }

// Prove makes the proof that event index is in the log as it is now.
func (l *Log) Prove(ctx context.Context, index int64) (Proof, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Proof{}, fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	t, err := head(ctx, tx)
	if err != nil {
		return Proof{}, err
	}
	if index < 0 || index >= t.N {
		return Proof{}, fmt.Errorf("proving event %d: the audit log has %d events, numbered from 0", index, t.N)
	}
	p := Proof{Index: index}
	var data []byte
	if err := tx.QueryRowContext(ctx, "SELECT data FROM audit_leaves WHERE idx = ?", index).Scan(&data); err != nil {
		return Proof{}, fmt.Errorf("proving event %d: %w", index, err)
	}
	p.Leaf = string(data)
	if p.Hashes, err = tlog.ProveRecord(t.N, index, hashReader(ctx, tx)); err != nil {
		return Proof{}, fmt.Errorf("proving event %d: %w", index, err)
	}
	msg, err := l.Sign(t)
	if err != nil {
		return Proof{}, err
	}
	p.Checkpoint = string(msg)
	// A changed event is told here, not by whoever checks the proof.
	if _, err := CheckProof(l.vkey, p); err != nil {
		return Proof{}, fmt.Errorf("%w: event %d: %w", ErrTampered, index, err)
	}
	return p, nil
}

// CheckProof checks p with the log's public key alone and returns the event. Errors
// wrap ErrProof.
func CheckProof(key string, p Proof) (Entry, error) {
	t, err := openWith(key, []byte(p.Checkpoint))
	if err != nil {
		return Entry{}, err
	}
	if p.Index < 0 || p.Index >= t.N {
		return Entry{}, fmt.Errorf("%w: event %d of a log with %d events", ErrProof, p.Index, t.N)
	}
	if err := tlog.CheckRecord(p.Hashes, t.N, t.Hash, p.Index, tlog.RecordHash([]byte(p.Leaf))); err != nil {
		return Entry{}, fmt.Errorf("%w: event %d: %w", ErrProof, p.Index, err)
	}
	return parse(p.Index, []byte(p.Leaf))
}

// openWith reads a checkpoint with a public key.
func openWith(key string, msg []byte) (tlog.Tree, error) {
	v, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: the key is none of an audit log; quench audit key prints it", ErrProof)
	}
	n, err := note.Open(msg, note.VerifierList(v))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: the checkpoint is not signed with this key", ErrProof)
	}
	t, err := parseCheckpoint(v.Name(), n.Text)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return t, nil
}

// exported is a line of an export: an event, or last the checkpoint.
type exported struct {
	Index      int64  `json:"index"`
	Leaf       string `json:"leaf,omitempty"`
	Checkpoint string `json:"checkpoint,omitempty"`
}

// Export writes the whole log, an event a line as it was hashed, and a checkpoint
// last, so that CheckExport can prove it without the database.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	t, err := head(ctx, tx)
	if err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT idx, data FROM audit_leaves ORDER BY idx")
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer rows.Close()
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for rows.Next() {
		var x exported
		var data []byte
		if err := rows.Scan(&x.Index, &data); err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		x.Leaf = string(data)
		if err := e.Encode(x); err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	msg, err := l.Sign(t)
	if err != nil {
		return err
	}
	if err := e.Encode(exported{Index: t.N, Checkpoint: string(msg)}); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	return nil
}

// CheckExport proves with the log's public key alone that r is a whole export: no
// event changed, missing, added or moved. Errors wrap ErrProof.
func CheckExport(key string, r io.Reader) (tlog.Tree, error) {
	h := &hashes{}
	d := json.NewDecoder(r)
	for {
		var x exported
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return tlog.Tree{}, fmt.Errorf("%w: the export ends without its checkpoint: it is cut off", ErrProof)
		} else if err != nil {
			return tlog.Tree{}, fmt.Errorf("%w: line %d of the export: %w", ErrProof, h.n+1, err)
		}
		if x.Checkpoint != "" {
			return checkEnd(key, []byte(x.Checkpoint), h, d)
		}
		if x.Index != h.n {
			return tlog.Tree{}, fmt.Errorf("%w: event %d stands where event %d should", ErrProof, x.Index, h.n)
		}
		more, err := tlog.StoredHashes(h.n, []byte(x.Leaf), h)
		if err != nil {
			return tlog.Tree{}, err
		}
		h.all = append(h.all, more...)
		h.n++
	}
}

func checkEnd(key string, msg []byte, h *hashes, d *json.Decoder) (tlog.Tree, error) {
	t, err := openWith(key, msg)
	if err != nil {
		return tlog.Tree{}, err
	}
	if d.More() {
		return tlog.Tree{}, fmt.Errorf("%w: there are lines after the checkpoint", ErrProof)
	}
	if err := consistent(t, h.n, h); err != nil || t.N != h.n {
		return tlog.Tree{}, fmt.Errorf("%w: the %d events are not the %d that were signed", ErrProof, h.n, t.N)
	}
	return t, nil
}

// parseCheckpoint reads the text of a note that Sign made for the log of that name.
func parseCheckpoint(want, text string) (tlog.Tree, error) {
	var t tlog.Tree
	lines := bytes.Split([]byte(text), []byte("\n"))
	if len(lines) != 4 || string(lines[0]) != want || len(lines[3]) != 0 {
		return t, errors.New("it is no checkpoint of this audit log")
	}
	if _, err := fmt.Sscanf(string(lines[1]), "%d", &t.N); err != nil || t.N < 0 || fmt.Sprint(t.N) != string(lines[1]) {
		return t, errors.New("it is no checkpoint of this audit log")
	}
	h, err := tlog.ParseHash(string(lines[2]))
	if err != nil {
		return t, err
	}
	t.Hash = h
	return t, nil
}

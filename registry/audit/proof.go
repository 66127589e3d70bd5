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
	// Open is the text of the leaf's hashes, as far as it was not erased.
	Open json.RawMessage `json:"open,omitempty"`
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
	var data, open []byte
	err := l.db.QueryRowContext(ctx, "SELECT data, open FROM audit_leaves WHERE idx = ?", index).Scan(&data, &open)
	if errors.Is(err, sql.ErrNoRows) {
		first, err := l.First(ctx)
		if err == nil && index >= 0 && index < first {
			err = fmt.Errorf("proving event %d: it was dropped; give the segment that holds it (--segment)", index)
		} else if err == nil {
			err = fmt.Errorf("proving event %d: the audit log has no such event; they are numbered from 0", index)
		}
		return Proof{}, err
	}
	if err != nil {
		return Proof{}, fmt.Errorf("proving event %d: %w", index, err)
	}
	return l.prove(ctx, index, data, open)
}

func (l *Log) prove(ctx context.Context, index int64, data, open []byte) (Proof, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Proof{}, fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	t, err := head(ctx, tx)
	if err != nil {
		return Proof{}, err
	}
	p := Proof{Index: index, Leaf: string(data), Open: open}
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
	e, err := parse(p.Index, []byte(p.Leaf), p.Open)
	if err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrProof, err)
	}
	return e, nil
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

// exported is a line of an export: an event; or first, where events before were
// dropped, the hashes of the tree before Index; or last the checkpoint.
type exported struct {
	Index      int64           `json:"index"`
	Before     []tlog.Hash     `json:"before,omitempty"`
	Leaf       string          `json:"leaf,omitempty"`
	Open       json.RawMessage `json:"open,omitempty"`
	Checkpoint string          `json:"checkpoint,omitempty"`
}

// Export writes the whole log, as far as it was not dropped, so that CheckExport can
// prove it without the database.
func (l *Log) Export(ctx context.Context, w io.Writer) error {
	n, err := size(ctx, l.db)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	return l.Segment(ctx, w, n)
}

// CheckExport proves with the log's public key alone that r is a whole export or
// segment: no event changed, missing, added or moved. Errors wrap ErrProof.
func CheckExport(key string, r io.Reader) (tlog.Tree, error) {
	return checkExport(key, r, func(Entry, []byte) error { return nil })
}

// checkExport gives f each event before the whole is proven; an error of it ends the check.
func checkExport(key string, r io.Reader, f func(e Entry, data []byte) error) (tlog.Tree, error) {
	h := &hashes{}
	d := json.NewDecoder(r)
	for line := 1; ; line++ {
		var x exported
		if err := d.Decode(&x); errors.Is(err, io.EOF) {
			return tlog.Tree{}, fmt.Errorf("%w: the export ends without its checkpoint: it is cut off", ErrProof)
		} else if err != nil {
			return tlog.Tree{}, fmt.Errorf("%w: line %d of the export: %w", ErrProof, line, err)
		}
		switch {
		case x.Checkpoint != "":
			return checkEnd(key, []byte(x.Checkpoint), h, d)
		case x.Before != nil && line == 1:
			if err := h.begin(x.Index, x.Before); err != nil {
				return tlog.Tree{}, err
			}
			continue
		case x.Index != h.n:
			return tlog.Tree{}, fmt.Errorf("%w: event %d stands where event %d should", ErrProof, x.Index, h.n)
		}
		e, err := parse(x.Index, []byte(x.Leaf), x.Open)
		if err != nil {
			return tlog.Tree{}, fmt.Errorf("%w: %w", ErrProof, err)
		}
		if err := f(e, []byte(x.Leaf)); err != nil {
			return tlog.Tree{}, err
		}
		if err := h.add(tlog.RecordHash([]byte(x.Leaf))); err != nil {
			return tlog.Tree{}, err
		}
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
	if t.N != h.n || consistent(t, h.n, h) != nil {
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

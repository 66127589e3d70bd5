package audit

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Log reads an audit log and signs checkpoints of it.
type Log struct {
	db       *sql.DB
	name     string // in checkpoints
	signer   note.Signer
	verifier note.Verifier
	vkey     string
	anchor   string // file of the last checkpoint, outside the database's folder
}

// NewLog is the log in db, of which id names the database. seed is the 32-byte
// Ed25519 seed of the signing key, anchor the path of the file that keeps the
// last checkpoint; empty keeps none.
func NewLog(db *sql.DB, id string, seed []byte, anchor string) (*Log, error) {
	l := &Log{db: db, name: "quench-registry/" + id, anchor: anchor}
	private := ed25519.NewKeyFromSeed(seed)
	vkey, err := note.NewEd25519VerifierKey(l.name, private.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("making the key of the audit log: %w", err)
	}
	l.vkey = vkey
	// The form of note.GenerateKey: algorithm 1 and the seed.
	hash := strings.Split(vkey, "+")[1]
	skey := "PRIVATE+KEY+" + l.name + "+" + hash + "+" + base64.StdEncoding.EncodeToString(append([]byte{1}, seed...))
	if l.signer, err = note.NewSigner(skey); err != nil {
		return nil, errors.New("making the signing key of the audit log: the seed was refused")
	}
	if l.verifier, err = note.NewVerifier(vkey); err != nil {
		return nil, fmt.Errorf("making the key of the audit log: %w", err)
	}
	return l, nil
}

// Head is the number of leaves and the hash of the tree over them.
func (l *Log) Head(ctx context.Context) (tlog.Tree, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	return head(ctx, tx)
}

func head(ctx context.Context, q queryer) (tlog.Tree, error) {
	n, err := size(ctx, q)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("reading the audit log: %w", err)
	}
	h, err := tlog.TreeHash(n, hashReader(ctx, q))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("reading the audit log: %w", err)
	}
	return tlog.Tree{N: n, Hash: h}, nil
}

// Last is when the last event was written; zero where there is none, or where it
// cannot be read, which Verify tells.
func (l *Log) Last(ctx context.Context) (time.Time, error) {
	var data []byte
	err := l.db.QueryRowContext(ctx, "SELECT data FROM audit_leaves ORDER BY idx DESC LIMIT 1").Scan(&data)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("reading the audit log: %w", err)
	}
	var v leaf
	if json.Unmarshal(data, &v) != nil {
		return time.Time{}, nil
	}
	return v.At, nil
}

// Each calls f for the events from index on, oldest first, of one token or,
// with an empty tokenID, of all; it ends at the first error of f. Events that were
// dropped are not there.
func (l *Log) Each(ctx context.Context, from int64, tokenID string, f func(Entry) error) error {
	return each(ctx, l.db, from, tokenID, func(e Entry, _, _ []byte) error { return f(e) })
}

// each gives f what is hashed and what opens it, too.
func each(ctx context.Context, q queryer, from int64, tokenID string, f func(e Entry, data, open []byte) error) error {
	query, args := "SELECT idx, token_id, data, open FROM audit_leaves WHERE idx >= ? ORDER BY idx", []any{from}
	if tokenID != "" {
		query, args = "SELECT idx, token_id, data, open FROM audit_leaves WHERE idx >= ? AND token_id = ? ORDER BY idx", []any{from, tokenID}
	}
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var idx int64
		var token string
		var data, open []byte
		if err := rows.Scan(&idx, &token, &data, &open); err != nil {
			return fmt.Errorf("reading the audit log: %w", err)
		}
		e, err := parse(idx, data, open)
		if err != nil {
			return err
		}
		if e.TokenID != token {
			return fmt.Errorf("%w: event %d is filed under another token", ErrTampered, idx)
		}
		if err := f(e, data, open); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	return nil
}

func parse(idx int64, data, open []byte) (Entry, error) {
	var v leaf
	d := json.NewDecoder(bytes.NewReader(data))
	if err := d.Decode(&v); err != nil {
		return Entry{}, fmt.Errorf("%w: event %d cannot be read: %w", ErrTampered, idx, err)
	}
	if v.V != format {
		return Entry{}, fmt.Errorf("event %d of the audit log has format %d, this program knows %d", idx, v.V, format)
	}
	e := Entry{Index: idx, At: v.At, Event: Event{Kind: v.Kind, TokenID: v.TokenID, IncidentID: v.IncidentID, Public: v.Public}}
	if err := v.opened(&e, open); err != nil {
		return Entry{}, fmt.Errorf("%w: event %d: %w", ErrTampered, idx, err)
	}
	return e, nil
}

// Sound is what Verify found.
type Sound struct {
	tlog.Tree
	// Dropped is how many of the events, the oldest, are in segments; their hashes
	// are here, and hold.
	Dropped int64
	// Erased is how many fields of events were erased, each told of by an event.
	Erased int64
}

// Verify recomputes the whole log from its events and compares every stored
// hash, then the last checkpoint if one is kept, then the given checkpoints,
// which Sign made and somebody saved elsewhere. An error that wraps
// ErrTampered names the first event that is not as it was written. What it
// cannot find: a log that was rewritten as a whole, with hashes, by someone who
// also has the pepper and the checkpoint file; keep checkpoints elsewhere too.
func (l *Log) Verify(ctx context.Context, checkpoints ...[]byte) (Sound, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return Sound{}, fmt.Errorf("verifying the audit log: %w", err)
	}
	defer tx.Rollback()
	t, all, err := l.recompute(ctx, tx)
	if err != nil {
		return Sound{}, fmt.Errorf("verifying the audit log: %w", err)
	}
	saved, err := l.saved()
	if err != nil {
		return t, fmt.Errorf("verifying the audit log: %w", err)
	}
	if saved != nil {
		if err := consistent(*saved, t.N, all); err != nil {
			return t, fmt.Errorf("verifying the audit log against the checkpoint %q: %w", l.anchor, err)
		}
	}
	for _, msg := range checkpoints {
		c, err := l.Open(msg)
		if err == nil {
			err = consistent(c, t.N, all)
		}
		if err != nil {
			return t, fmt.Errorf("verifying the audit log against a saved checkpoint: %w", err)
		}
	}
	return t, nil
}

// consistent says whether the log with n events and its hashes continues saved.
func consistent(saved tlog.Tree, n int64, r tlog.HashReader) error {
	if saved.N > n {
		return fmt.Errorf("%w: it has %d events and once had %d: the last %d were removed", ErrTampered, n, saved.N, saved.N-n)
	}
	h, err := tlog.TreeHash(saved.N, r)
	if err != nil {
		return err
	}
	if h != saved.Hash {
		return fmt.Errorf("%w: its first %d events are not those that were signed", ErrTampered, saved.N)
	}
	return nil
}

// hashes are all stored hashes in memory, recomputed: 32 bytes for each of the
// two hashes an event has on average. Of those before start only the edge is known.
type hashes struct {
	n     int64
	all   []tlog.Hash
	start int64 // index of all[0]
	edge  map[int64]tlog.Hash
}

// maxSize bounds the size of a tree that a file claims: more events than there can be,
// and few enough to count their hashes.
const maxSize = 1 << 48

// begin makes it begin with the tree of n events, of which it knows edgeOf.
func (h *hashes) begin(n int64, edge []tlog.Hash) error {
	want := edgeOf(n)
	if n <= 0 || n > maxSize || len(edge) != len(want) {
		return fmt.Errorf("%w: the tree before event %d is not made of %d hashes", ErrProof, n, len(edge))
	}
	h.n, h.start, h.edge = n, tlog.StoredHashCount(n), map[int64]tlog.Hash{}
	for i, idx := range want {
		h.edge[idx] = edge[i]
	}
	return nil
}

// ReadHashes implements tlog.HashReader.
func (h *hashes) ReadHashes(idx []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(idx))
	for i, x := range idx {
		if hash, ok := h.edge[x]; ok {
			out[i] = hash
			continue
		}
		if x < h.start || x-h.start >= int64(len(h.all)) {
			return nil, fmt.Errorf("%w: hash %d is missing", ErrTampered, x)
		}
		out[i] = h.all[x-h.start]
	}
	return out, nil
}

// recompute hashes every event anew and compares with what is stored. Of those that
// were dropped it takes the stored hash, which must be in the tree that was signed
// when they were.
func (l *Log) recompute(ctx context.Context, tx *sql.Tx) (t Sound, h *hashes, err error) {
	h = &hashes{}
	gone, err := l.dropped(ctx, tx)
	if err != nil {
		return t, nil, err
	}
	if err := h.take(ctx, tx, gone.to); err != nil {
		return t, nil, err
	}
	var erased erasures
	told := gone.to == 0
	err = each(ctx, tx, 0, "", func(e Entry, data, _ []byte) error {
		if e.Index != h.n {
			return fmt.Errorf("%w: event %d is missing", ErrTampered, h.n)
		}
		told = told || gone.toldBy(e)
		if err := erased.add(e); err != nil {
			return err
		}
		return h.add(tlog.RecordHash(data))
	})
	if err != nil {
		return t, nil, err
	}
	if err := compareStored(ctx, tx, h); err != nil {
		return t, nil, err
	}
	t.N, t.Dropped = h.n, gone.to
	if gone.to > 0 {
		if !told {
			return t, nil, fmt.Errorf("%w: events 0 to %d are missing, and no event tells that they were dropped", ErrTampered, gone.to-1)
		}
		if err := consistent(gone.signed, h.n, h); err != nil {
			return t, nil, fmt.Errorf("the dropped events 0 to %d: %w", gone.to-1, err)
		}
	}
	if t.Erased, err = erased.check(); err != nil {
		return t, nil, err
	}
	t.Hash, err = tlog.TreeHash(h.n, h)
	return t, h, err
}

// add appends the hash of the next event, and those it completes.
func (h *hashes) add(leaf tlog.Hash) error {
	more, err := tlog.StoredHashesForRecordHash(h.n, leaf, h)
	h.all = append(h.all, more...)
	h.n++
	return err
}

// take adds the first n events by their stored hashes.
func (h *hashes) take(ctx context.Context, q queryer, n int64) error {
	if n == 0 {
		return nil
	}
	rows, err := q.QueryContext(ctx, "SELECT idx, hash FROM audit_hashes WHERE idx <= ? ORDER BY idx", tlog.StoredHashIndex(0, n-1))
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var idx int64
		var b []byte
		if err := rows.Scan(&idx, &b); err != nil {
			return err
		}
		if idx != tlog.StoredHashIndex(0, h.n) {
			continue
		}
		if len(b) != tlog.HashSize {
			return fmt.Errorf("%w: the hash of event %d has %d bytes", ErrTampered, h.n, len(b))
		}
		if err := h.add(tlog.Hash(b)); err != nil {
			return err
		}
	}
	if rows.Err() == nil && h.n != n {
		return fmt.Errorf("%w: the hash of event %d is missing", ErrTampered, h.n)
	}
	return rows.Err()
}

// compareStored compares the stored hashes with the recomputed ones, and says
// which event the first difference belongs to.
func compareStored(ctx context.Context, tx *sql.Tx, h *hashes) error {
	rows, err := tx.QueryContext(ctx, "SELECT idx, hash FROM audit_hashes ORDER BY idx")
	if err != nil {
		return err
	}
	defer rows.Close()
	next := int64(0)
	for ; rows.Next(); next++ {
		var idx int64
		var b []byte
		if err := rows.Scan(&idx, &b); err != nil {
			return err
		}
		switch {
		case idx != next:
			return fmt.Errorf("%w: the hash of %s is missing", ErrTampered, leaves(next))
		case idx >= int64(len(h.all)):
			return fmt.Errorf("%w: there are hashes of events from %d on, and no such events", ErrTampered, h.n)
		case !bytes.Equal(b, h.all[idx][:]):
			return fmt.Errorf("%w: %s is not what was written", ErrTampered, leaves(idx))
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if next != int64(len(h.all)) {
		return fmt.Errorf("%w: the hash of %s is missing", ErrTampered, leaves(next))
	}
	return nil
}

// leaves names the events under a stored hash.
func leaves(idx int64) string {
	level, n := tlog.SplitStoredHashIndex(idx)
	if level == 0 {
		return fmt.Sprintf("event %d", n)
	}
	return fmt.Sprintf("the range of events %d to %d", n<<level, (n+1)<<level-1)
}

// Checkpoint signs the log as it is and keeps that in the anchor file, replacing
// the older checkpoint only if the log continues it.
func (l *Log) Checkpoint(ctx context.Context) error {
	if l.anchor == "" {
		return nil
	}
	// The file first: whatever another process signs meanwhile, the log read
	// after it continues what was in the file, or has been changed.
	saved, err := l.saved()
	if err != nil {
		return err
	}
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("writing a checkpoint of the audit log: %w", err)
	}
	defer tx.Rollback()
	t, err := head(ctx, tx)
	if err != nil {
		return err
	}
	if saved != nil {
		if *saved == t {
			return nil
		}
		if err := consistent(*saved, t.N, hashReader(ctx, tx)); err != nil {
			return fmt.Errorf("writing a checkpoint of the audit log: the older one is kept as evidence in %q: %w; if the database was restored from a backup, move that file away", l.anchor, err)
		}
	}
	msg, err := l.Sign(t)
	if err != nil {
		return err
	}
	return replace(l.anchor, msg)
}

// Sign makes the signed note of a tree: a checkpoint to keep elsewhere.
func (l *Log) Sign(t tlog.Tree) ([]byte, error) {
	text := fmt.Sprintf("%s\n%d\n%s\n", l.name, t.N, t.Hash)
	msg, err := note.Sign(&note.Note{Text: text}, l.signer)
	if err != nil {
		return nil, fmt.Errorf("signing a checkpoint of the audit log: %w", err)
	}
	return msg, nil
}

// Open reads a checkpoint that Sign made for this log.
func (l *Log) Open(msg []byte) (tlog.Tree, error) {
	n, err := note.Open(msg, note.VerifierList(l.verifier))
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	t, err := parseCheckpoint(l.name, n.Text)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("reading a checkpoint: %w", err)
	}
	return t, nil
}

// saved is the tree of the anchor file; nil when there is none.
func (l *Log) saved() (*tlog.Tree, error) {
	if l.anchor == "" {
		return nil, nil
	}
	msg, err := os.ReadFile(l.anchor)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint of the audit log: %w", err)
	}
	t, err := l.Open(msg)
	if err != nil {
		return nil, fmt.Errorf("%w: %q is not a checkpoint that was signed here: %w", ErrTampered, l.anchor, err)
	}
	return &t, nil
}

// replace writes a file whole or not at all.
func replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("writing a checkpoint of the audit log: %w", err)
	}
	f, err := os.CreateTemp(dir, ".checkpoint-*")
	if err != nil {
		return fmt.Errorf("writing a checkpoint of the audit log: %w", err)
	}
	defer os.Remove(f.Name()) // after the rename it does nothing
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("writing a checkpoint of the audit log: %w", err)
	}
	return nil
}

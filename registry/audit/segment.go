package audit

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// DropKind is the kind of the event that tells that events were dropped. Its public
// details from and to are the first of them and the first after them.
const DropKind = "audit.seal"

// segment is the last one that was dropped; zero is none.
type segment struct {
	from, to int64
	signed   tlog.Tree
}

// dropped reads it.
func (l *Log) dropped(ctx context.Context, q queryer) (g segment, err error) {
	var msg []byte
	err = q.QueryRowContext(ctx, "SELECT from_idx, to_idx, checkpoint FROM audit_segments ORDER BY to_idx DESC LIMIT 1").Scan(&g.from, &g.to, &msg)
	if errors.Is(err, sql.ErrNoRows) {
		return segment{}, nil
	}
	if err != nil {
		return g, err
	}
	if g.signed, err = l.Open(msg); err != nil || g.signed.N != g.to {
		return g, fmt.Errorf("%w: the checkpoint of the dropped events is not one that was signed here", ErrTampered)
	}
	return g, nil
}

// toldBy reports whether e is the event of dropping g.
func (g segment) toldBy(e Entry) bool {
	return e.Kind == DropKind && e.Index >= g.to && e.Public["from"] == strconv.FormatInt(g.from, 10) && e.Public["to"] == strconv.FormatInt(g.to, 10)
}

// First is the oldest event that was not dropped, or the size of an empty log.
func (l *Log) First(ctx context.Context) (int64, error) {
	g, err := l.dropped(ctx, l.db)
	return g.to, err
}

// Before is the index of the first event that is not before a time, the size of the
// log at most.
func (l *Log) Before(ctx context.Context, at time.Time) (to int64, err error) {
	if to, err = l.First(ctx); err != nil {
		return 0, err
	}
	err = l.Each(ctx, to, "", func(e Entry) error {
		if !e.At.Before(at) {
			return errStop
		}
		to = e.Index + 1
		return nil
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return to, err
}

var errStop = errors.New("enough")

// Segment writes the events from the oldest that was not dropped up to, and without,
// the event to: a line each, first the hashes of the tree before them, and last the
// signed checkpoint of the tree with them. CheckExport proves it without the database.
func (l *Log) Segment(ctx context.Context, w io.Writer, to int64) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	n, err := size(ctx, tx)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	if to < 0 || to > n {
		return fmt.Errorf("writing the audit log up to event %d: it has %d", to, n)
	}
	g, err := l.dropped(ctx, tx)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	h := hashReader(ctx, tx)
	t := tlog.Tree{N: to}
	if t.Hash, err = tlog.TreeHash(to, h); err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	if g.to > 0 {
		first := exported{Index: g.to}
		if first.Before, err = h.ReadHashes(edgeOf(g.to)); err != nil {
			return err
		}
		if err := e.Encode(first); err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
	}
	err = each(ctx, tx, g.to, "", func(x Entry, data, open []byte) error {
		if x.Index >= to {
			return errStop
		}
		if err := e.Encode(exported{Index: x.Index, Leaf: string(data), Open: open}); err != nil {
			return fmt.Errorf("writing the audit log: %w", err)
		}
		return nil
	})
	if err != nil && !errors.Is(err, errStop) {
		return err
	}
	msg, err := l.Sign(t)
	if err != nil {
		return err
	}
	if err := e.Encode(exported{Index: to, Checkpoint: string(msg)}); err != nil {
		return fmt.Errorf("writing the audit log: %w", err)
	}
	return nil
}

// edgeOf are the indexes of the stored hashes of which the tree of n events is made:
// one for each bit of n, the largest first.
func edgeOf(n int64) (all []int64) {
	at := int64(0)
	for level := 62; level >= 0; level-- {
		if n&(1<<level) != 0 {
			all = append(all, tlog.StoredHashIndex(level, at>>level))
			at += 1 << level
		}
	}
	return all
}

// Drop takes the events before to out of the database, of which a segment is kept
// elsewhere and was checked: t is what CheckExport said of it. Their hashes stay, and
// an event of actor tells of it. It returns how many events there were.
func (l *Log) Drop(ctx context.Context, tx *sql.Tx, now time.Time, actor string, t tlog.Tree) (int64, error) {
	g, err := l.dropped(ctx, tx)
	if err != nil {
		return 0, err
	}
	n, err := size(ctx, tx)
	if err != nil {
		return 0, err
	}
	if t.N <= g.to || t.N > n {
		return 0, fmt.Errorf("dropping the events before %d of the audit log: it has those from %d to %d", t.N, g.to, n-1)
	}
	if err := consistent(t, n, hashReader(ctx, tx)); err != nil {
		return 0, err
	}
	msg, err := l.Sign(t)
	if err != nil {
		return 0, err
	}
	// First, so that the log is never without its newest event, which counts them.
	_, err = Append(ctx, tx, now, Event{Kind: DropKind, Actor: actor, Public: map[string]string{"from": strconv.FormatInt(g.to, 10), "to": strconv.FormatInt(t.N, 10)}})
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO audit_segments (to_idx, from_idx, checkpoint, dropped_at) VALUES (?, ?, ?, ?)", t.N, g.to, msg, now.UnixMicro()); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, "DELETE FROM audit_leaves WHERE idx < ?", t.N)
	return t.N - g.to, err
}

// VerifySegment proves a segment or an export with the log's own key, and that its
// events are those whose hashes are stored. It returns the first event and the tree.
func (l *Log) VerifySegment(ctx context.Context, r io.Reader) (from int64, t tlog.Tree, err error) {
	h := hashReader(ctx, l.db)
	from = -1
	t, err = checkExport(l.vkey, r, func(e Entry, data []byte) error {
		if from < 0 {
			from = e.Index
		}
		stored, err := h.ReadHashes([]int64{tlog.StoredHashIndex(0, e.Index)})
		if err == nil && stored[0] != tlog.RecordHash(data) {
			err = fmt.Errorf("%w: the stored hash of event %d is not that of the event in the segment", ErrTampered, e.Index)
		}
		return err
	})
	return max(from, 0), t, err
}

// ReadSegment proves a segment or an export with a public key and gives f its events.
func ReadSegment(key string, r io.Reader, f func(Entry) error) (tlog.Tree, error) {
	return checkExport(key, r, func(e Entry, _ []byte) error { return f(e) })
}

// ProveFrom is Prove for an event that was dropped, and is in the segment r.
func (l *Log) ProveFrom(ctx context.Context, index int64, r io.Reader) (Proof, error) {
	d := json.NewDecoder(bufio.NewReader(r))
	for {
		var x exported
		if err := d.Decode(&x); err != nil || x.Checkpoint != "" {
			return Proof{}, fmt.Errorf("proving event %d: it is not in this segment", index)
		}
		if x.Index == index && x.Leaf != "" {
			return l.prove(ctx, index, []byte(x.Leaf), x.Open)
		}
	}
}

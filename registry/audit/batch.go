package audit

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// rowsPerInsert leaves or hashes go in one statement: what a statement costs by
// itself is spread thin by then, and the parameters are far below SQLite's limit.
const rowsPerInsert = 100

// AppendAll is Append for many events at once, in their order. They are the same
// leaves and hashes; it reads the tree's edge once, not for each event.
func AppendAll(ctx context.Context, tx *sql.Tx, now time.Time, events []Event) error {
	_, err := appendAll(ctx, tx, now, events)
	return err
}

// appendAll returns the index of the first.
func appendAll(ctx context.Context, tx *sql.Tx, now time.Time, events []Event) (int64, error) {
	if len(events) == 0 {
		return 0, nil
	}
	n, err := size(ctx, tx)
	if err != nil {
		return 0, fmt.Errorf("appending %d events to the audit log: %w", len(events), err)
	}
	e := edge{first: tlog.StoredHashIndex(0, n), db: hashReader(ctx, tx), seen: map[int64]tlog.Hash{}}
	var leaves, hashes []any
	now = now.UTC().Truncate(time.Microsecond)
	for i, ev := range events {
		data, open, err := encode(now, ev)
		if err != nil {
			return 0, fmt.Errorf("appending %s to the audit log: %w", ev.Kind, err)
		}
		more, err := tlog.StoredHashes(n+int64(i), data, &e)
		if err != nil {
			return 0, fmt.Errorf("appending %s to the audit log: %w", ev.Kind, err)
		}
		leaves = append(leaves, n+int64(i), valid(ev.TokenID), data, open)
		for _, h := range more {
			hashes = append(hashes, e.first+int64(len(e.made)), h[:])
			e.made = append(e.made, h)
		}
	}
	if err := insertAll(ctx, tx, "audit_leaves (idx, token_id, data, open)", 4, leaves); err != nil {
		return 0, fmt.Errorf("appending %d events to the audit log: %w", len(events), err)
	}
	if err := insertAll(ctx, tx, "audit_hashes (idx, hash)", 2, hashes); err != nil {
		return 0, fmt.Errorf("appending %d events to the audit log: %w", len(events), err)
	}
	return n, nil
}

// insertAll inserts rows of width values each.
func insertAll(ctx context.Context, tx *sql.Tx, into string, width int, values []any) error {
	row := "(?" + strings.Repeat(", ?", width-1) + ")"
	insert := func(n int) string { return "INSERT INTO " + into + " VALUES " + row + strings.Repeat(", "+row, n-1) }
	if len(values) >= rowsPerInsert*width {
		many, err := tx.PrepareContext(ctx, insert(rowsPerInsert)) // once: it takes longer than to run it
		if err != nil {
			return err
		}
		defer many.Close()
		for ; len(values) >= rowsPerInsert*width; values = values[rowsPerInsert*width:] {
			if _, err := many.ExecContext(ctx, values[:rowsPerInsert*width]...); err != nil {
				return err
			}
		}
	}
	if len(values) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, insert(len(values)/width), values...)
	return err
}

// edge reads hashes: those just made, which are not in the database yet, and of the
// others each one once.
type edge struct {
	first int64 // index of made[0]
	made  []tlog.Hash
	db    tlog.HashReader
	seen  map[int64]tlog.Hash
}

// ReadHashes implements tlog.HashReader.
func (e *edge) ReadHashes(idx []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(idx))
	for i, x := range idx {
		if x >= e.first {
			if x-e.first >= int64(len(e.made)) {
				return nil, fmt.Errorf("%w: hash %d is missing", ErrTampered, x)
			}
			out[i] = e.made[x-e.first]
			continue
		}
		h, ok := e.seen[x]
		if !ok {
			one, err := e.db.ReadHashes([]int64{x})
			if err != nil {
				return nil, err
			}
			h = one[0]
			e.seen[x] = h
		}
		out[i] = h
	}
	return out, nil
}

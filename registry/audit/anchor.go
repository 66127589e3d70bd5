package audit

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// ErrBehind: the log is older than a checkpoint of it. Events that were there are
// missing, and what they changed with them: what was revoked then is live again.
var ErrBehind = errors.New("the database is older than the last checkpoint of its audit log")

// Behind is how many events the log lacks.
type Behind struct {
	Events int64 // in the log
	Missed int64 // that the checkpoint has beyond them
	Anchor string
}

func (b *Behind) Error() string {
	return fmt.Sprintf("%v: it has %d events, and %q has seen %d more. It was restored from a backup, or an older file was put in its place: what was revoked since then is live again", ErrBehind, b.Events, b.Anchor, b.Missed)
}

// Unwrap makes it ErrBehind.
func (b *Behind) Unwrap() error { return ErrBehind }

// Anchored reports whether the log continues the checkpoint in the anchor file, by
// reading the few hashes that tell. It wraps ErrBehind or ErrTampered if not.
func (l *Log) Anchored(ctx context.Context) error {
	saved, err := l.saved() // first: what is signed meanwhile continues it
	if err != nil || saved == nil {
		return err
	}
	err = l.continues(ctx, *saved, l.anchor)
	if errors.Is(err, ErrTampered) {
		return fmt.Errorf("comparing the audit log with the checkpoint %q: %w", l.anchor, err)
	}
	return err
}

// Behind compares the log with a checkpoint that was saved elsewhere, as Anchored
// does with the anchor file; name is what it is called.
func (l *Log) Behind(ctx context.Context, msg []byte, name string) error {
	saved, err := l.Open(msg)
	if err != nil {
		return err
	}
	return l.continues(ctx, saved, name)
}

// continues reports whether the log is as long as a checkpoint and holds its tree.
func (l *Log) continues(ctx context.Context, saved tlog.Tree, name string) error {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	defer tx.Rollback()
	n, err := size(ctx, tx)
	if err != nil {
		return fmt.Errorf("reading the audit log: %w", err)
	}
	if n < saved.N {
		return &Behind{n, saved.N - n, name}
	}
	return consistent(saved, n, hashReader(ctx, tx))
}

// PutAside moves the anchor file away, kept as evidence beside it, so that a log
// which does not continue it can be gone on with. It returns where it is now; empty
// when there was none.
func (l *Log) PutAside(now time.Time) (string, error) {
	if l.anchor == "" {
		return "", nil
	}
	to := l.anchor + ".before-" + now.UTC().Format("20060102T150405")
	err := os.Rename(l.anchor, to)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("putting the older checkpoint aside: %w", err)
	}
	return to, nil
}

// Recompute is Verify without any checkpoint: it says whether the log is what was
// written, not whether it is all of it.
func (l *Log) Recompute(ctx context.Context) (tlog.Tree, error) {
	tx, err := l.db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("recomputing the audit log: %w", err)
	}
	defer tx.Rollback()
	t, _, err := l.recompute(ctx, tx)
	if err != nil {
		return tlog.Tree{}, fmt.Errorf("recomputing the audit log: %w", err)
	}
	return t.Tree, nil
}

package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quench-dev/quench/registry/audit"
)

// drop writes the segment up to event to and drops it.
func (f fixture) drop(t testing.TB, to int64) []byte {
	t.Helper()
	ctx := context.Background()
	var b bytes.Buffer
	if err := f.log.Segment(ctx, &b, to); err != nil {
		t.Fatal(err)
	}
	tree, err := audit.CheckExport(f.log.Key(), bytes.NewReader(b.Bytes()))
	if err != nil || tree.N != to {
		t.Fatalf("segment up to %d: %v, %v", to, tree, err)
	}
	err = f.InTx(ctx, func(tx *sql.Tx) error { _, err := f.log.Drop(ctx, tx, at, "admin", tree); return err })
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever is dropped: the log goes on, verifies, and proves what is in segments.
func TestDrop(t *testing.T) {
	ctx := context.Background()
	for _, cuts := range [][]int64{{1}, {7}, {20}, {8, 9}, {1, 2, 3, 19}, {5, 21}} {
		f := newLog(t, 20)
		if err := f.log.Checkpoint(ctx); err != nil {
			t.Fatal(err)
		}
		early, err := os.ReadFile(f.anchor)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := f.log.Prove(ctx, 0)
		if err != nil {
			t.Fatal(err)
		}
		var segments [][]byte
		from := int64(0)
		for i, to := range cuts {
			segments = append(segments, f.drop(t, to))
			f.add(t, 3)
			sound, err := f.log.Verify(ctx, early)
			if err != nil || sound.Dropped != to || sound.N != int64(20+4*(i+1)) {
				t.Fatalf("cuts %v: %+v, %v", cuts, sound, err)
			}
			if err := f.log.Checkpoint(ctx); err != nil {
				t.Fatal(err)
			}
			if got, tree, err := f.log.VerifySegment(ctx, bytes.NewReader(segments[i])); err != nil || got != from || tree.N != to {
				t.Errorf("cuts %v: segment %d to %d: %d, %+v, %v", cuts, from, to, got, tree, err)
			}
			for x := from; x < to; x++ {
				if _, err := f.log.Prove(ctx, x); err == nil || !strings.Contains(err.Error(), "--segment") {
					t.Fatalf("cuts %v: event %d without its segment: %v", cuts, x, err)
				}
				p, err := f.log.ProveFrom(ctx, x, bytes.NewReader(segments[i]))
				if err != nil {
					t.Fatalf("cuts %v, event %d: %v", cuts, x, err)
				}
				if e, err := audit.CheckProof(f.log.Key(), p); err != nil || e.Index != x || x < 20 && e.Details["n"] != fmt.Sprint(x) {
					t.Fatalf("cuts %v, event %d: %+v, %v", cuts, x, e, err)
				}
			}
			from = to
		}
		if _, err := f.log.ProveFrom(ctx, 22, bytes.NewReader(segments[0])); err == nil {
			t.Error("an event of no segment is proven")
		}
		if first, err := f.log.First(ctx); err != nil || first != from || f.entries(t)[0].Index != from {
			t.Errorf("cuts %v: the first is %d, %v; want %d", cuts, first, err, from)
		}
		if _, err := audit.CheckProof(f.log.Key(), proof); err != nil {
			t.Errorf("a proof from before: %v", err)
		}
		var rest bytes.Buffer
		if err := f.log.Export(ctx, &rest); err != nil {
			t.Fatal(err)
		}
		if tree, err := audit.CheckExport(f.log.Key(), &rest); err != nil || tree.N != int64(20+4*len(cuts)) {
			t.Errorf("cuts %v: the export of the rest: %v, %v", cuts, tree, err)
		}
	}
}

// Whatever is changed after a drop, in the database or in a segment, is found.
func TestDropFinds(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct{ do, want string }{
		"changed hash":         {fmt.Sprintf("UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = %d", tlog.StoredHashIndex(0, 4)), "events 4 to 5"},
		"removed hash":         {fmt.Sprintf("DELETE FROM audit_hashes WHERE idx = %d", tlog.StoredHashIndex(0, 4)), "event 4 is missing"},
		"one more dropped":     {"DELETE FROM audit_leaves WHERE idx = 10", "event 10 is missing"},
		"segment forgotten":    {"DELETE FROM audit_segments", "event 0 is missing"},
		"segment with no tale": {"UPDATE audit_segments SET from_idx = 3", "no event tells that they were dropped"},
		"segment longer":       {"UPDATE audit_segments SET to_idx = 12; DELETE FROM audit_leaves WHERE idx < 12", "not one that was signed"},
		"all that is left":     {"DELETE FROM audit_leaves WHERE idx > 10", ""},
	} {
		f := newLog(t, 20)
		f.drop(t, 10)
		f.exec(t, c.do)
		if _, err := f.log.Verify(ctx); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	// Hashes that were rewritten as a whole: the signed tree and the segment tell.
	f := newLog(t, 20)
	segment := f.drop(t, 1)
	_, err := f.Writer().Exec("UPDATE audit_hashes SET hash = ? WHERE idx = 0", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.log.VerifySegment(ctx, bytes.NewReader(segment)); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "event 0 ") {
		t.Errorf("the segment of a changed hash: %v", err)
	}
	other := newLog(t, 20)
	if _, _, err := other.log.VerifySegment(ctx, bytes.NewReader(segment)); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("another log's segment: %v", err)
	}
	for name, bad := range map[string][]byte{
		"changed":  bytes.Replace(segment, []byte("test.event"), []byte("test.avent"), 1),
		"cut":      segment[:len(segment)/2],
		"in front": append([]byte(`{"index":4,"before":["AAAA"]}`+"\n"), segment...),
		"huge":     append([]byte(`{"index":9223372036854775807,"before":[]}`+"\n"), segment...),
	} {
		if _, err := audit.CheckExport(f.log.Key(), bytes.NewReader(bad)); !errors.Is(err, audit.ErrProof) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Only what is proven is dropped, and not twice.
func TestDropRefuses(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 20)
	f.drop(t, 10)
	head, err := f.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, tree := range []tlog.Tree{{}, {N: 10}, {N: 12}, {N: 99, Hash: head.Hash}, {N: head.N, Hash: tlog.Hash{1}}} {
		err := f.InTx(ctx, func(tx *sql.Tx) error { _, err := f.log.Drop(ctx, tx, at, "admin", tree); return err })
		if err == nil {
			t.Errorf("%+v is dropped", tree)
		}
	}
	if sound, err := f.log.Verify(ctx); err != nil || sound.Dropped != 10 || sound.N != 21 {
		t.Errorf("%+v, %v", sound, err)
	}
	if to, err := f.log.Before(ctx, at); err != nil || to != 10 {
		t.Errorf("before the first: %d, %v", to, err)
	}
	if to, err := f.log.Before(ctx, at.Add(time.Second)); err != nil || to != 21 {
		t.Errorf("all: %d, %v", to, err)
	}
}

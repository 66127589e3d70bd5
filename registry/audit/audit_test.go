package audit_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

var at = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)

type fixture struct {
	*store.Store
	log    *audit.Log
	anchor string
}

func newLog(t testing.TB, events int) fixture {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(context.Background(), storetest.Address(t, filepath.Join(dir, "db", "registry.db")), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	f := fixture{s, nil, filepath.Join(dir, "config", "checkpoints", "x")}
	if f.log, err = audit.NewLog(s.Reader(), "x", make([]byte, 32), f.anchor); err != nil {
		t.Fatal(err)
	}
	f.add(t, events)
	return f
}

func (f fixture) add(t testing.TB, events int) {
	t.Helper()
	ctx := context.Background()
	err := f.InTx(ctx, func(tx *sql.Tx) error {
		for i := range events {
			e := audit.Event{Kind: "test.event", Actor: "a'\"\xff", TokenID: fmt.Sprintf("token%d", i%3), Details: map[string]string{"n": fmt.Sprint(i), "z": "<\x00&>"}}
			if _, err := audit.Append(ctx, tx, at, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func (f fixture) exec(t testing.TB, queries ...string) {
	t.Helper()
	for _, q := range queries {
		if _, err := f.Writer().Exec(q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

func TestAppendAndRead(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 0)
	if tree, err := f.log.Verify(ctx); err != nil || tree.N != 0 {
		t.Fatalf("empty log: %v, %v", tree, err)
	}
	f.add(t, 10)
	var got []audit.Entry
	if err := f.log.Each(ctx, 2, "token0", func(e audit.Entry) error { got = append(got, e); return nil }); err != nil {
		t.Fatal(err)
	}
	if len(got) != 3 || got[0].Index != 3 || got[0].Actor != "a'\"\uFFFD" || !got[0].At.Equal(at) || got[0].Details["z"] != "<\x00&>" {
		t.Errorf("entries %+v", got)
	}
	stop := errors.New("stop")
	if err := f.log.Each(ctx, 0, "", func(audit.Entry) error { return stop }); err != stop {
		t.Errorf("Each: %v, want the error of f", err)
	}
	if err := f.InTx(ctx, func(tx *sql.Tx) error { _, err := audit.Append(ctx, tx, at, audit.Event{}); return err }); err == nil {
		t.Error("an event without a kind was taken")
	}
}

func TestRollbackLeavesNothing(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 5)
	before, err := f.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	err = f.InTx(ctx, func(tx *sql.Tx) error {
		if n, err := audit.Append(ctx, tx, at, audit.Event{Kind: "k"}); n != 5 || err != nil {
			t.Errorf("index %d, %v; want 5", n, err)
		}
		return boom
	})
	if !errors.Is(err, boom) {
		t.Fatal(err)
	}
	if after, err := f.log.Verify(ctx); err != nil || after.Tree != before {
		t.Errorf("%v, %v; want %v", after, err, before)
	}
}

// edit is a statement that changes the text of an event; the functions of text are the
// one thing that is not the same on both stores.
func edit(column string, idx int, from, to string) string {
	if storetest.OnPostgres() {
		return fmt.Sprintf("UPDATE audit_leaves SET %s = convert_to(replace(convert_from(%s, 'UTF8'), '%s', '%s'), 'UTF8') WHERE idx = %d", column, column, from, to, idx)
	}
	return fmt.Sprintf("UPDATE audit_leaves SET %s = CAST(replace(CAST(%s AS TEXT), '%s', '%s') AS BLOB) WHERE idx = %d", column, column, from, to, idx)
}

// Whatever is changed is found, and where.
func TestVerifyFinds(t *testing.T) {
	for _, c := range []struct{ name, where, do string }{
		{"changed event", "event 7 ", edit("data", 7, "test.event", "test.avent")},
		{"changed details", "event 7: its text is not what was written", edit("open", 7, `\"n\":\"7\"`, `\"n\":\"8\"`)},
		{"details of another event", "event 7: its text is not what was written", `UPDATE audit_leaves SET open = (SELECT open FROM audit_leaves WHERE idx = 8) WHERE idx = 7`},
		{"removed details", "the actor of event 7 is missing, and no event tells that it was erased", `UPDATE audit_leaves SET open = NULL WHERE idx = 7`},
		{"invented segment", "the checkpoint of the dropped events is not one that was signed here", `DELETE FROM audit_leaves WHERE idx < 5; INSERT INTO audit_segments (to_idx, from_idx, checkpoint, dropped_at) SELECT 5, 0, hash, 0 FROM audit_hashes WHERE idx = 0`},
		{"garbled event", "event 7 ", `UPDATE audit_leaves SET data = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 7`},
		{"refiled event", "event 7 ", `UPDATE audit_leaves SET token_id = 'other' WHERE idx = 7`},
		{"removed event", "event 7 ", `DELETE FROM audit_leaves WHERE idx = 7`},
		{"removed and closed up", "event 7 ", `DELETE FROM audit_leaves WHERE idx = 7; UPDATE audit_leaves SET idx = -idx WHERE idx > 7; UPDATE audit_leaves SET idx = -idx - 1 WHERE idx < 0`},
		{"swapped events", "event 7 ", `UPDATE audit_leaves SET idx = 99 WHERE idx = 7; UPDATE audit_leaves SET idx = 7 WHERE idx = 10; UPDATE audit_leaves SET idx = 10 WHERE idx = 99`},
		{"inserted event", "", `INSERT INTO audit_leaves SELECT 20, token_id, data, open FROM audit_leaves WHERE idx = 1`},
		{"cut tail", "", `DELETE FROM audit_leaves WHERE idx >= 15`},
		{"changed hash", "event 7 ", `UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 11`},
		{"removed hash", "event 7 ", `DELETE FROM audit_hashes WHERE idx = 11`},
		{"removed last hash", "", `DELETE FROM audit_hashes WHERE idx = (SELECT max(idx) FROM audit_hashes)`},
		{"changed inner hash", "events 0 to 7 ", `UPDATE audit_hashes SET hash = (SELECT hash FROM audit_hashes WHERE idx = 0) WHERE idx = 14`},
	} {
		f := newLog(t, 20)
		if _, err := f.log.Verify(context.Background()); err != nil {
			t.Fatal(err)
		}
		if tlog.StoredHashIndex(0, 7) != 11 || tlog.StoredHashIndex(3, 0) != 14 {
			t.Fatal("the hash indexes of this test are wrong")
		}
		f.exec(t, c.do)
		_, err := f.log.Verify(context.Background())
		if !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error()+" ", c.where) {
			t.Errorf("%s: %v, want ErrTampered at %q", c.name, err, c.where)
		}
	}
}

// sameOpening reports whether two texts are the same JSON to its reader, which knows
// names in any case.
func sameOpening(a, b []byte) bool {
	var x, y audit.Opening
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && cmp.Equal(x, y)
}

// Every flipped bit of an event is found.
func TestVerifyFindsAnyBit(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 3)
	for _, column := range []string{"data", "open"} {
		var data []byte
		if err := f.Reader().QueryRow("SELECT " + column + " FROM audit_leaves WHERE idx = 1").Scan(&data); err != nil {
			t.Fatal(err)
		}
		for i := range len(data) * 8 {
			b := bytes.Clone(data)
			b[i/8] ^= 1 << (i % 8)
			if _, err := f.Writer().Exec("UPDATE audit_leaves SET "+column+" = ? WHERE idx = 1", b); err != nil {
				t.Fatal(err)
			}
			// The version digit may become another version's, which is an error too.
			if _, err := f.log.Verify(ctx); err == nil && !sameOpening(b, data) {
				t.Fatalf("%s: bit %d of byte %d (%q) can be flipped", column, i%8, i/8, data[i/8])
			}
		}
		if _, err := f.Writer().Exec("UPDATE audit_leaves SET "+column+" = ? WHERE idx = 1", data); err != nil {
			t.Fatal(err)
		}
	}
}

// A log cut or rewritten with all its hashes is found by a checkpoint.
func TestCheckpoint(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 20)
	if err := f.log.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}
	elsewhere, err := os.ReadFile(f.anchor)
	if err != nil {
		t.Fatal(err)
	}
	f.add(t, 3)
	if tree, err := f.log.Verify(ctx, elsewhere); err != nil || tree.N != 23 {
		t.Fatalf("a longer log: %v, %v", tree, err)
	}
	if err := f.log.Checkpoint(ctx); err != nil {
		t.Fatal(err)
	}

	cut := func(n int64) {
		f.exec(t, fmt.Sprintf("DELETE FROM audit_leaves WHERE idx >= %d", n), fmt.Sprintf("DELETE FROM audit_hashes WHERE idx >= %d", tlog.StoredHashCount(n)))
	}
	cut(22)
	if _, err := f.log.Verify(ctx); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "the last 1 were removed") {
		t.Errorf("cut: %v", err)
	}
	kept, _ := os.ReadFile(f.anchor)
	if err := f.log.Checkpoint(ctx); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("checkpoint of a cut log: %v", err)
	}
	if now, _ := os.ReadFile(f.anchor); !bytes.Equal(now, kept) {
		t.Error("the checkpoint that proves the cut was replaced")
	}
	f.add(t, 5) // event 0 to 4 again, as 22 to 26: the log is longer than ever
	if _, err := f.log.Verify(ctx); !errors.Is(err, audit.ErrTampered) || !strings.Contains(err.Error(), "first 23 events") {
		t.Errorf("rewritten: %v", err)
	}
	os.Remove(f.anchor)
	if _, err := f.log.Verify(ctx, elsewhere); err != nil {
		t.Errorf("the first 20 events are untouched: %v", err)
	}
	cut(10)
	if _, err := f.log.Verify(ctx, elsewhere); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("cut below the checkpoint saved elsewhere: %v", err)
	}
}

func TestForgedCheckpoint(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 4)
	tree, err := f.log.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	good, err := f.log.Sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := f.log.Open(good); err != nil || back != tree {
		t.Fatalf("%v, %v; want %v", back, err, tree)
	}
	other, err := audit.NewLog(f.Reader(), "x", bytes.Repeat([]byte{1}, 32), "")
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := other.Sign(tree)
	if err != nil {
		t.Fatal(err)
	}
	for name, msg := range map[string][]byte{
		"changed size": bytes.Replace(good, []byte("\n4\n"), []byte("\n3\n"), 1), "another key": foreign, "nothing": nil, "text": []byte("hello\n"),
	} {
		if _, err := f.log.Open(msg); err == nil {
			t.Errorf("%s: opened", name)
		}
		if err := os.MkdirAll(filepath.Dir(f.anchor), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(f.anchor, msg, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := f.log.Verify(ctx); !errors.Is(err, audit.ErrTampered) {
			t.Errorf("%s: Verify %v, want ErrTampered", name, err)
		}
	}
}

// Checkpoints come from files that anybody may have written.
func FuzzOpen(f *testing.F) {
	log, err := audit.NewLog(nil, "x", make([]byte, 32), "")
	if err != nil {
		f.Fatal(err)
	}
	good, err := log.Sign(tlog.Tree{N: 4})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("quench-registry/x\n4\n\n"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		tree, err := log.Open(msg)
		if err == nil && tree != (tlog.Tree{N: 4}) {
			t.Fatalf("opened %v, which was never signed", tree)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	f := newLog(b, 1000)
	ctx := context.Background()
	b.ResetTimer()
	err := f.InTx(ctx, func(tx *sql.Tx) error {
		for range b.N {
			if _, err := audit.Append(ctx, tx, at, audit.Event{Kind: "k", TokenID: "t"}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

func (f fixture) entries(t testing.TB) (all []audit.Entry) {
	t.Helper()
	if err := f.log.Each(context.Background(), 0, "", func(e audit.Entry) error { all = append(all, e); return nil }); err != nil {
		t.Fatal(err)
	}
	return all
}

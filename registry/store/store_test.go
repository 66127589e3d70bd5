package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

func open(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), path, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestOpenCreates(t *testing.T) {
	storetest.OnlySQLite(t)
	path := filepath.Join(t.TempDir(), "a?b#c%41", "d e", "registry.db")
	if _, err := store.Open(context.Background(), path, store.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("missing file: %v, want fs.ErrNotExist", err)
	}
	s := open(t, path)
	if !s.Created() {
		t.Error("Created is false for a new file")
	}
	var mode string
	var sync, fk int
	for q, p := range map[string]any{"PRAGMA journal_mode": &mode, "PRAGMA synchronous": &sync, "PRAGMA foreign_keys": &fk} {
		if err := s.Writer().QueryRow(q).Scan(p); err != nil {
			t.Fatal(err)
		}
	}
	if mode != "wal" || sync != 2 || fk != 1 {
		t.Errorf("journal_mode %s, synchronous %d, foreign_keys %d; want wal, 2, 1", mode, sync, fk)
	}
	if _, err := s.Reader().Exec("DELETE FROM tokens"); err == nil {
		t.Error("the reader may write")
	}
	if runtime.GOOS != "windows" {
		for p, want := range map[string]fs.FileMode{path: 0o600, path + "-wal": 0o600, filepath.Dir(path): 0o700} {
			fi, err := os.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if fi.Mode().Perm() != want {
				t.Errorf("%s has mode %v, want %v", filepath.Base(p), fi.Mode().Perm(), want)
			}
		}
	}
	s.Close()
	if s := open(t, path); s.Created() {
		t.Error("Created is true for an old file")
	}
}

func TestOpenRefuses(t *testing.T) {
	storetest.OnlySQLite(t)
	ctx := context.Background()
	good := filepath.Join(t.TempDir(), "good.db")
	open(t, good).Close()
	sound, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(sound)
	for i := 100; i < 4096; i++ {
		flipped[i] ^= 0x5a
	}
	for name, c := range map[string]struct {
		content []byte
		want    error
	}{
		"garbage":   {[]byte(strings.Repeat("this is no database ", 500)), store.ErrCorrupt},
		"truncated": {sound[:len(sound)/2], store.ErrCorrupt},
		"header":    {sound[:100], store.ErrCorrupt},
		"flipped":   {flipped, store.ErrCorrupt},
		"empty":     {nil, store.ErrEmpty},
	} {
		path := filepath.Join(t.TempDir(), name+".db")
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := store.Open(ctx, path, store.Options{})
		if err == nil {
			s.Close()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := store.Open(ctx, t.TempDir(), store.Options{Create: true}); err == nil {
		t.Error("a folder was opened")
	}
	for _, address := range []string{"mysql://ann:hush@db/x", "postgre://ann:hush@db/x", "Postgres://ann:hush@db/x", "sqlite:///hush"} {
		_, err := store.Open(ctx, address, store.Options{Create: true})
		if err == nil || !strings.Contains(err.Error(), "postgres://USER@HOST/DATABASE") || strings.Contains(err.Error(), "hush") || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestOpenForeignAndNewer(t *testing.T) {
	storetest.OnlySQLite(t)
	ctx := context.Background()
	other := filepath.Join(t.TempDir(), "other.db")
	db, err := sql.Open("sqlite", other)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := store.Open(ctx, other, store.Options{Create: true}); !errors.Is(err, store.ErrForeign) {
		t.Errorf("another program's database: %v, want ErrForeign", err)
	}

	newer := filepath.Join(t.TempDir(), "newer.db")
	s := open(t, newer)
	if _, err := s.Writer().Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, 1)"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := store.Open(ctx, newer, store.Options{Create: true}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("newer schema: %v, want ErrNewer", err)
	}
}

// A database whose record of migrations was tampered with is refused, and nothing tries
// for ever.
func TestOpenUnapplied(t *testing.T) {
	path := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
	s := open(t, path)
	if _, err := s.Writer().Exec("UPDATE goose_db_version SET is_applied = ? WHERE version_id = (SELECT max(version_id) FROM goose_db_version)", false); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := store.Open(context.Background(), path, store.Options{Create: true}); err == nil || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("%v", err)
	}
}

// Many processes may meet at a new database; here they are pools of their own.
func TestOpenTogether(t *testing.T) {
	path := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := store.Open(context.Background(), path, store.Options{Create: true})
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for range 5 {
				if err := s.InTx(context.Background(), func(tx *sql.Tx) error {
					_, err := tx.Exec(`INSERT INTO watch_files VALUES ('f', 'p', 0, 0, ?, 1, 0, 0)
						ON CONFLICT (id) DO UPDATE SET "offset" = watch_files."offset" + 1`, []byte{})
					return err
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	all, err := open(t, path).Positions(context.Background())
	if err != nil || len(all) != 1 || all[0].Offset != 40 {
		t.Errorf("%v, %v; want the 40 increments of all", all, err)
	}
}

func TestInTx(t *testing.T) {
	ctx := context.Background()
	s := open(t, storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")))
	count := func() (n int) {
		if err := s.Reader().QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	put := func(tx *sql.Tx, key string) error {
		_, err := tx.Exec("INSERT INTO meta (key, value) VALUES (?, ?)", key, []byte{0})
		return err
	}
	boom := errors.New("boom")
	if err := s.InTx(ctx, func(tx *sql.Tx) error { put(tx, "a"); return boom }); !errors.Is(err, boom) {
		t.Fatalf("%v, want the error of fn", err)
	}
	func() {
		defer func() { recover() }()
		s.InTx(ctx, func(tx *sql.Tx) error { put(tx, "b"); panic("boom") })
	}()
	if n := count(); n != 0 {
		t.Fatalf("%d rows after rollback and panic, want 0", n)
	}
	if err := s.InTx(ctx, func(tx *sql.Tx) error { return put(tx, "c") }); err != nil {
		t.Fatal(err)
	}
	err := s.InTx(ctx, func(tx *sql.Tx) error { return put(tx, "c") })
	if !store.IsConflict(err) {
		t.Fatalf("same key twice: %v, want a conflict", err)
	}
	if n := count(); n != 1 {
		t.Fatalf("%d rows, want 1", n)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.InTx(ended, func(tx *sql.Tx) error { return put(tx, "d") }); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
}

// The queries of Read see one moment, whoever commits between them.
func TestRead(t *testing.T) {
	ctx := context.Background()
	s := open(t, storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")))
	count := func(tx *sql.Tx) (n int) {
		if err := tx.QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	err := s.Read(ctx, func(tx *sql.Tx) error {
		before := count(tx)
		if err := s.InTx(ctx, func(w *sql.Tx) error {
			_, err := w.Exec("INSERT INTO meta (key, value) VALUES ('a', ?)", []byte{0})
			return err
		}); err != nil {
			return err
		}
		if now := count(tx); now != before {
			t.Errorf("%d rows, then %d", before, now)
		}
		if _, err := tx.Exec("DELETE FROM meta"); err == nil {
			t.Error("it writes")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A writer waits for another process's transaction instead of failing.
func TestInTxWaits(t *testing.T) {
	ctx := context.Background()
	path := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
	a, b := open(t, path), open(t, path)
	held, release := make(chan struct{}), make(chan struct{})
	var order []string
	var mu sync.Mutex
	note := func(s string) { mu.Lock(); order = append(order, s); mu.Unlock() }
	var wg sync.WaitGroup
	wg.Go(func() {
		err := a.InTx(ctx, func(tx *sql.Tx) error { close(held); <-release; note("a"); return nil })
		if err != nil {
			t.Error(err)
		}
	})
	<-held
	wg.Go(func() {
		close(release)
		if err := b.InTx(ctx, func(tx *sql.Tx) error { note("b"); return nil }); err != nil {
			t.Error(err)
		}
	})
	wg.Wait()
	if fmt.Sprint(order) != "[a b]" {
		t.Errorf("order %v, want [a b]", order)
	}
}

func TestPositions(t *testing.T) {
	ctx := context.Background()
	s := open(t, storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")))
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	p := store.Position{File: "f", Path: "/var/log/it's; DROP TABLE tokens", Dev: 1 << 63, Ino: 1<<64 - 1, HeadHash: []byte{1, 0, 2}, Offset: 1 << 40, Line: 7, Updated: at}
	save := func(p store.Position) {
		t.Helper()
		if err := s.InTx(ctx, func(tx *sql.Tx) error { return store.SavePosition(ctx, tx, p) }); err != nil {
			t.Fatal(err)
		}
	}
	save(store.Position{File: "g", Path: "a", Updated: at})
	p.Offset--
	save(p)
	p.Offset++
	save(p)
	all, err := s.Positions(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 2 || fmt.Sprint(all[0]) != fmt.Sprint(p) {
		t.Errorf("positions %v, want %v first of two", all, p)
	}
}

// A full disk fails the transaction, in words, and loses nothing before it.
func TestFull(t *testing.T) {
	storetest.OnlySQLite(t)
	ctx := context.Background()
	s := open(t, filepath.Join(t.TempDir(), "registry.db"))
	put := func(key string, n int) error {
		return s.InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec("INSERT INTO meta (key, value) VALUES (?, zeroblob(?))", key, n)
			return err
		})
	}
	if err := put("before", 1); err != nil {
		t.Fatal(err)
	}
	var pages int
	if err := s.Writer().QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Writer().Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+2)); err != nil {
		t.Fatal(err)
	}
	if err := put("big", 1<<20); !errors.Is(err, store.ErrFull) {
		t.Errorf("%v, want ErrFull", err)
	}
	if err := put("after", 1); err != nil {
		t.Errorf("a small one afterwards: %v", err)
	}
	var keys string
	if err := s.Reader().QueryRow("SELECT group_concat(key) FROM (SELECT key FROM meta ORDER BY key)").Scan(&keys); err != nil || keys != "after,before" {
		t.Errorf("keys %q, %v", keys, err)
	}
}

// Waiting for another process's lock ends with the context.
func TestInTxCancelled(t *testing.T) {
	path := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
	a, b := open(t, path), open(t, path)
	err := a.InTx(context.Background(), func(*sql.Tx) error {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
		defer cancel()
		begun := time.Now()
		err := b.InTx(ctx, func(*sql.Tx) error { t.Error("ran beside the holder of the lock"); return nil })
		if err == nil || time.Since(begun) > 4*time.Second {
			t.Errorf("after %v: %v; want an error at once", time.Since(begun), err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

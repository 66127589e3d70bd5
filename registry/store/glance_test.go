package store_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

// A Glance sees each commit of another process, also one after the file of recent writes
// was begun anew, and tells nothing of a database that rests. Of PostgreSQL it always says
// that it may have changed.
func TestGlance(t *testing.T) {
	file := storetest.Address(t, filepath.Join(t.TempDir(), "r.db"))
	s, err := store.Open(t.Context(), file, store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	g := s.Glance()
	if !g.Changed() {
		t.Error("the first look says that nothing changed")
	}
	if s.Postgres() {
		if !g.Changed() {
			t.Error("PostgreSQL cannot be looked at")
		}
		return
	}
	// rest is a while in which nothing is written: the files become older instead.
	rest := func() {
		t.Helper()
		for _, f := range []string{file, file + "-wal"} {
			if err := os.Chtimes(f, time.Time{}, time.Now().Add(-time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
		g.Changed()
		for range 3 {
			if g.Changed() {
				t.Fatal("nothing was written, and it says so")
			}
		}
	}
	other, err := store.Open(t.Context(), file, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	write := func() {
		t.Helper()
		if err := other.InTx(t.Context(), func(tx *sql.Tx) error {
			_, err := tx.Exec("INSERT INTO alerts (dedup_key, kind, severity, title, advice, details, at) VALUES (hex(randomblob(8)), 'x', 'info', '', '', '{}', 0)")
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		rest()
		write()
		for range 2 { // and while another write might look the same
			if !g.Changed() {
				t.Error("a commit is not seen")
			}
		}
		rest()
		if _, err := other.Writer().Exec("PRAGMA wal_checkpoint(RESTART)"); err != nil {
			t.Fatal(err)
		}
		g.Changed()
		write()
		if !g.Changed() {
			t.Error("a commit after a checkpoint is not seen")
		}
	}
	if err := os.Rename(file+"-wal", file+"-gone"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if !g.Changed() {
			t.Error("a missing file is taken for one that was not written to")
		}
	}
	os.Rename(file+"-gone", file+"-wal")
}

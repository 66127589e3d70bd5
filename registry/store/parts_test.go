package store_test

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

var update = flag.Bool("update", false, "write the lists of tables and indexes anew")

// The lists are what the migrations make: go test ./registry/store -run TestParts
// -update, with a PostgreSQL beside it, writes them anew.
func TestParts(t *testing.T) {
	s := open(t, storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")))
	list, query := "migrations/sqlite.txt", "SELECT type || ' ' || name FROM sqlite_master WHERE type IN ('table', 'index') AND name NOT LIKE 'sqlite_%' ORDER BY 1"
	if storetest.OnPostgres() {
		list, query = "migrations/postgres.txt", `SELECT CASE c.relkind WHEN 'i' THEN 'index ' ELSE 'table ' END || c.relname FROM pg_class c
			JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p', 'i') ORDER BY 1`
	}
	rows, err := s.Reader().Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var have strings.Builder
	for rows.Next() {
		var part string
		if err := rows.Scan(&part); err != nil {
			t.Fatal(err)
		}
		have.WriteString(part + "\n")
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(list, []byte(have.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if b, err := os.ReadFile(list); err != nil || string(b) != have.String() {
		t.Errorf("%s is not what the migrations make, which is (write it by -update)\n%s%v", list, have.String(), err)
	}
}

// A database of which a part was taken, or whose record of migrations was changed, is
// refused and told from others, with what to do; one that only lacks an index opens,
// and is told to be unsound.
func TestIncomplete(t *testing.T) {
	ctx := context.Background()
	cascade := ""
	if storetest.OnPostgres() {
		cascade = " CASCADE"
	}
	for name, c := range map[string]struct{ do, want string }{
		"a table":          {"DROP TABLE token_uses" + cascade, "there is no table token_uses; "},
		"the tokens":       {"DROP TABLE tokens" + cascade, "there is no table tokens; "},
		"a table of jobs":  {"DROP TABLE river_queue" + cascade, "there is no table river_queue; "},
		"a middle row":     {"DELETE FROM goose_db_version WHERE version_id = 13", "knows migrations to "},
		"a middle undone":  {"UPDATE goose_db_version SET is_applied = (1 = 0) WHERE version_id = 13", "and not 13"},
		"the last row":     {"DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)", "it holds what that migration makes"},
		"all rows":         {"DELETE FROM goose_db_version WHERE version_id > 0", "it holds what that migration makes"},
		"half a migration": {"DELETE FROM goose_db_version WHERE version_id >= 60; DROP TABLE provider_budgets" + cascade, "it holds what that migration makes"},
	} {
		t.Run(name, func(t *testing.T) {
			address := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
			s := open(t, address)
			for _, do := range strings.Split(c.do, "; ") {
				if _, err := s.Writer().Exec(do); err != nil {
					t.Fatal(err)
				}
			}
			s.Close()
			for range 2 { // the second time as the first
				_, err := store.Open(ctx, address, store.Options{Create: true})
				if !errors.Is(err, store.ErrIncomplete) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "restore a backup") {
					t.Errorf("%v; want ErrIncomplete, %q and what to do", err, c.want)
				}
			}
		})
	}
	t.Run("an index", func(t *testing.T) {
		address := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
		s := open(t, address)
		if _, err := s.Writer().Exec("DROP INDEX tokens_owner"); err != nil {
			t.Fatal(err)
		}
		s.Close()
		if err := open(t, address).Sound(ctx); !errors.Is(err, store.ErrUnsound) || !strings.Contains(err.Error(), "no index tokens_owner") {
			t.Errorf("%v", err)
		}
	})
	t.Run("while it is open", func(t *testing.T) {
		s := open(t, storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")))
		if _, err := s.Writer().Exec("DROP TABLE token_uses" + cascade); err != nil {
			t.Fatal(err)
		}
		err := s.InTx(ctx, func(tx *sql.Tx) error { _, err := tx.Exec("DELETE FROM token_uses"); return err })
		if !errors.Is(err, store.ErrIncomplete) || !strings.Contains(err.Error(), "restore a backup") {
			t.Errorf("%v", err)
		}
	})
}

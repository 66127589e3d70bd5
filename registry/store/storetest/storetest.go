// Package storetest gives tests a database of each kind.
//
// A package whose tests call Main runs them twice, on SQLite and on PostgreSQL; what
// they open is what Address says. PostgreSQL is the server that
// QUENCH_POSTGRES_TESTS names (testdata/postgres starts a private one and sets it);
// without it those runs are skipped. Each test has a schema of its own, which is
// gone when it ends. The package knows no table. Start reading at Main.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Variable names the environment variable with the address of the server.
const Variable = "QUENCH_POSTGRES_TESTS"

// postgres says that tests run on PostgreSQL now. Only Main changes it, while none
// runs.
var postgres bool

// Main runs the tests of a package on both stores and returns the exit code.
// Benchmarks, whose runs are long, are on PostgreSQL alone where there is one, and
// fuzzing on SQLite.
func Main(m *testing.M) int {
	server := os.Getenv(Variable) != ""
	postgres = server && set("test.bench")
	code := m.Run()
	if !server || postgres || set("test.fuzz") || set("test.list") || code != 0 {
		return code
	}
	fmt.Println("=== the same on PostgreSQL")
	postgres = true
	return m.Run()
}

// Both is Main for who takes a testing.M, such as goleak.
type Both struct{ M *testing.M }

// Run is Main.
func (b Both) Run() int { return Main(b.M) }

// set reports whether a flag of go test has a value.
func set(name string) bool {
	flag.Parse()
	f := flag.Lookup(name)
	return f != nil && f.Value.String() != "" && f.Value.String() != "false"
}

// OnPostgres reports whether this run is the one on PostgreSQL.
func OnPostgres() bool { return postgres }

// OnlySQLite skips a test of what PostgreSQL does not have, such as a file.
func OnlySQLite(t testing.TB) {
	t.Helper()
	if postgres {
		t.Skip("of SQLite only")
	}
}

// Address is path or, on PostgreSQL, the address of a new schema.
func Address(t testing.TB, path string) string {
	t.Helper()
	os.Getenv(Variable) // within a test, so that go test knows what its result hangs on
	if !postgres {
		return path
	}
	return Postgres(t)
}

// Postgres is the address of a new schema, whatever the run; without a server the
// test is skipped. A run on PostgreSQL has had it: there tests that are not about
// Address need not run again, see Once.
func Postgres(t testing.TB) string {
	t.Helper()
	server := os.Getenv(Variable)
	if server == "" {
		t.Skip(Variable + " names no server: go run ./testdata/postgres go test ./... starts one")
	}
	name := "t" + strings.ToLower(rand.Text())
	t.Cleanup(func() {
		if err := Exec(server, "DROP SCHEMA IF EXISTS "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	sep := "?"
	if strings.Contains(server, "?") {
		sep = "&"
	}
	return server + sep + "application_name=" + name + "&search_path=" + name
}

// Once skips a test in the run on PostgreSQL that has nothing to do with the store.
func Once(t testing.TB) {
	t.Helper()
	if postgres {
		t.Skip("ran before")
	}
}

// Exec runs statements on a connection of its own.
func Exec(address, statements string) error {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, statements)
	return err
}

// Cut ends at most limit connections of an address of Postgres, those at work first
// and else any, and returns how many.
func Cut(address string, limit int) (n int, err error) {
	ctx := context.Background()
	c, err := pgx.Connect(ctx, address)
	if err != nil {
		return 0, err
	}
	defer c.Close(ctx)
	err = c.QueryRow(ctx, `SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
		WHERE application_name = current_setting('application_name') AND pid <> pg_backend_pid()
		ORDER BY state = 'idle', random() LIMIT $1) AS chosen`, limit).Scan(&n)
	return n, err
}

// FailInserts makes every insert into a table fail.
func FailInserts(t testing.TB, db *sql.DB, table string) {
	t.Helper()
	do := "CREATE TRIGGER fail BEFORE INSERT ON " + table + " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
	if postgres {
		do = "CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'disk full'; END $$;" +
			" CREATE TRIGGER fail BEFORE INSERT ON " + table + " FOR EACH ROW EXECUTE FUNCTION fail()"
	}
	if _, err := db.Exec(do); err != nil {
		t.Fatal(err)
	}
}

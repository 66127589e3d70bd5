package unpack

import (
	"database/sql"
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

func TestSQLite(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		sql  string
		args []any
	}{
		{"CREATE TABLE users (id INTEGER PRIMARY KEY, mail TEXT, note TEXT, avatar BLOB)", nil},
		{"INSERT INTO users VALUES (7, 'ann@example.com', ?, ?)", []any{"two\nlines", []byte("\x89PNG\r\n\x1a\n")}},
		{"INSERT INTO users VALUES (8, 'bob@example.com', NULL, ?)", []any{[]byte(gzipOf(t, "in a blob"))}},
		{"CREATE TABLE settings (id INTEGER PRIMARY KEY, option_name TEXT, option_value TEXT, old TEXT)", nil},
		{"INSERT INTO settings VALUES (1, 'api_token', 'abc', 'x')", nil},
		{"INSERT INTO settings VALUES (2, 'a text with spaces', ?, NULL)", []any{[]byte(wideText("wide blob", binary.LittleEndian, true))}},
	} {
		if _, err := db.Exec(s.sql, s.args...); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := walkAll(t, "app.db", string(data), Options{})
	want := map[string]string{
		"users":                  "mail = \"ann@example.com\"\nnote =\ntwo\nlines\nmail = \"bob@example.com\"\n",
		"users again":            "!binary content",
		"users/8/avatar!/avatar": "in a blob",
		"settings":               "option_name = \"api_token\"\napi_token = \"abc\"\nold = \"x\"\noption_name = \"a text with spaces\"\noption_value = \"wide blob\"\n",
	}
	want["users/8/avatar!/content"] = want["users/8/avatar!/avatar"]
	delete(want, "users/8/avatar!/avatar")
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	got, _, err = walkAll(t, "cut.db", string(data[:len(data)-5000]), Options{})
	if err == nil && got["settings"] == want["settings"] {
		t.Errorf("a cut database is not told: %q", got)
	}
	entries, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the database lie %v, %v", entries, err)
	}
}

// Rows that are in the write-ahead log alone are found in that.
func TestSQLiteLog(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	long := strings.Repeat("long ", 3000)
	run := func(statements ...string) {
		t.Helper()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatal(err)
			}
		}
	}
	log := func() string {
		t.Helper()
		data, err := os.ReadFile(name + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	run("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0", "CREATE TABLE users (mail TEXT, token TEXT)", "INSERT INTO users VALUES ('ann', 'first'), ('bob', '"+long+"')")
	data := log()
	got, _, err := walkAll(t, "app.db-wal", data, Options{})
	want := map[string]string{"users": "mail = \"ann\"\ntoken = \"first\"\nmail = \"bob\"\ntoken = \"" + long + "\"\n", "pages": ""}
	if d := cmp.Diff(want, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	// The schema is in the database by now, and so is the long row.
	run("PRAGMA wal_checkpoint(TRUNCATE)", "UPDATE users SET token = 'second' WHERE mail = 'ann'")
	got, _, err = walkAll(t, "app.db-wal", log(), Options{})
	if d := cmp.Diff(map[string]string{"pages": "column1 = \"ann\"\ncolumn2 = \"second\"\n"}, got); d != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, d)
	}
	if got, _, err = walkAll(t, "app.db-wal", data[:len(data)-5000], Options{}); err == nil || len(got) == 0 {
		t.Errorf("a cut log is not told: %.200q", got)
	}
	// A page number is not a size.
	far := data[:32] + "\xff\xff\xff\xff" + data[36:]
	if _, _, err := walkAll(t, "app.db-wal", far, Options{}); err != nil {
		t.Error(err)
	}
}

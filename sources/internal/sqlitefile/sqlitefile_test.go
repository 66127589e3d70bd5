package sqlitefile

import (
	"bytes"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	_ "modernc.org/sqlite"
)

// database makes one by the library, from statements.
func database(t testing.TB, statements ...string) []byte {
	t.Helper()
	name := filepath.Join(t.TempDir(), "db")
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range append([]string{"PRAGMA synchronous=OFF"}, statements...) {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s[:min(80, len(s))], err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// dump gives every text and blob, as "table column value".
func dump(data []byte) (out []string, err error) {
	d, err := Open(bytes.NewReader(data), int64(len(data)))
	if d == nil {
		return nil, err
	}
	for _, t := range d.Tables {
		for row, e := range d.Rows(t) {
			if e != nil {
				err = e
				continue
			}
			for _, v := range row.Values {
				name := fmt.Sprint(v.Column)
				if v.Column < len(t.Columns) {
					name = t.Columns[v.Column]
				}
				out = append(out, t.Name+" "+name+" "+string(v.Data))
			}
		}
	}
	slices.Sort(out)
	return out, err
}

// oracle is dump by the library, over the columns that are named.
func oracle(t *testing.T, data []byte, columns map[string][]string) (out []string) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "db")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for table, cols := range columns {
		for _, c := range cols {
			rows, err := db.Query(fmt.Sprintf("SELECT CAST(%q AS BLOB) FROM %q WHERE typeof(%q) IN ('text','blob')", c, table, c))
			if err != nil {
				t.Fatal(err)
			}
			for rows.Next() {
				var v []byte
				if err := rows.Scan(&v); err != nil {
					t.Fatal(err)
				}
				out = append(out, table+" "+c+" "+string(v))
			}
			rows.Close()
		}
	}
	slices.Sort(out)
	return out
}

// What the library reads is read: rows of many lengths, over many pages, values
// over chains of pages, whatever the page size.
func TestSameAsLibrary(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, pageSize := range []int{512, 4096, 65536} {
		s := []string{
			fmt.Sprintf("PRAGMA page_size=%d", pageSize),
			"CREATE TABLE users (id INTEGER PRIMARY KEY, \"e mail\" TEXT NOT NULL, [pass] VARCHAR(20), n NUMERIC, data BLOB, -- a comment, here\n CONSTRAINT u UNIQUE (\"e mail\"))",
			"CREATE TABLE empty (a, b)",
			"CREATE VIEW v AS SELECT * FROM users",
		}
		for i := range 400 {
			long := strings.Repeat("x", rnd.IntN(3*min(pageSize, 4096)))
			s = append(s, fmt.Sprintf("INSERT INTO users VALUES (%d, 'user%d@example.com', 'p%s', %d, x'00%02x')", 3*i, i, long, i*7919, i%256))
		}
		s = append(s, "ALTER TABLE users ADD COLUMN late TEXT", "INSERT INTO users VALUES (9999, 'last', 'p', 1.5, NULL, 'new column')", "DELETE FROM users WHERE id % 2 = 1")
		data := database(t, s...)
		got, err := dump(data)
		if err != nil {
			t.Fatalf("page size %d: %v", pageSize, err)
		}
		want := oracle(t, data, map[string][]string{"users": {"e mail", "pass", "n", "data", "late"}, "empty": {"a", "b"}})
		if d := cmp.Diff(want, got); d != "" || len(got) < 600 {
			t.Errorf("page size %d: %d values (-want +got):\n%.2000s", pageSize, len(got), d)
		}
	}
}

func TestKinds(t *testing.T) {
	for _, encoding := range []string{"UTF-8", "UTF-16le", "UTF-16be"} {
		data := database(t, "PRAGMA encoding='"+encoding+"'", "CREATE TABLE t (a TEXT, g TEXT AS (upper(a)), b TEXT)", "INSERT INTO t (a, b) VALUES ('ä😀', 'second')",
			"CREATE TABLE w (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID", "INSERT INTO w VALUES ('key', 'value')")
		got, err := dump(data)
		if d := cmp.Diff([]string{"t a ä😀", "t b second", "w 0 key", "w 1 value"}, got); d != "" || err != nil {
			t.Errorf("%s: %v\n%s", encoding, err, d)
		}
	}
}

func TestColumns(t *testing.T) {
	for sql, want := range map[string][]string{
		"CREATE TABLE t(a, b TEXT DEFAULT 'x,y)', \"c d\" INT CHECK (a IN (1,2)), PRIMARY KEY (a, b))": {"a", "b", "c d"},
		"CREATE TABLE t(a --, no\n, b, c INT AS (a+b) VIRTUAL, d INT AS (a) STORED)":                   {"a", "b", "d"},
		"CREATE TABLE t(": nil, "": nil, "CREATE TABLE t('": nil, "CREATE TABLE t(\"unique\" TEXT)": {"unique"},
	} {
		if got, _ := columnsOf(sql); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", sql, got, want)
		}
	}
}

// Whatever byte is damaged, reading ends and gives no more than there is; pages that
// lead around are told.
func TestDamage(t *testing.T) {
	s := []string{"PRAGMA page_size=512", "CREATE TABLE t (a TEXT)"}
	for i := range 60 {
		s = append(s, fmt.Sprintf("INSERT INTO t VALUES ('%s')", strings.Repeat(fmt.Sprint(i), 200)))
	}
	data := database(t, s...)
	want, err := dump(data)
	if err != nil {
		t.Fatal(err)
	}
	rnd := rand.New(rand.NewPCG(2, 2))
	for range 3000 {
		bad := bytes.Clone(data)
		for range 1 + rnd.IntN(3) {
			bad[rnd.IntN(len(bad))] = byte(rnd.Uint32())
		}
		got, _ := dump(bad)
		if len(got) > 4*len(want)+512 {
			t.Fatalf("%d values of %d", len(got), len(want))
		}
	}
	for n := 0; n < len(data); n += 100 {
		if _, err := dump(data[:n]); err == nil {
			t.Errorf("cut to %d bytes: no error", n)
		}
	}
	// The root of the table is its own child.
	loop := bytes.Clone(data)
	root := loop[512:]
	if root[0] != interiorTable {
		t.Fatalf("the root is of kind %d", root[0])
	}
	copy(root[8:], []byte{0, 0, 0, 2})
	if _, err := dump(loop); err == nil || !strings.Contains(err.Error(), "used twice") {
		t.Errorf("a loop: %v", err)
	}
}

func FuzzDump(f *testing.F) {
	f.Add(database(f, "PRAGMA page_size=512", "CREATE TABLE t (a TEXT, b BLOB)", "INSERT INTO t VALUES ('text', x'0011')"))
	f.Fuzz(func(t *testing.T, data []byte) {
		out, _ := dump(data)
		n := 0
		for _, s := range out {
			n += len(s)
		}
		// A page of cells that all lead to the same bytes is told that often.
		if n > 1<<16*(len(data)+1) {
			t.Errorf("%d bytes of %d", n, len(data))
		}
	})
}

package unpack

import (
	"bytes"
	"fmt"
	"io"
	"iter"
	"path"
	"strconv"
	"strings"

	"github.com/quench-dev/quench/sources/internal/sqlitefile"
)

// sqlite gives each table of a database as a text, a line for each value that is
// text, and blobs that are archives as entries below it.
func (w *walker) sqlite(in Input, prefix string, depth int) error {
	db, err := sqlitefile.Open(in.At, in.Size)
	return w.tables(db, err, prefix, depth)
}

// sqliteLog gives the same of what is in a database's write-ahead log.
func (w *walker) sqliteLog(in Input, prefix string, depth int) error {
	if err := w.hold(sqlitefile.LogMemory(in.Size)); err != nil {
		return err
	}
	db, err := sqlitefile.OpenLog(in.At, in.Size)
	return w.tables(db, err, prefix, depth)
}

func (w *walker) tables(db *sqlitefile.DB, err error, prefix string, depth int) error {
	if db == nil {
		return err
	}
	for _, t := range db.Tables {
		if err := w.table(db, t, prefix, depth); err != nil {
			return err
		}
	}
	return err
}

func (w *walker) table(db *sqlitefile.DB, t sqlitefile.Table, prefix string, depth int) error {
	if err := w.oneMore(); err != nil {
		w.fatal = err
		return err
	}
	name := prefix + CleanName(t.Name)
	next, stop := iter.Pull2(db.Rows(t))
	defer stop()
	r := &tableReader{columns: t.Columns, next: next}
	if err := w.give(Entry{Path: name, Size: -1, R: &outlet{w: w, r: r}, Extracted: true}); err != nil {
		return err
	}
	if r.binary > 0 {
		if err := w.skip(name, fmt.Errorf("%w: %d blobs in it", ErrBinary, r.binary)); err != nil {
			return err
		}
	}
	if r.archives == 0 {
		return nil
	}
	for row, err := range db.Rows(t) {
		if err != nil {
			continue // told already
		}
		for _, v := range row.Values {
			if v.Text || !KindOf(v.Data).Archive() {
				continue
			}
			inner := path.Join(CleanName(t.Name), strconv.FormatInt(row.ID, 10), columnName(t.Columns, v.Column))
			if err := w.entry(prefix, inner, int64(len(v.Data)), bytes.NewReader(v.Data), depth); err != nil {
				return err
			}
		}
	}
	return nil
}

// tableReader writes rows as lines: name = "value", or the value below its name
// where it has lines or quotes of its own.
type tableReader struct {
	columns          []string
	next             func() (sqlitefile.Row, error, bool)
	out              bytes.Buffer
	err, bad         error
	binary, archives int
}

func (t *tableReader) Read(p []byte) (int, error) {
	for t.out.Len() == 0 {
		if t.err != nil {
			return 0, t.err
		}
		row, err, ok := t.next()
		switch {
		case !ok:
			if t.err = t.bad; t.err == nil {
				t.err = io.EOF
			}
		case err != nil:
			t.bad = err // the rest of the table is read first
		default:
			t.row(row)
		}
	}
	return t.out.Read(p)
}

func (t *tableReader) row(row sqlitefile.Row) {
	key := t.key(row)
	for _, v := range row.Values {
		data, name := v.Data, columnName(t.columns, v.Column)
		if !v.Text {
			switch k := KindOf(data); {
			case k == Text:
			case k.Wide():
				data, _ = io.ReadAll(Decode(k, bytes.NewReader(data)))
			case k.Archive():
				t.archives++
				continue
			default:
				t.binary++
				continue
			}
		}
		if key != "" && valueColumn(name) {
			name = key
		}
		if bytes.ContainsAny(data, "\n\"") {
			fmt.Fprintf(&t.out, "%s =\n%s\n", name, data)
		} else {
			fmt.Fprintf(&t.out, "%s = \"%s\"\n", name, data)
		}
	}
}

// key is what a row of settings calls its value: in a table of names and values, the
// name of the column says nothing.
func (t *tableReader) key(row sqlitefile.Row) (key string) {
	const longest = 64 // a name, and not a text
	value := false
	for _, v := range row.Values {
		name := columnName(t.columns, v.Column)
		value = value || valueColumn(name)
		if v.Text && keyColumn(name) && len(v.Data) <= longest && !bytes.ContainsAny(v.Data, " \t\r\n\"") {
			key = string(v.Data)
		}
	}
	if !value {
		return ""
	}
	return key
}

func keyColumn(name string) bool {
	n := strings.ToLower(name)
	return n == "key" || n == "name" || n == "setting" || n == "option" || n == "property" || strings.HasSuffix(n, "_key") || strings.HasSuffix(n, "_name")
}

func valueColumn(name string) bool {
	n := strings.ToLower(name)
	return n == "value" || n == "val" || n == "data" || n == "content" || strings.HasSuffix(n, "_value")
}

func columnName(columns []string, i int) string {
	if i < len(columns) && columns[i] != "" {
		return columns[i]
	}
	return "column" + strconv.Itoa(i+1)
}

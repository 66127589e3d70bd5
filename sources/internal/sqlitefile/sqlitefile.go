// Package sqlitefile reads the rows of SQLite database files, hostile ones too.
//
// It knows the file format (sqlite.org/fileformat2.html) and no SQL: nothing that a
// file says is run, no view or virtual table, no page is written, no lock taken and
// nothing made beside the file, and any io.ReaderAt will do. That is why it is not
// the SQLite library, which maps pages by unchecked pointers and wants a file; the
// library is the oracle of the tests. Each page is visited once at most, so that
// no chain or tree of pages leads around. It reads what the tables hold: not what
// was deleted. A write-ahead log is read as a file of its own. Start reading at Open.
package sqlitefile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf16"
)

// Magic is how every database begins.
const Magic = "SQLite format 3\x00"

// ErrCorrupt says that a page is not what its place demands.
var ErrCorrupt = errors.New("corrupt database")

const (
	// maxRow is the longest row that is read: what is longer is a file in a column,
	// and held in memory whole.
	maxRow = 32 << 20
	// maxDepth is SQLite's own bound on the height of a tree (BTCURSOR_MAX_DEPTH).
	maxDepth = 20
	// maxSchema bounds the tables that are listed, as each is held with its SQL.
	maxSchema = 10_000
)

// DB is an open database. It is used by one goroutine.
type DB struct {
	at       io.ReaderAt
	pageSize int
	usable   int
	pages    uint32
	encoding uint32 // of texts: 1 UTF-8, 2 UTF-16 little endian, 3 big endian
	Tables   []Table
	log      *logPages // whose pages these are; nil of a database
}

// Table is a table with rows of its own.
type Table struct {
	Name string
	// Columns are the names of what each row stores, in its order; a row may have
	// fewer. Empty where the order is not that of the declaration.
	Columns []string
	root    uint32
}

// Value is a text or blob of a row.
type Value struct {
	// Column is its index in the row.
	Column int
	Text   bool
	// Data is valid until the next row; text is UTF-8.
	Data []byte
}

// Row is what of a row is text or blob.
type Row struct {
	// ID is the rowid; 0 in tables without.
	ID     int64
	Values []Value
}

// Open reads the header and the schema. Where the schema is damaged, the tables
// that could be read are there with the error.
func Open(at io.ReaderAt, size int64) (*DB, error) {
	h := make([]byte, 100)
	if _, err := at.ReadAt(h, 0); err != nil {
		return nil, fmt.Errorf("%w: the header: %v", ErrCorrupt, err)
	}
	d := &DB{at: at, pageSize: int(binary.BigEndian.Uint16(h[16:])), encoding: binary.BigEndian.Uint32(h[56:])}
	if d.pageSize == 1 {
		d.pageSize = 65536
	}
	d.usable = d.pageSize - int(h[20])
	if string(h[:16]) != Magic || d.pageSize < 512 || d.pageSize&(d.pageSize-1) != 0 || d.usable < 480 {
		return nil, fmt.Errorf("%w: its header", ErrCorrupt)
	}
	d.pages = uint32(min(size/int64(d.pageSize), 1<<32-2))
	return d, d.schema()
}

func (d *DB) schema() error {
	const kind, name, root, sql = 0, 1, 3, 4
	for row, err := range d.rows(1) {
		if err != nil {
			return err
		}
		var v [5][]byte
		for _, x := range row.Values {
			if x.Column < len(v) {
				v[x.Column] = x.Data
			}
		}
		if string(v[kind]) != "table" || row.ints[root] <= 0 {
			continue // a view, an index, or a virtual table, whose rows are in others
		}
		if len(d.Tables) == maxSchema {
			return fmt.Errorf("%w: more than %d tables", ErrCorrupt, maxSchema)
		}
		columns, rowid := columnsOf(string(v[sql]))
		if !rowid {
			columns = nil
		}
		d.Tables = append(d.Tables, Table{Name: string(v[name]), Columns: columns, root: uint32(min(row.ints[root], 1<<32-1))})
	}
	return nil
}

// Rows gives the rows of a table; an error ends it, or stands for what could not be
// read where the rest can.
func (d *DB) Rows(t Table) iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for r, err := range d.rows(t.root) {
			if !yield(r.Row, err) {
				return
			}
		}
	}
}

// fullRow has the integers of the first columns too, for the schema.
type fullRow struct {
	Row
	ints [5]int64
}

func (d *DB) rows(root uint32) iter.Seq2[fullRow, error] {
	return func(yield func(fullRow, error) bool) {
		if d.log != nil && root == 0 {
			d.rest()(yield)
			return
		}
		d.walk(yield).page(root, 0)
	}
}

func (d *DB) walk(yield func(fullRow, error) bool) *walk {
	pages := d.pages
	if d.log != nil {
		pages = uint32(len(d.log.pages))
	}
	return &walk{d: d, seen: make([]uint64, pages/64+1), yield: yield}
}

// slot is the bit of a page in seen; 0 where a log does not have it.
func (w *walk) slot(n uint32) uint32 {
	if w.d.log != nil {
		return w.d.log.slot[n]
	}
	return n
}

// saw reports whether a page was visited.
func (w *walk) saw(n uint32) bool {
	s := w.slot(n)
	return w.seen[s/64]&(1<<(s%64)) != 0
}

// unchanged says that a page is not in the log.
const unchanged = "it is not in the log"

// walk is the state of one pass over a tree.
type walk struct {
	d     *DB
	seen  []uint64 // pages visited, as bits
	yield func(fullRow, error) bool
	row   fullRow
	data  []byte // of the row
	text  []byte // its texts, where they are decoded
}

// bad tells a damaged place and goes on where the consumer does.
func (w *walk) bad(page uint32, why string) bool {
	return w.yield(fullRow{}, fmt.Errorf("%w: page %d: %s", ErrCorrupt, page, why))
}

// visit reads a page that was not read before.
func (w *walk) visit(n uint32, buf []byte) (why string) {
	if n == 0 || n > w.d.pages {
		return "there is no such page"
	}
	s := w.slot(n)
	if s == 0 {
		return unchanged
	}
	if w.saw(n) {
		return "it is used twice"
	}
	w.seen[s/64] |= 1 << (s % 64)
	if _, err := w.d.at.ReadAt(buf, int64(n-1)*int64(w.d.pageSize)); err != nil {
		return err.Error()
	}
	return ""
}

// The kinds of pages of a tree.
const (
	interiorIndex = 2
	interiorTable = 5
	leafIndex     = 10
	leafTable     = 13
)

// page walks what lies at and below a page; false ends the walk.
func (w *walk) page(n uint32, depth int) bool {
	if depth > maxDepth {
		return w.bad(n, "the tree is too high")
	}
	p := make([]byte, w.d.pageSize)
	if why := w.visit(n, p); why == unchanged {
		return true
	} else if why != "" {
		return w.bad(n, why)
	}
	h := p
	if n == 1 {
		h = p[100:]
	}
	kind, cells := h[0], int(binary.BigEndian.Uint16(h[3:]))
	head := 8
	switch kind {
	case interiorIndex, interiorTable:
		head = 12
	case leafIndex, leafTable:
	default:
		return w.bad(n, "not a page of a tree")
	}
	if head+2*cells > len(h) {
		return w.bad(n, "more cells than fit")
	}
	for i := range cells {
		at := int(binary.BigEndian.Uint16(h[head+2*i:]))
		if at >= w.d.usable {
			if !w.bad(n, "a cell outside the page") {
				return false
			}
			continue
		}
		if !w.cell(n, kind, p[at:w.d.usable], depth) {
			return false
		}
	}
	if head == 12 {
		return w.page(binary.BigEndian.Uint32(h[8:]), depth+1)
	}
	return true
}

// cell reads one cell, and what is below it.
func (w *walk) cell(n uint32, kind byte, c []byte, depth int) bool {
	if kind == interiorIndex || kind == interiorTable {
		if len(c) < 4 {
			return w.bad(n, "a cut cell")
		}
		if !w.page(binary.BigEndian.Uint32(c), depth+1) {
			return false
		}
		if kind == interiorTable {
			return true
		}
		c = c[4:]
	}
	size, k := varint(c)
	c = c[k:]
	var id uint64
	if kind == leafTable {
		id, k = varint(c)
		c = c[k:]
	}
	if size > maxRow {
		return w.bad(n, fmt.Sprintf("a row of more than %d bytes", maxRow))
	}
	if why := w.payload(int(size), kind == leafTable, c); why == unchanged {
		return true // the rest of the row is in the database
	} else if why != "" {
		return w.bad(n, why)
	}
	w.row.ID = int64(id)
	if why := w.record(); why != "" {
		return w.bad(n, why)
	}
	return w.yield(w.row, nil)
}

// payload puts a row together from its cell and its chain of further pages.
func (w *walk) payload(size int, table bool, c []byte) (why string) {
	u := w.d.usable
	most := (u-12)*64/255 - 23
	if table {
		most = u - 35
	}
	local := size
	if size > most {
		least := (u-12)*32/255 - 23
		if local = least + (size-least)%(u-4); local > most {
			local = least
		}
	}
	if local > len(c) || local < size && local+4 > len(c) {
		return "a cell longer than its page"
	}
	w.data = append(w.data[:0], c[:local]...)
	if local == size {
		return ""
	}
	next := binary.BigEndian.Uint32(c[local:])
	buf := make([]byte, w.d.pageSize)
	for len(w.data) < size {
		if why := w.visit(next, buf); why == unchanged {
			return why
		} else if why != "" {
			return "a further page: " + why
		}
		next = binary.BigEndian.Uint32(buf)
		w.data = append(w.data, buf[4:4+min(u-4, size-len(w.data))]...)
	}
	return ""
}

// record finds the texts and blobs in a row.
func (w *walk) record() (why string) {
	w.row.Values, w.row.ints, w.text = w.row.Values[:0], [5]int64{}, w.text[:0]
	head, k := varint(w.data)
	if k == 0 || head < uint64(k) || head > uint64(len(w.data)) {
		return "a malformed row"
	}
	types, body := w.data[k:head], w.data[head:]
	for column := 0; len(types) > 0; column++ {
		t, k := varint(types)
		types = types[k:]
		n := sizeOf(t)
		if n > uint64(len(body)) {
			return "a row shorter than its values"
		}
		v := body[:n]
		body = body[n:]
		switch {
		case t >= 12:
			text := t&1 == 1
			if text && w.d.encoding > 1 {
				v = w.utf8(v)
			}
			w.row.Values = append(w.row.Values, Value{Column: column, Text: text, Data: v})
		case column < len(w.row.ints):
			w.row.ints[column] = integer(t, v)
		}
	}
	return ""
}

// sizeOf is the length of a value by its serial type.
func sizeOf(t uint64) uint64 {
	if t >= 12 {
		return (t - 12) / 2
	}
	return [12]uint64{0, 1, 2, 3, 4, 6, 8, 8}[t]
}

func integer(t uint64, b []byte) (n int64) {
	if t == 9 {
		return 1
	}
	for i, c := range b {
		if i == 0 {
			n = int64(int8(c))
			continue
		}
		n = n<<8 | int64(c)
	}
	return n
}

// utf8 decodes a text of a database in UTF-16.
func (w *walk) utf8(b []byte) []byte {
	var order binary.ByteOrder = binary.LittleEndian
	if w.d.encoding == 3 {
		order = binary.BigEndian
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = order.Uint16(b[2*i:])
	}
	from := len(w.text)
	w.text = append(w.text, string(utf16.Decode(units))...)
	return w.text[from:len(w.text):len(w.text)]
}

// varint reads SQLite's variable-length integer: high bits first, nine bytes at
// most. Of a cut one it gives 0 bytes.
func varint(b []byte) (v uint64, n int) {
	for i := range min(len(b), 9) {
		if i == 8 {
			return v<<8 | uint64(b[i]), 9
		}
		v = v<<7 | uint64(b[i]&0x7f)
		if b[i] < 0x80 {
			return v, i + 1
		}
	}
	return 0, len(b)
}

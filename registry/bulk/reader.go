// Package bulk reads files of tokens to be issued or imported, and takes them into
// a registry batch by batch.
//
// A file is CSV with a header, JSON lines, or bare values, a line each. A line that
// cannot be read is named by its number and never repeated: it may hold a value.
// Each batch is one transaction, so that what is interrupted is begun again where
// it stopped. The package does not know where files come from or how results are
// shown. Start reading at NewReader, then Import.
package bulk

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/issuing"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/scanner/secret"
)

// maxLine bounds a line in bytes: a token of 4 KiB and 10,000 scopes fit.
const maxLine = 1 << 20

// Line is one line of a file. What it does not say is of Reader's Defaults.
type Line struct {
	N   int   // from 1, the header included
	Err error // it cannot be read; all else is then empty

	Value secret.Secret
	Pair  *pepper.Pair

	Owner, Purpose, Env, Provider, Prefix string
	Scopes, Tags, Networks, Countries     []string
	Resources                             []string // that actions alone in Scopes are meant on, until Settle

	TTL, RotateWithin time.Duration
	Never             bool
	MaxUses           int64
}

// Options of NewReader.
type Options struct {
	// Format is csv, jsonl or lines; empty tells it by the first line.
	Format string
	// Columns are the names that columns or members have in place of the usual
	// ones, such as value: token.
	Columns map[string]string
	// IgnoreUnknown passes over columns and members of other names.
	IgnoreUnknown bool
	// Defaults are what lines are that do not say otherwise.
	Defaults Line
}

// ErrFile: the file as a whole cannot be read as lines of tokens.
var ErrFile = errors.New("the file cannot be read")

// fields are the columns, and how each is set.
var fields = map[string]func(*Line, []string) error{
	"value":     func(l *Line, s []string) error { l.Value = secret.NewString(one(s)); return nil },
	"pair":      func(l *Line, s []string) error { return l.pair(one(s)) },
	"owner":     func(l *Line, s []string) error { l.Owner = one(s); return nil },
	"purpose":   func(l *Line, s []string) error { l.Purpose = one(s); return nil },
	"env":       func(l *Line, s []string) error { l.Env = one(s); return nil },
	"provider":  func(l *Line, s []string) error { l.Provider = one(s); return nil },
	"prefix":    func(l *Line, s []string) error { l.Prefix = one(s); return nil },
	"scopes":    func(l *Line, s []string) error { l.Scopes = split(s); return nil },
	"resources": func(l *Line, s []string) error { l.Resources = split(s); return nil },
	"tags":      func(l *Line, s []string) error { l.Tags = split(s); return nil },
	"networks":  func(l *Line, s []string) error { l.Networks = split(s); return nil },
	"countries": func(l *Line, s []string) error { l.Countries = split(s); return nil },
	"ttl":       func(l *Line, s []string) (err error) { l.TTL, err = lifetime("ttl", one(s)); return err },
	"rotate_within": func(l *Line, s []string) (err error) {
		l.RotateWithin, err = lifetime("rotate_within", one(s))
		return err
	},
	"never": func(l *Line, s []string) (err error) {
		if l.Never, err = strconv.ParseBool(one(s)); err != nil {
			err = errors.New("never is neither true nor false")
		}
		return err
	},
	"max_uses": func(l *Line, s []string) (err error) {
		if l.MaxUses, err = strconv.ParseInt(one(s), 10, 64); err != nil {
			err = errors.New("max_uses is no whole number")
		}
		return err
	},
}

func one(s []string) string { return strings.TrimSpace(strings.Join(s, " ")) }

// split takes lists apart: at spaces, commas and semicolons, which none of the
// lists' items may hold.
func split(s []string) (all []string) {
	for _, part := range s {
		all = append(all, strings.FieldsFunc(part, func(r rune) bool { return r == ' ' || r == ',' || r == ';' })...)
	}
	return all
}

func lifetime(name, s string) (time.Duration, error) {
	d, err := issuing.ParseTTL(s)
	if err != nil {
		return 0, fmt.Errorf("%s is no time such as 30d or 12h", name)
	}
	return d, nil
}

func (l *Line) pair(s string) error {
	var p pepper.Pair
	d := json.NewDecoder(strings.NewReader(s))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return errors.New("pair is not what quench fingerprint writes")
	}
	l.Pair = &p
	return nil
}

// Settle writes the scopes out on the line's resources. Lines of a Reader are settled.
func (l *Line) Settle() (err error) {
	l.Scopes, err = bound.OnEach(l.Scopes, l.Resources)
	l.Resources = nil
	return err
}

// Reader reads lines.
type Reader struct {
	in     *bufio.Reader
	o      Options
	n      int
	first  []byte // a line that was read to tell the format; nil when it was given
	header []string
	csv    *csv.Reader
	feed   feed
	long   []byte
	repeat int // lines that are Defaults, in place of all that
}

// NewReader begins to read: with a CSV file it reads the header. Errors wrap
// ErrFile.
func NewReader(in io.Reader, o Options) (*Reader, error) {
	r := &Reader{in: bufio.NewReaderSize(in, 64<<10), o: o}
	for name := range o.Columns {
		if fields[name] == nil {
			return nil, fmt.Errorf("%w: there is no %q to name otherwise; it may be %s", ErrFile, name, known())
		}
	}
	if b, err := r.in.Peek(3); err == nil && string(b) == "\xef\xbb\xbf" { // a byte order mark
		r.in.Discard(3)
	}
	line, err := r.line()
	if errors.Is(err, io.EOF) {
		return r, nil
	}
	if err != nil {
		return nil, fmt.Errorf("%w: its first line: %w", ErrFile, err)
	}
	switch o.Format {
	case "":
		switch {
		case bytes.HasPrefix(line, []byte("{")):
			r.o.Format = "jsonl"
		case bytes.ContainsAny(line, ",") || fields[string(line)] != nil || string(line) == o.Columns["value"]:
			r.o.Format = "csv"
		default:
			r.o.Format = "lines"
		}
	case "csv", "jsonl", "lines":
	default:
		return nil, fmt.Errorf("%w: format %q; it is csv, jsonl or lines", ErrFile, o.Format)
	}
	if r.o.Format == "csv" {
		r.csv = csv.NewReader(&r.feed)
		r.csv.FieldsPerRecord = -1
		r.csv.ReuseRecord = true
		return r, r.readHeader(line)
	}
	r.first = bytes.Clone(line)
	return r, nil
}

func known() string {
	var all []string
	for name := range fields {
		all = append(all, name)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// readHeader reads the names of columns. One that is not known is told by its
// place: a file without a header begins with values.
func (r *Reader) readHeader(line []byte) error {
	names, err := r.record(line)
	if err != nil {
		return fmt.Errorf("%w: its first line, the header: %w", ErrFile, err)
	}
	for i, name := range names {
		name = r.usual(strings.ToLower(strings.TrimSpace(name)))
		if fields[name] == nil {
			if !r.o.IgnoreUnknown {
				return fmt.Errorf("%w: column %d of its first line, the header, has a name that is not known; names are %s (or say which it is with --column, or pass over it with --ignore-unknown)", ErrFile, i+1, known())
			}
			name = ""
		}
		if name != "" && slices.Contains(r.header, name) {
			return fmt.Errorf("%w: its header has two columns of %s", ErrFile, name)
		}
		r.header = append(r.header, name)
	}
	return nil
}

// usual is the name of a field that a file calls otherwise.
func (r *Reader) usual(name string) string {
	for usual, other := range r.o.Columns {
		if strings.EqualFold(other, name) {
			return usual
		}
	}
	return name
}

// Next reads a line; io.EOF at the end. Empty lines are passed over. What is wrong
// with a line is in it; another error ends the file.
func (r *Reader) Next() (Line, error) {
	if r.in == nil {
		l := r.o.Defaults
		if r.n++; r.n > r.repeat {
			return Line{}, io.EOF
		}
		l.N = r.n
		if err := l.Settle(); err != nil {
			return Line{N: l.N, Err: err}, nil
		}
		return l, nil
	}
	for {
		line, err := r.first, error(nil)
		if r.first = nil; line == nil {
			line, err = r.line()
		}
		l := r.o.Defaults
		l.N = r.n
		switch {
		case errors.Is(err, errLong):
			return Line{N: r.n, Err: err}, nil
		case err != nil:
			return Line{}, err
		case len(bytes.TrimSpace(line)) == 0:
			continue
		case r.o.Format == "jsonl":
			err = r.object(&l, line)
		case r.o.Format == "csv":
			err = r.row(&l, line)
		default:
			l.Value = secret.New(bytes.TrimSpace(line))
		}
		if err == nil && (l.TTL > 0 && l.Never || !l.Value.IsZero() && l.Pair != nil) {
			err = errors.New("it says two things of which one is possible: value and pair, or ttl and never")
		}
		if err == nil {
			err = l.Settle()
		}
		if err != nil {
			return Line{N: l.N, Err: err}, nil
		}
		return l, nil
	}
}

var errLong = fmt.Errorf("it has more than %d bytes", maxLine)

// line reads a line without its end, valid until the next call.
func (r *Reader) line() ([]byte, error) {
	r.n++
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		r.long = append(r.long[:0], line...)
		for errors.Is(err, bufio.ErrBufferFull) {
			if line, err = r.in.ReadSlice('\n'); len(r.long) <= maxLine {
				r.long = append(r.long, line...)
			}
		}
		line = r.long
		if len(line) > maxLine && (err == nil || errors.Is(err, io.EOF)) {
			return nil, errLong
		}
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		err = nil
	}
	return bytes.TrimRight(line, "\r\n"), err
}

// feed gives a csv.Reader one line at a time: a quote that is not closed ends with
// its line, and does not swallow the rest of the file.
type feed struct{ line []byte }

func (f *feed) Read(p []byte) (int, error) {
	if len(f.line) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.line)
	f.line = f.line[n:]
	return n, nil
}

func (r *Reader) record(line []byte) ([]string, error) {
	r.feed.line = append(line, '\n')
	all, err := r.csv.Read()
	if err != nil {
		r.feed.line = nil
		r.csv = csv.NewReader(&r.feed) // which kept what it could not use
		r.csv.FieldsPerRecord = -1
		r.csv.ReuseRecord = true
		return nil, errors.New("its quotes do not fit together")
	}
	return all, nil
}

func (r *Reader) row(l *Line, line []byte) error {
	all, err := r.record(line)
	if err != nil {
		return err
	}
	if len(all) != len(r.header) {
		return fmt.Errorf("it has %d columns, and the header %d", len(all), len(r.header))
	}
	for i, name := range r.header {
		if name == "" || all[i] == "" {
			continue
		}
		if err := fields[name](l, all[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reader) object(l *Line, line []byte) error {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(line, &all); err != nil {
		return errors.New("it is no JSON object")
	}
	for name, raw := range all {
		set := fields[r.usual(name)]
		if set == nil {
			if r.o.IgnoreUnknown {
				continue
			}
			return fmt.Errorf("it has a member that is not known; names are %s (or say which it is with --column, or pass over it with --ignore-unknown)", known())
		}
		text, err := texts(raw)
		if err != nil {
			return fmt.Errorf("its %s is neither text, nor a number, nor a list of text", r.usual(name))
		}
		if len(text) == 0 {
			continue
		}
		if err := set(l, text); err != nil {
			return err
		}
	}
	return nil
}

// texts is a JSON value as text, or a list of them; none for null and "". An object
// is its own text.
func texts(raw json.RawMessage) ([]string, error) {
	switch {
	case string(raw) == "null" || string(raw) == `""`:
		return nil, nil
	case raw[0] == '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return []string{s}, err
	case raw[0] == '[':
		var all []string
		err := json.Unmarshal(raw, &all)
		return all, err
	}
	return []string{string(raw)}, nil
}

// Package ignore narrows a report: by ignore files and baselines, which name
// findings by their ids, by gitleaks' ignore files, by allow lists, and by marks on
// the lines.
//
// It knows findings and what people wrote about them, not where that was read
// from, nor how a report looks. A live token of the registry is never ignored: a
// file in a scanned tree must not hide it. Start reading at Filter.Ignored, then
// Read.
package ignore

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Name is what an ignore file is called, at the top of what it is for.
const Name = ".quenchignore"

// MaxFile bounds an ignore file in bytes: a baseline with an entry of 100 bytes for
// each of half a million findings.
const MaxFile = 50 << 20

// An ignore file has an entry a line:
//
//	0123456789abcdef  rule=github-pat path=conf/app.env until=2027-01-31  # reason
//
// The finding's id comes first; all else may be left out. A rule and a path must be
// the finding's; after the day of until the entry ignores nothing. A value with
// blanks, quotes or '#' is quoted as in Go.

// Entry ignores one finding.
type Entry struct {
	ID string
	// Rule and Path are the finding's, or empty.
	Rule, Path string
	// Until is the last day on which the entry counts, in UTC; zero is for ever.
	Until  time.Time
	Reason string
	// Line is where it stands, from 1.
	Line int
}

// File is an ignore file.
type File struct {
	Name    string
	Entries []Entry
	lines   []string // as they were read
}

// Read reads an ignore file. All faults are told at once, each with its line, and
// then there is no File.
func Read(name string, data []byte) (*File, error) {
	if len(data) > MaxFile {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d an ignore file may have", name, len(data), MaxFile)
	}
	f := &File{Name: name}
	var errs faults
	seen := map[Entry]int{}
	for n, line := range lines(data) {
		f.lines = append(f.lines, line)
		text := strings.TrimSpace(line)
		if text == "" || text[0] == '#' {
			continue
		}
		e, err := parseEntry(text)
		key := Entry{ID: e.ID, Rule: e.Rule, Path: e.Path}
		if first := seen[key]; err == nil && first > 0 {
			err = fmt.Errorf("%s stands in line %d already", e.ID, first)
		}
		if err != nil {
			errs.add(name, n+1, err)
			continue
		}
		seen[key], e.Line = n+1, n+1
		f.Entries = append(f.Entries, e)
	}
	if err := errs.err(); err != nil {
		return nil, err
	}
	return f, nil
}

// faults are those of a file: the first few are told, the others counted.
type faults struct {
	list []error
	more int
}

const maxFaults = 20

func (f *faults) add(name string, line int, err error) {
	if len(f.list) == maxFaults {
		f.more++
		return
	}
	f.list = append(f.list, fmt.Errorf("%s:%d: %w", name, line, err))
}

func (f *faults) err() error {
	if f.more > 0 {
		f.list = append(f.list, fmt.Errorf("and %d more lines like that", f.more))
	}
	return errors.Join(f.list...)
}

// lines splits at line feeds; the last line may lack one.
func lines(data []byte) []string {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	if len(data) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}

const shape = "want a finding's id of 16 hexadecimal digits, then rule=, path= and until= as needed, then # and a reason"

func parseEntry(text string) (e Entry, err error) {
	id, rest := text, ""
	if i := strings.IndexAny(text, " \t"); i >= 0 {
		id, rest = text[:i], text[i:]
	}
	if !IsID(id) {
		if i := strings.Count(id, ":"); i >= 2 {
			return e, fmt.Errorf("%s; this looks like gitleaks' form: that belongs in %s", shape, GitleaksName)
		}
		return e, errors.New(shape)
	}
	e.ID = strings.ToLower(id)
	for rest = strings.TrimSpace(rest); rest != ""; rest = strings.TrimSpace(rest) {
		if rest[0] == '#' {
			e.Reason = strings.TrimSpace(rest[1:])
			return e, nil
		}
		key, tail, ok := strings.Cut(rest, "=")
		if !ok || strings.ContainsAny(key, " \t\"#") {
			return e, fmt.Errorf("%q is no key=value; put # before a reason", clip(rest))
		}
		value, after, err := cutValue(tail)
		if err != nil {
			return e, fmt.Errorf("%s: %w", clip(key), err)
		}
		rest = after
		switch key {
		case "rule":
			e.Rule = value
		case "path":
			e.Path = value
		case "until":
			if e.Until, err = time.Parse(time.DateOnly, value); err != nil {
				return e, fmt.Errorf("until=%s: want a day such as 2027-01-31", clip(value))
			}
		default:
			return e, fmt.Errorf("unknown key %q: the keys are rule, path and until", clip(key))
		}
	}
	return e, nil
}

// cutValue cuts a plain or quoted value off s.
func cutValue(s string) (value, rest string, err error) {
	if strings.HasPrefix(s, `"`) {
		q, err := strconv.QuotedPrefix(s)
		if err == nil {
			value, err = strconv.Unquote(q)
		}
		if err != nil {
			return "", "", errors.New("the quotes do not close")
		}
		return value, s[len(q):], nil
	}
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		i = len(s)
	}
	if i == 0 {
		return "", "", errors.New("it has no value")
	}
	return s[:i], s[i:], nil
}

func clip(s string) string { return s[:min(len(s), 40)] }

// IsID reports whether s has the form of a finding's id.
func IsID(s string) bool {
	return len(s) == 16 && strings.Trim(s, "0123456789abcdefABCDEF") == ""
}

// String is the entry as a line of a file.
func (e Entry) String() string {
	var b strings.Builder
	b.WriteString(e.ID)
	field := func(key, value string) {
		if value == "" {
			return
		}
		if strings.ContainsAny(value, " \t\"#") || strconv.Quote(value) != `"`+value+`"` {
			value = strconv.Quote(value)
		}
		b.WriteString(" " + key + "=" + value)
	}
	field("rule", e.Rule)
	field("path", e.Path)
	if !e.Until.IsZero() {
		field("until", e.Until.Format(time.DateOnly))
	}
	if r := strings.Join(strings.Fields(e.Reason), " "); r != "" {
		b.WriteString("  # " + r)
	}
	return b.String()
}

// Expired reports whether the entry's last day is over.
func (e Entry) Expired(now time.Time) bool {
	return !e.Until.IsZero() && !now.UTC().Before(e.Until.AddDate(0, 0, 1))
}

// Has reports whether an entry names the id.
func (f *File) Has(id string) bool {
	for _, e := range f.Entries {
		if e.ID == id {
			return true
		}
	}
	return false
}

// Add puts entries at the end.
func (f *File) Add(es ...Entry) {
	for _, e := range es {
		f.lines = append(f.lines, e.String())
		e.Line = len(f.lines)
		f.Entries = append(f.Entries, e)
	}
}

// Without is the file's text without some lines, counted from 1.
func (f *File) Without(gone map[int]bool) []byte {
	var b bytes.Buffer
	for i, l := range f.lines {
		if !gone[i+1] {
			b.WriteString(l + "\n")
		}
	}
	return b.Bytes()
}

// Bytes is the file's text.
func (f *File) Bytes() []byte { return f.Without(nil) }

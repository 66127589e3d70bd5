package ignore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/sources"
)

func finding(rule, path, id string) scanner.Finding {
	f := scanner.Finding{ID: id}
	f.Rule, f.Origin = &rules.Rule{ID: rule}, sources.Origin{Source: "git", Path: path, Commit: "0123456789abcdef0123456789abcdef01234567"}
	f.Line, f.EndLine = 3, 4
	return f
}

const id = "00112233445566aa"

func TestEntries(t *testing.T) {
	now := func() time.Time { return time.Date(2026, 6, 1, 23, 0, 0, 0, time.UTC) }
	for text, want := range map[string]bool{
		id:                            true,
		strings.ToUpper(id):           true,
		"# x\n\n" + id + "  # reason": true,
		"\ufeff" + id + "\r":          true,
		id + " rule=r":                true,
		id + " rule=q":                false,
		id + ` path="a b.txt" rule=r`: true,
		id + " path=b.txt":            false,
		id + " until=2026-06-01":      true, // to the end of that day
		id + " until=2026-05-31":      false,
		"ffffffffffffffff":            false,
		id + " until=2020-01-01\n" + id + " rule=r": true,
	} {
		file, err := ignore.Read("f", []byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		f := ignore.New(ignore.Options{Files: []*ignore.File{file}, Now: now})
		if _, got := f.Ignored(finding("r", "a b.txt", id)); got != want {
			t.Errorf("%q: ignored %v", text, got)
		}
		// The same secret's id elsewhere in the history counts too.
		other := finding("r", "a b.txt", "eeeeeeeeeeeeeeee")
		other.OtherIDs = []string{id}
		if _, got := f.Ignored(other); got != want {
			t.Errorf("%q: by another id, ignored %v", text, got)
		}
	}
}

// A token of ours that lives is never ignored, whatever names it.
func TestOwnTokens(t *testing.T) {
	file, err := ignore.Read("f", []byte(id))
	if err != nil {
		t.Fatal(err)
	}
	f := ignore.New(ignore.Options{Files: []*ignore.File{file}, Marks: true})
	for state, want := range map[string]bool{"live": false, "suspended": false, "expired": true, "revoked": true, "": false} {
		fd := finding("r", "p", id)
		fd.Marked, fd.Token = true, &scanner.KnownToken{ID: "t", State: state}
		if _, got := f.Ignored(fd); got != want {
			t.Errorf("%s token: ignored %v", state, got)
		}
	}
	if s := f.Stale(true); len(s) != 0 {
		t.Errorf("an entry that names a token of ours is stale: %v", s)
	}
}

func TestGitleaks(t *testing.T) {
	commit := "0123456789abcdef0123456789abcdef01234567"
	for text, want := range map[string]bool{
		"a/b.txt:r:3":                     true,
		"./a/b.txt:r:4":                   true,
		`a\b.txt:r:3`:                     true,
		"a/b.txt:their-r:3":               true,
		"a/b.txt:q:3":                     false,
		"a/b.txt:r:5":                     false,
		commit + ":a/b.txt:r:3":           true,
		"1" + commit[1:] + ":a/b.txt:r:3": false,
	} {
		p, err := ignore.ReadGitleaks("f", []byte("# comment\n"+text+"\n"))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		f := ignore.New(ignore.Options{Gitleaks: []*ignore.Places{p}, Names: func(id string) []string { return []string{"their-" + id} }})
		if _, got := f.Ignored(finding("r", "a/b.txt", id)); got != want {
			t.Errorf("%q: ignored %v", text, got)
		}
	}
	for _, text := range []string{"x", "a:b", "a:r:x", ":r:3", "a::3", "a:r:-1"} {
		if _, err := ignore.ReadGitleaks("f", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), "f:1: ") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// What is written is read as what it was, and faults are bounded in number.
func TestRoundTrip(t *testing.T) {
	e := ignore.Entry{ID: id, Rule: "r", Path: "a \"b\"\n#c", Until: time.Date(2027, 1, 2, 0, 0, 0, 0, time.UTC), Reason: "two\nlines"}
	f := &ignore.File{Name: "f"}
	f.Add(e)
	got, err := ignore.Read("f", f.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	e.Line, e.Reason = 1, "two lines"
	if len(got.Entries) != 1 || got.Entries[0] != e {
		t.Errorf("%+v, want %+v", got.Entries, e)
	}
	_, err = ignore.Read("f", []byte(strings.Repeat("no\n", 1000)))
	if err == nil || strings.Count(err.Error(), "\n") > 21 || !strings.Contains(err.Error(), "and 980 more lines") {
		t.Errorf("%v", err)
	}
}

// No file makes the reader panic, and what it reads is the same written and read
// again.
func FuzzRead(f *testing.F) {
	f.Add([]byte(id + ` rule=r path="a b" until=2027-01-01 # why`))
	f.Add([]byte("# x\n" + id + "\n\nnot an id\n"))
	f.Add([]byte("commit:path:rule:1\nC:\\x:rule:2"))
	f.Fuzz(func(t *testing.T, data []byte) {
		ignore.ReadGitleaks("g", data)
		file, err := ignore.Read("f", data)
		if err != nil {
			return
		}
		again := &ignore.File{Name: "f"}
		again.Add(file.Entries...)
		back, err := ignore.Read("f", again.Bytes())
		if err != nil || len(back.Entries) != len(file.Entries) {
			t.Fatalf("%q is written as %q: %v", data, again.Bytes(), err)
		}
		for i, e := range back.Entries {
			want := file.Entries[i]
			e.Line, want.Line = 0, 0
			e.Reason, want.Reason = strings.Join(strings.Fields(e.Reason), " "), strings.Join(strings.Fields(want.Reason), " ")
			if e != want {
				t.Fatalf("%+v became %+v", want, e)
			}
		}
	})
}

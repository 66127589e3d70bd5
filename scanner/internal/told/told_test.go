package told_test

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/internal/coverage"
	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/internal/told"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// notKept are the fields that a finding in a repository does not have when it is kept,
// or that are made anew.
var notKept = map[string]string{
	"Secret": "is read again", "FoundAt": "is now", "Token": "is not kept", "Dropped": "is not kept", "Allowed": "is empty", "Score": "was used up",
	"Pair": "is joined later", "IncidentID": "is set later", "Contained": "is set later", "Ignored": "is set later",
	"Before": "is of scopes", "Line of Origin": "is of files", "Offset": "is of files", "Time": "is of files",
}

// fill sets all fields of a struct that are kept to something that is not zero.
func fill(v reflect.Value, n *int) {
	for i := range v.NumField() {
		f, name := v.Field(i), v.Type().Field(i).Name
		if v.Type() == reflect.TypeFor[sources.Origin]() && name == "Line" {
			name = "Line of Origin"
		}
		if notKept[name] != "" {
			continue
		}
		*n++
		switch x := f.Addr().Interface().(type) {
		case **rules.Rule:
			*x = rule
		case *time.Time:
			*x = time.Unix(int64(*n), 0).In(time.FixedZone("", 3600))
		case **bool:
			no := false
			*x = &no
		case *sources.ObjectID:
			x[0] = byte(*n)
		case *[]string:
			*x = []string{fmt.Sprint("\xff", *n), "y"}
		default:
			switch f.Kind() {
			case reflect.Struct:
				fill(f, n)
			case reflect.String:
				f.SetString(fmt.Sprint("x\xfe", *n))
			case reflect.Int, reflect.Int64:
				f.SetInt(int64(*n))
			case reflect.Float64:
				f.SetFloat(float64(*n) + .5)
			case reflect.Bool:
				f.SetBool(true)
			default:
				panic(v.Type().String() + "." + name)
			}
		}
	}
}

var rule = &rules.Rule{ID: "a-rule"}

func byID(id string) (*rules.Rule, bool) { return rule, id == rule.ID }

func finding() found.Finding {
	var f found.Finding
	n := 0
	fill(reflect.ValueOf(&f).Elem(), &n)
	f.Start, f.End = 4, 10
	f.Origin.Blob = fmt.Sprintf("%x", f.Object)
	return f
}

var same = cmp.Options{cmpopts.IgnoreTypes(secret.Secret{}), cmpopts.IgnoreUnexported(rules.Rule{}, found.Match{}), cmp.Comparer(func(a, b time.Time) bool { return a.Format(time.RFC3339) == b.Format(time.RFC3339) }),
	cmpopts.IgnoreFields(found.Match{}, "Allowed")}

// What is known of a finding is kept, but for what notKept lists.
func TestRoundTrip(t *testing.T) {
	r := &told.Report{Known: [32]byte{1}, Coverage: coverage.Coverage{Items: 3, Skipped: map[sources.Reason]int64{"missing": 2}, Unread: []coverage.Unread{{What: "x"}}, Counts: sources.Counts{Refs: 7}}}
	inFile := finding()
	r.Files = []told.File{{Path: "a", Sum: [32]byte{2}, Size: 9, Findings: []told.Finding{{Finding: inFile}}}, {Path: "b", Size: 3}}
	for range 2 {
		if !r.Add(finding(), true, true) {
			t.Fatal("it is not kept")
		}
	}
	data, err := r.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	got, err := told.Parse(data, byID)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(r, got, same); d != "" {
		t.Error(d)
	}
	for i := range data {
		if _, err := told.Parse(data[:i], byID); err == nil {
			t.Errorf("cut to %d bytes it is read", i)
		}
	}
	if _, err := told.Parse(data, func(string) (*rules.Rule, bool) { return nil, false }); err == nil {
		t.Error("it is read without the rule")
	}
}

// visitor has one object, that is visited or opened.
type visitor struct {
	data   string
	opened bool
	fails  error
}

func (v visitor) Items(context.Context, func(sources.Item) error) error { return nil }
func (v visitor) Visit(_ context.Context, items []sources.Item, _ int, f func(*sources.Content) any) (left []int, err error) {
	for i := range items {
		if v.opened {
			left = append(left, i)
		} else {
			f(&sources.Content{Index: i, Data: []byte(v.data)})
		}
	}
	return left, nil
}

func (v visitor) open(sources.Item) func(context.Context) (io.ReadCloser, error) {
	return func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(io.LimitReader(readerOf(v.data), 1<<20)), v.fails
	}
}

type readerOf string

func (r readerOf) Read(p []byte) (int, error) { return copy(p, r), io.EOF }

// The secret is taken from the object, and only if it is the one that was found.
func TestRead(t *testing.T) {
	f := finding()
	f.DecodedVia, f.Origin.Entry, f.Secret = nil, "", secret.NewString("secret")
	f.ID = f.Name()
	byPath := finding()
	byPath.Start, byPath.End, byPath.Secret = 0, 0, secret.NewString(byPath.Origin.Path)
	byPath.ID = byPath.Name()
	for _, tt := range []struct {
		v  visitor
		ok bool
	}{
		{visitor{data: "say secret."}, true},
		{visitor{data: "say secret.", opened: true}, true},
		{visitor{data: "say sacred."}, false},
		{visitor{data: "say sec"}, false},
		{visitor{data: "say sec", opened: true}, false},
		{visitor{data: "say secret.", opened: true, fails: io.ErrUnexpectedEOF}, false},
	} {
		r := &told.Report{}
		if !r.Add(f, true, false) || !r.Add(byPath, false, false) {
			t.Fatal("it is not kept")
		}
		for i := range r.Findings {
			r.Findings[i].Secret = secret.Secret{}
		}
		if ok := r.Read(t.Context(), tt.v, tt.v.open, 1); ok != tt.ok {
			t.Errorf("%+v: %v", tt.v, ok)
		} else if ok && (!r.Findings[0].Secret.Equal(f.Secret) || !r.Findings[1].Secret.Equal(byPath.Secret)) {
			t.Errorf("%+v: other secrets", tt.v)
		}
	}
}

// What cannot be told again from a place and bytes is kept to be scanned for, or not
// at all.
func TestAdd(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*found.Finding)
		plain  bool
		ok     bool
		from   told.From
	}{
		"of a blob":         {func(*found.Finding) {}, true, true, told.Bytes},
		"of one not as is":  {func(*found.Finding) {}, false, true, told.Scan},
		"decoded":           {func(f *found.Finding) { f.DecodedVia = []string{"hex"} }, true, true, told.Scan},
		"of a message":      {func(f *found.Finding) { f.Origin.Blob = "" }, true, true, told.Scan},
		"of an archive":     {func(f *found.Finding) { f.Origin.Entry = "e" }, true, true, told.Scan},
		"a path":            {func(f *found.Finding) { f.Start, f.End = 0, 0 }, true, true, told.Path},
		"a token":           {func(f *found.Finding) { f.Token = &found.Token{} }, true, false, 0},
		"dropped":           {func(f *found.Finding) { f.Dropped = "x" }, true, false, 0},
		"of no object":      {func(f *found.Finding) { f.Object = sources.ObjectID{} }, true, false, 0},
		"of a longer whole": {func(f *found.Finding) { f.Origin.Line = 2 }, true, false, 0},
	} {
		f := finding()
		f.DecodedVia, f.Origin.Entry = nil, ""
		tt.change(&f)
		r := &told.Report{}
		if ok := r.Add(f, tt.plain, false); ok != tt.ok || ok && r.Findings[0].From != tt.from {
			t.Errorf("%s: %v %+v", name, ok, r.Findings)
		}
	}
}

// Only what cannot change without a change of the source may be missing.
func TestLasting(t *testing.T) {
	for reason, want := range map[sources.Reason]bool{sources.SkipBinary: true, sources.SkipMissing: true, sources.SkipPromised: true, sources.SkipShallow: true, sources.SkipUnreadable: false, sources.SkipTooLarge: false, sources.SkipCorrupt: false} {
		if got := told.Lasting(&coverage.Coverage{Skipped: map[sources.Reason]int64{reason: 1}}); got != want {
			t.Errorf("%s: %v", reason, got)
		}
	}
	if told.Lasting(&coverage.Coverage{Interrupted: true}) {
		t.Error("an interrupted scan lasts")
	}
}

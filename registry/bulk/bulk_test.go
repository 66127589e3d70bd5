package bulk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/values"
)

func open(t testing.TB) *registry.Registry {
	t.Helper()
	dir := t.TempDir()
	return openAt(t, storetest.Address(t, filepath.Join(dir, "db", "registry.db")), dir)
}

func openAt(t testing.TB, address, dir string) *registry.Registry {
	t.Helper()
	r, err := registry.Open(context.Background(), registry.Options{Path: address, Create: true,
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper")}, Actor: "tester"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func read(t testing.TB, text string, o Options) (all []Line) {
	t.Helper()
	r, err := NewReader(strings.NewReader(text), o)
	if err != nil {
		t.Fatal(err)
	}
	for {
		l, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, l)
	}
}

func describe(all []Line) string {
	var b strings.Builder
	for _, l := range all {
		if l.Err != nil {
			fmt.Fprintf(&b, "%d!%v\n", l.N, l.Err)
			continue
		}
		fmt.Fprintf(&b, "%d %s %s/%s %q %q %v %v %d\n", l.N, l.Value.Reveal(), l.Owner, l.Purpose, l.Scopes, l.Tags, l.TTL, l.Never, l.MaxUses)
	}
	return b.String()
}

func TestReader(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		o    Options
		want string
	}{
		"csv": {"value,owner,scopes\r\naaa,ann,read:a write:b\n\n\"b\"\"b\",bob,\n", Options{}, "1"}, // see below

		"empty":         {"", Options{}, ""},
		"header alone":  {"value,owner\n", Options{}, ""},
		"lines":         {"aaa\nbbb\n", Options{Defaults: Line{Owner: "o", Purpose: "p"}}, "1 aaa o/p [] [] 0s false 0\n2 bbb o/p [] [] 0s false 0\n"},
		"no last end":   {"aaa\nbbb", Options{}, "1 aaa / [] [] 0s false 0\n2 bbb / [] [] 0s false 0\n"},
		"jsonl":         {"\xef\xbb\xbf" + `{"value":"aaa","owner":"ann","scopes":["read:a"],"tags":"x, y","ttl":"2d","max_uses":3}` + "\n{\n", Options{}, "1 aaa ann/ [\"read:a\"] [\"x\" \"y\"] 48h0m0s false 3\n2!it is no JSON object\n"},
		"resources":     {"value,scopes,resources\naaa,read;write:c,a b\nbbb,read:a,b\nccc,read:a,\n", Options{}, "2 aaa / [\"read:a\" \"read:b\" \"write:c\"] [] 0s false 0\n3!invalid request: a resource \"b\", and no scope that is an action alone, such as read, to be allowed on it\n4 ccc / [\"read:a\"] [] 0s false 0\n"},
		"foreign names": {"Token,User,Accessor\naaa,ann,q\n", Options{Columns: map[string]string{"value": "token", "owner": "user"}, IgnoreUnknown: true}, "2 aaa ann/ [] [] 0s false 0\n"},
		"open quote":    {"value,owner\n\"aaa,ann\nbbb,bob\n", Options{}, "2!its quotes do not fit together\n3 bbb bob/ [] [] 0s false 0\n"},
		"columns":       {"value,owner\naaa\nbbb,bob\n", Options{}, "2!it has 1 columns, and the header 2\n3 bbb bob/ [] [] 0s false 0\n"},
		"bad ttl":       {"value,ttl\naaa,soon\n", Options{}, "2!ttl is no time such as 30d or 12h\n"},
		"both":          {`{"ttl":"1d","never":true}` + "\n", Options{}, "1!it says two things of which one is possible: value and pair, or ttl and never\n"},
		"unknown":       {`{"vlaue":"aaa"}` + "\n", Options{}, "1!it has a member that is not known; names are " + known() + " (or say which it is with --column, or pass over it with --ignore-unknown)\n"},
		"long":          {"value,owner\n" + strings.Repeat("a", maxLine+5) + ",x\nbbb,bob\n", Options{}, "2!it has more than 1048576 bytes\n3 bbb bob/ [] [] 0s false 0\n"},
	} {
		if name == "csv" {
			c.want = "2 aaa ann/ [\"read:a\" \"write:b\"] [] 0s false 0\n4 b\"b bob/ [] [] 0s false 0\n"
		}
		if got := describe(read(t, c.text, c.o)); got != c.want {
			t.Errorf("%s:\n%swant\n%s", name, got, c.want)
		}
	}
	for name, text := range map[string]string{"misspelt": "valeu,owner\n", "no header": "sesame1,sesame2\n", "twice": "value,value\n", "quote": "\"value,owner\n"} {
		if _, err := NewReader(strings.NewReader(text), Options{}); !errors.Is(err, ErrFile) || strings.Contains(err.Error(), "sesame") {
			t.Errorf("%s: %v, want ErrFile", name, err)
		}
	}
}

// A file may be anything: each line is read or named, and none is repeated.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"value,owner\na,b\n", `{"value":"x","pair":{"mac":"1"}}`, "a\nb", "value\n\"\n", "{\"scopes\":[1]}\n"} {
		f.Add(s, "")
		f.Add(s, "csv")
		f.Add(s, "jsonl")
	}
	f.Fuzz(func(t *testing.T, text, format string) {
		r, err := NewReader(strings.NewReader(text), Options{Format: format})
		if err != nil {
			return
		}
		last := 0
		for {
			l, err := r.Next()
			if err != nil {
				break
			}
			if l.N <= last || l.N > strings.Count(text, "\n")+1 {
				t.Fatalf("line %d after %d", l.N, last)
			}
			last = l.N
		}
	})
}

// A file with all kinds of lines, in batches that cut through it.
func TestImport(t *testing.T) {
	r := open(t)
	var file strings.Builder
	file.WriteString("value,owner,purpose,provider\n")
	good := 0
	for i := range 100 {
		switch {
		case i%10 == 3:
			file.WriteString("short,o,p,v\n")
		case i%10 == 7:
			file.WriteString("\"open,o,p,v\n")
		case i%10 == 9:
			fmt.Fprintf(&file, "same-value-in-each-%s,o,p,v\n", "Zq81")
		default:
			good++
			fmt.Fprintf(&file, "%s,it's'; --,p,v\n", values.Random(30))
		}
	}
	var bad []int
	run := Run{Registry: r, Batch: 7, DryRun: true, Bad: func(n int, err error) { bad = append(bad, n) }}
	do := func() Count {
		t.Helper()
		bad = nil
		in, err := NewReader(strings.NewReader(file.String()), Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := run.Import(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	dry := do()
	if list, err := r.List(context.Background(), registry.Filter{}); err != nil || len(list) != 0 {
		t.Fatalf("a dry run stored %d, %v", len(list), err)
	}
	run.DryRun = false
	real := do()
	want := Count{Lines: 100, Stored: good + 1, Duplicates: 9, Bad: 20, Batches: 15, Last: 101}
	if dry != want || real != want || len(bad) != 20 || bad[0] != 5 {
		t.Errorf("dry run %+v\nreal %+v\nwant %+v; bad %v", dry, real, want, bad)
	}
	if c := do(); c.Stored != 0 || c.Duplicates != good+10 {
		t.Errorf("again: %+v", c)
	}
	run.FromLine = 92
	if c := do(); c.Lines != 10 || bad[0] != 95 {
		t.Errorf("from line 92: %+v, bad %v", c, bad)
	}
}

// keep is an Out in memory.
type keep struct {
	done, open []registry.Entry
	fail       error
}

func (k *keep) Put(all []registry.Entry) error {
	k.open = all
	if len(k.done) > 0 {
		return k.fail
	}
	return nil
}
func (k *keep) Done() error { k.done = append(k.done, k.open...); return nil }
func (k *keep) Undo() error { k.open = nil; return nil }

func TestIssue(t *testing.T) {
	ctx := context.Background()
	r := open(t)
	run := Run{Registry: r, Batch: 10, Bad: func(n int, err error) { t.Errorf("line %d: %v", n, err) }}
	out := &keep{}
	c, err := run.Issue(ctx, Repeat(25, Line{Owner: "o", Purpose: "p"}), out)
	if err != nil || c.Stored != 25 || c.Idle != 25 || c.Batches != 3 || len(out.done) != 25 {
		t.Fatalf("%+v, %d values, %v", c, len(out.done), err)
	}
	for _, e := range out.done {
		if v, err := r.Verify(ctx, e.Value, registry.Use{}); err != nil || !v.Valid || v.Token.ID != e.Token.ID {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	// Values that cannot be delivered are no tokens; those before them are.
	boom := errors.New("boom")
	out = &keep{fail: boom}
	if c, err := run.Issue(ctx, Repeat(25, Line{Owner: "o", Purpose: "p"}), out); !errors.Is(err, boom) || c.Stored != 10 || len(out.done) != 10 {
		t.Errorf("%+v, %d values, %v", c, len(out.done), err)
	}
	if list, err := r.List(ctx, registry.Filter{}); err != nil || len(list) != 35 {
		t.Errorf("%d tokens, %v; want those of which values were given", len(list), err)
	}
	// Cancelled, nothing is half done.
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if c, err := run.Issue(ended, Repeat(25, Line{Owner: "o", Purpose: "p"}), &keep{}); !errors.Is(err, context.Canceled) || c.Stored != 0 {
		t.Errorf("cancelled: %+v, %v", c, err)
	}
}

package scanner_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// version is a text made of another: stretches of it and new bytes.
type version struct {
	text   []byte
	base   int // -1: of none
	copies []sources.Copy
	skip   bool // visited as binary
}

// versions is a Visitor.
type versions []version

func (vs versions) Items(_ context.Context, yield func(sources.Item) error) error {
	for i, v := range vs {
		o := sources.Origin{Source: "git", Blob: fmt.Sprint(i)} // no path: ScanBytes knows none
		if err := yield(text(o, string(v.text))); err != nil {
			return err
		}
	}
	return nil
}

func (vs versions) Visit(_ context.Context, items []sources.Item, _ int, f func(*sources.Content) any) ([]int, error) {
	states := map[int]any{}
	for i, v := range vs {
		c := &sources.Content{Index: i, Data: v.text}
		if v.skip {
			c.Data, c.Skip = nil, &sources.Skip{Reason: sources.SkipBinary}
		} else if v.base >= 0 && states[v.base] != nil {
			c.Base, c.BaseLen, c.Copies = states[v.base], len(vs[v.base].text), v.copies
		}
		states[i] = f(c)
	}
	return nil, nil
}

// hits runs a source and gives the matches of each blob.
func hits(t interface{ Fatal(...any) }, e *scanner.Engine, src sources.Source, o scanner.RunOptions) map[string][]scanner.Match {
	var mu sync.Mutex
	out := map[string][]scanner.Match{}
	o.Hit = func(h scanner.Hit) {
		mu.Lock()
		defer mu.Unlock()
		out[h.Origin.Blob] = append(out[h.Origin.Blob], h.Match)
	}
	if _, err := e.Run(context.Background(), src, o); err != nil {
		t.Fatal(err)
	}
	return out
}

// exact compares all of a Match.
var exact = cmp.Options{
	cmp.Comparer(func(a, b secret.Secret) bool { return a.Equal(b) }),
	cmp.Comparer(func(a, b *rules.Rule) bool { return a.ID == b.ID }),
	cmpopts.EquateEmpty(),
}

// derive draws a text made of base: copies of stretches of it in any order, with
// new bytes between them.
func derive(t *rapid.T, base []byte, bits []string) (v version) {
	bit := rapid.SampledFrom(bits)
	insert := func() { v.text = append(v.text, bit.Draw(t, "inserted")...) }
	at := 0
	for range rapid.IntRange(1, 6).Draw(t, "copies") {
		switch rapid.IntRange(0, 3).Draw(t, "between") {
		case 0:
			insert()
		case 1:
			insert()
			insert()
		case 2:
			v.text = append(v.text, rapid.SampledFrom([]byte("a\n\"+\\ \x00=5\r")).Draw(t, "byte"))
		}
		from, to := at, len(base)
		if rapid.IntRange(0, 4).Draw(t, "jump") == 0 {
			from = rapid.IntRange(0, len(base)).Draw(t, "from")
		}
		if rapid.IntRange(0, 4).Draw(t, "cut") > 0 {
			to = rapid.IntRange(from, len(base)).Draw(t, "to")
		}
		if from < to {
			v.copies = append(v.copies, sources.Copy{Dst: len(v.text), Src: from, Len: to - from})
			v.text = append(v.text, base[from:to]...)
		}
		at = min(len(base), to+rapid.IntRange(0, 3).Draw(t, "left out"))
	}
	if rapid.Bool().Draw(t, "end") {
		insert()
	}
	return v
}

// lateRule looks back over line feeds from its keyword.
const lateRule = `
[[rule]]
id = "test-late"
description = "keyword at the end of several lines"
keywords = ["-----CLOSE-----"]
pattern = 'open[0-9a-z;\n ]{4,60}-----CLOSE-----'
confidence = "high"
examples = ["x"]
negatives = ["y"]
`

// What is taken over from a base is what a scan of the whole text finds, down to
// the last field.
func TestDeltaIsFull(t *testing.T) { rapid.Check(t, deltaIsFull(t)) }

func FuzzDeltaIsFull(f *testing.F) { f.Fuzz(rapid.MakeFuzz(deltaIsFull(f))) }

func deltaIsFull(t testing.TB) func(*rapid.T) {
	set, err := rules.Load(fstest.MapFS{"test.toml": {Data: []byte(testRules + lateRule)}}, "test.toml")
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	bits := append(fragments(), "plain words;\n", "x\n", "}\r\n", "\" +\n", "\n\n", "a\x00b\x00", "-----BEGIN TEST-----\n"+strings.Repeat("Ab3\n", 12)+"-----END TEST-----\n", tst(5)+";\n", tst(6)+"\n",
		"open", "a;\nb;\n", "-----CLOSE-----", "open a;\nb;\nc;\n-----CLOSE-----\n")
	bits = slices.DeleteFunc(bits, func(s string) bool { return len(s) > 20_000 })
	return func(t *rapid.T) {
		vs := versions{{text: []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 0, 40).Draw(t, "first"), "")), base: -1}}
		for range rapid.IntRange(1, 5).Draw(t, "versions") {
			base := rapid.IntRange(0, len(vs)-1).Draw(t, "base")
			v := derive(t, vs[base].text, bits)
			v.base, v.skip = base, rapid.IntRange(0, 15).Draw(t, "skip") == 0
			vs = append(vs, v)
		}
		got := hits(t, e, vs, scanner.RunOptions{Workers: 1})
		for i, v := range vs {
			want := e.ScanBytes(v.text)
			if v.skip {
				want = nil
			}
			if d := cmp.Diff(want, got[fmt.Sprint(i)], exact); d != "" {
				t.Fatalf("version %d, full (-) and by differences (+): %s", i, d)
			}
		}
	}
}

// The same for the built-in rules, on texts that hold their examples.
func TestDeltaIsFullBuiltin(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{Known: known})
	if err != nil {
		t.Fatal(err)
	}
	bits := []string{"\n", "\n", "plain words;\n", "}\n", "\"", " = ", "+", "\\\n", "\r\n"}
	for _, r := range set.Rules() {
		if len(r.Paths) > 0 {
			continue // ScanBytes knows no path
		}
		for _, x := range r.Examples {
			x, err := rules.Expand(x, 1)
			if err != nil {
				t.Fatal(err)
			}
			bits = append(bits, x+";\n", x)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		vs := versions{{text: []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 5, 40).Draw(t, "first"), "")), base: -1}}
		for i := range 3 {
			v := derive(t, vs[i].text, bits)
			v.base = i
			vs = append(vs, v)
		}
		got := hits(t, e, vs, scanner.RunOptions{Workers: 1})
		for i, v := range vs {
			if d := cmp.Diff(e.ScanBytes(v.text), got[fmt.Sprint(i)], exact); d != "" {
				t.Fatalf("version %d, full (-) and by differences (+): %s", i, d)
			}
		}
	})
}

// newlineSet is a registry with a token that holds a line feed.
type newlineSet struct{ knownSet }

func (newlineSet) Shapes() []scanner.Shape { return []scanner.Shape{{Len: 19, Extra: "\n"}} }

func TestDeltaWithKnownLineFeeds(t *testing.T) {
	e := testEngine(t, scanner.Options{Known: newlineSet{knownSet{"AbcdefghX\nbcdefghXY": "a"}}})
	base := []byte("plain words;\nAbcdefghX\n;more words\n")
	vs := versions{{text: base, base: -1}, {text: []byte("plain words;\nAbcdefghX\nbcdefghXY words\n"), base: 0,
		copies: []sources.Copy{{Dst: 0, Src: 0, Len: 23}}}}
	if got := hits(t, e, vs, scanner.RunOptions{}); len(got["1"]) != 1 {
		t.Errorf("%+v", got)
	}
}

// otherBytes opens other bytes than it visits.
type otherBytes struct{ versions }

func (o otherBytes) Items(ctx context.Context, yield func(sources.Item) error) error {
	return o.versions.Items(ctx, func(it sources.Item) error {
		it.Open = func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("other")), nil }
		return yield(it)
	})
}

// Full opens everything, and so does the plain engine.
func TestFullDoesNotVisit(t *testing.T) {
	src := otherBytes{versions{{text: []byte(tst(1)), base: -1}}}
	if got := hits(t, testEngine(t, scanner.Options{}), src, scanner.RunOptions{Full: true}); len(got) != 0 {
		t.Error("visited in spite of Full")
	}
	if got := hits(t, testEngine(t, scanner.Options{Plain: true}), src, scanner.RunOptions{}); len(got) != 0 {
		t.Error("visited by the plain engine")
	}
	if got := hits(t, testEngine(t, scanner.Options{}), src, scanner.RunOptions{}); len(got) != 1 {
		t.Error("not visited")
	}
}

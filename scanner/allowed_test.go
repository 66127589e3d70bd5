package scanner_test

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules/allow"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// placed are versions at a path each, so that none hides another's findings.
type placed struct{ versions }

func (p placed) Items(ctx context.Context, yield func(sources.Item) error) error {
	return p.versions.Items(ctx, func(it sources.Item) error {
		it.Origin.Path = it.Origin.Blob
		return yield(it)
	})
}

func marked(t interface{ Fatal(...any) }, e *scanner.Engine, src sources.Source, full bool) (out []string) {
	_, err := e.Run(context.Background(), src, scanner.RunOptions{Workers: 1, Full: full, Finding: func(f scanner.Finding) {
		out = append(out, fmt.Sprintf("%s %s:%d-%d marked=%v %v", f.Rule.ID, f.Origin.Path, f.Line, f.EndLine, f.Marked, f.OtherIDs))
	}})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Marks are found by differences as they are in full, by the plain engine as by the
// fast one, in whatever pieces a text comes.
func TestMarksAnyWay(t *testing.T) {
	fast := testEngine(t, scanner.Options{Known: known})
	plain := testEngine(t, scanner.Options{Known: known, Plain: true})
	bits := append(fragments(), " # quench:allow\n", " // gitleaks:allow", "trufflehog:ignore\n", tst(3), tst(4)+"\n", "quench:allo", "w\n", "\n\n", "\" +\n")
	rapid.Check(t, func(t *rapid.T) {
		vs := versions{{text: []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 0, 30).Draw(t, "first"), "")), base: -1}}
		for range rapid.IntRange(1, 4).Draw(t, "versions") {
			base := rapid.IntRange(0, len(vs)-1).Draw(t, "base")
			v := derive(t, vs[base].text, bits)
			v.base = base
			vs = append(vs, v)
		}
		want := marked(t, plain, placed{vs}, true)
		if d := cmp.Diff(want, marked(t, fast, placed{vs}, true)); d != "" {
			t.Fatalf("plain (-) and fast (+): %s", d)
		}
		if d := cmp.Diff(want, marked(t, fast, placed{vs}, false)); d != "" {
			t.Fatalf("full (-) and by differences (+): %s", d)
		}
	})
}

// A finding in a history is marked when the newest text that holds it marks it
// everywhere.
func TestMarksInHistory(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	git := func(i int, s string) sources.Item {
		return text(sources.Origin{Source: "git", Path: "a", Blob: fmt.Sprint(i), Commit: fmt.Sprint(i)}, s)
	}
	for _, c := range []struct {
		texts []string
		want  bool
	}{
		{[]string{tst(1)}, false},
		{[]string{tst(1) + " # quench:allow"}, true},
		{[]string{"quench:allow\n" + tst(1) + "\nquench:allow"}, false},
		{[]string{tst(1), tst(1) + " # quench:allow"}, true},
		{[]string{tst(1) + " # quench:allow", tst(1)}, false},
		{[]string{tst(1) + " # quench:allow", tst(2)}, true},
		{[]string{tst(1) + " # quench:allow\n" + tst(1)}, false},
	} {
		var src list
		for i, s := range c.texts {
			src = append(src, git(i, s))
		}
		if got := strings.Join(marked(t, e, src, false), "\n"); strings.Contains(got, "marked=true") != c.want || got == "" {
			t.Errorf("%q: %s", c.texts, got)
		}
	}
}

// A stream tells a finding when its line is complete, and knows the mark at its end.
func TestMarkAtTheEndOfALine(t *testing.T) {
	e := testEngine(t, scanner.Options{})
	r, w := io.Pipe()
	told := make(chan bool)
	src := list{{Origin: sources.Origin{Source: "stdin"}, Size: -1, Open: func(context.Context) (io.ReadCloser, error) { return r, nil }}}
	go func() {
		defer close(told)
		e.Run(context.Background(), src, scanner.RunOptions{Workers: 1, Finding: func(f scanner.Finding) { told <- f.Marked }})
	}()
	io.WriteString(w, tst(1)+strings.Repeat(" words", 3000))
	io.WriteString(w, " quench:allow\n")
	if !<-told {
		t.Error("the mark at the end of a long line is not seen")
	}
	io.WriteString(w, tst(2)+"\n")
	if <-told {
		t.Error("the mark counts on the next line")
	}
	w.Close()
	<-told
}

// What allow lists say of a line is the same whatever pieces a text comes in, and by
// differences.
func TestAllowedAnyWay(t *testing.T) {
	lists, _, err := allow.New(allow.List{Regexes: []string{"for tests"}, Target: allow.Line}, allow.List{Regexes: []string{"^tst_0"}, Target: allow.Match}, allow.List{StopWords: []string{"abc"}})
	if err != nil {
		t.Fatal(err)
	}
	e := testEngine(t, scanner.Options{Allow: lists})
	bits := append(fragments(), "for tests", " for ", "tests\n", tst(1), tst(2)+"\n", strings.Repeat("x ", 480), strings.Repeat("y ", 520), "\n")
	rapid.Check(t, func(t *rapid.T) {
		vs := versions{{text: []byte(strings.Join(rapid.SliceOfN(rapid.SampledFrom(bits), 0, 30).Draw(t, "first"), "")), base: -1}}
		v := derive(t, vs[0].text, bits)
		vs = append(vs, v)
		got := hits(t, e, vs, scanner.RunOptions{Workers: 1})
		for i, v := range vs {
			want := e.ScanBytes(v.text)
			if d := cmp.Diff(want, got[fmt.Sprint(i)], exact); d != "" {
				t.Fatalf("version %d, full (-) and by differences (+): %s", i, d)
			}
			var pieces []scanner.Match
			s := e.NewStream(func(m scanner.Match) { pieces = append(pieces, m) })
			for rest := v.text; len(rest) > 0; {
				n := rapid.IntRange(1, len(rest)).Draw(t, "piece")
				s.Write(rest[:n])
				rest = rest[n:]
			}
			s.Close()
			if len(pieces) != len(want) {
				t.Fatalf("%d in pieces, %d in whole", len(pieces), len(want))
			}
			for _, m := range want {
				found := false
				for _, p := range pieces {
					found = found || p.Rule == m.Rule && p.Start == m.Start && p.End == m.End && p.Allowed.Equal(m.Allowed)
				}
				if !found {
					t.Fatalf("%s at %d: its allow lists depend on the pieces", m.Rule.ID, m.Start)
				}
			}
		}
	})
}

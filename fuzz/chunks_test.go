// Package fuzz holds properties of the whole program that no single package
// owns: the built-in rules in the real engine, on arbitrary bytes.
package fuzz

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// engine holds all built-in rules.
func engine(t testing.TB, o scanner.Options) (*rules.Set, *scanner.Engine) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, o)
	if err != nil {
		t.Fatal(err)
	}
	return set, e
}

func seeds(f *testing.F, set *rules.Set) {
	f.Helper()
	for _, r := range set.Rules() {
		good, bad, err := r.ExpandExamples()
		if err != nil {
			f.Fatalf("%s: %v", r.ID, err)
		}
		for _, s := range append(good, bad...) {
			f.Add([]byte(s), uint16(7))
		}
	}
}

// FuzzChunks: the matches of a text do not depend on the pieces it comes in nor
// on the engine, and lie where they say.
func FuzzChunks(f *testing.F) {
	set, e := engine(f, scanner.Options{})
	_, oracle := engine(f, scanner.Options{Plain: true})
	seeds(f, set)
	f.Fuzz(func(t *testing.T, text []byte, size uint16) {
		whole := list(e.ScanBytes(text))
		if plain := list(oracle.ScanBytes(text)); !slices.Equal(whole, plain) {
			t.Fatalf("fast:\n%s\nplain:\n%s", strings.Join(whole, "\n"), strings.Join(plain, "\n"))
		}
		var ms []scanner.Match
		s := e.NewStream(func(m scanner.Match) { ms = append(ms, m) })
		for c := range slices.Chunk(text, int(size)%4096+1) {
			s.Write(c)
		}
		s.Close()
		if got := list(ms); !slices.Equal(whole, got) {
			t.Fatalf("whole:\n%s\nin pieces of %d:\n%s", strings.Join(whole, "\n"), int(size)%4096+1, strings.Join(got, "\n"))
		}
		for _, m := range ms {
			if m.Start < 0 || m.End > int64(len(text)) || m.Start >= m.End {
				t.Fatalf("%s spans %d:%d of %d bytes", m.Rule.ID, m.Start, m.End, len(text))
			}
			if m.DecodedVia == nil && m.Secret.Len() != int(m.End-m.Start) {
				t.Fatalf("%s: a secret of %d bytes spans %d", m.Rule.ID, m.Secret.Len(), m.End-m.Start)
			}
		}
		if err := e.Err(); err != nil {
			t.Fatal(err)
		}
	})
}

// list gives each match in a comparable form, sorted.
func list(ms []scanner.Match) []string {
	var out []string
	for _, m := range ms {
		out = append(out, fmt.Sprintf("%d:%d %s line %d:%d-%d:%d via %v key %q conf %s context %q mac %x",
			m.Start, m.End, m.Rule.ID, m.Line, m.Column, m.EndLine, m.EndColumn, m.DecodedVia, m.Key, m.Confidence, m.Context, m.Secret.MAC(nil)))
	}
	slices.Sort(out)
	return out
}

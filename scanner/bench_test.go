package scanner

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
)

// prose is clean text: no run as long as a digest, no escape, no keyword of a
// provider.
func prose(n int) []byte {
	words := strings.Fields("func return if err nil the of a and to value name list index for range string int byte where when found reader writer open close")
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		b.WriteString(words[r.IntN(len(words))])
		b.WriteByte(" \t\n(),.:;{}"[r.IntN(11)])
	}
	return []byte(b.String()[:n])
}

// logLines are lines as services write them, with an identifier and a digest on
// each, and one in ten with a word that is a keyword.
func logLines(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	var b strings.Builder
	for b.Len() < n {
		fmt.Fprintf(&b, `{"ts":"2025-06-15T15:06:%02d.%03dZ","level":"info","trace_id":"%016x%016x","user_id":%d,"msg":"%s"}`+"\n",
			r.IntN(60), r.IntN(1000), r.Uint64(), r.Uint64(), r.IntN(1e7), []string{"request completed", "cache miss", "token expired", "slow query", "login", "retry", "flush", "sync", "done", "ready"}[r.IntN(10)])
	}
	return []byte(b.String()[:n])
}

func benchEngine(b *testing.B, o Options) *Engine {
	b.Helper()
	set, err := rules.Builtin()
	if err != nil {
		b.Fatal(err)
	}
	e, err := New(set, o)
	if err != nil {
		b.Fatal(err)
	}
	return e
}

// BenchmarkPasses tells what each pass costs: the literals of all rules (pass A),
// those and the decisions around them (A and C), and with the decoders, whose
// runs are pass B. The plain engine stands beside.
func BenchmarkPasses(b *testing.B) {
	const size = 4 << 20
	for _, text := range []struct {
		name string
		b    []byte
	}{{"prose", prose(size)}, {"log", logLines(size)}} {
		b.Run(text.name+"/literals", func(b *testing.B) {
			set := benchEngine(b, Options{})
			lits := set.lits.compile(set).set
			b.SetBytes(size)
			for b.Loop() {
				lits.Find(text.b, 0, size, func(int, int) {})
			}
		})
		for _, c := range []struct {
			name string
			o    Options
		}{{"no decoders", Options{DecodeDepth: -1}}, {"all", Options{}}, {"plain engine", Options{Plain: true}}} {
			b.Run(text.name+"/"+c.name, func(b *testing.B) {
				s := benchEngine(b, c.o).NewStream(nil)
				b.SetBytes(size)
				for b.Loop() {
					s.Reset(func(Match) {})
					for at := 0; at < size; at += readSize {
						s.Write(text.b[at : at+readSize])
					}
					s.Close()
				}
			})
		}
	}
}

// BenchmarkWindows tells what one decision costs at a keyword: by a hand-compiled
// pattern that matches and one that does not, and by RE2 within a line.
func BenchmarkWindows(b *testing.B) {
	e := benchEngine(b, Options{DecodeDepth: -1})
	for _, c := range []struct{ name, rule, template string }{
		{"simple match", "github-pat", "x ghp_{30:alnum}{6:crc32} y"},
		{"simple refusal", "github-pat", "x ghp_not_a_token_at_all y"},
		{"RE2 match", "", ""},
	} {
		r, _ := e.set.Rule(c.rule)
		if r == nil {
			for _, r = range e.set.Rules() {
				if r.Kind == rules.KindPattern && !r.Prefixed && !r.Multiline {
					break
				}
			}
			c.template = r.Examples[0]
		}
		b.Run(c.name, func(b *testing.B) {
			text, err := rules.Expand(c.template, 1)
			if err != nil {
				b.Fatal(err)
			}
			a, found := anchor{}, false
			l := e.lits.compile(e)
			l.set.Find([]byte(text), 0, len(text), func(lit, start int) {
				if ref := l.refs[lit]; ref.rule != nil && ref.rule.Rule == r {
					a, found = anchor{ref.rule, start, start + ref.length}, true
				}
			})
			if !found {
				b.Fatalf("no keyword of %s in its example", r.ID)
			}
			for b.Loop() {
				e.decide([]byte(text), a)
			}
		})
	}
}

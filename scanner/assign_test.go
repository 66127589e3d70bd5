package scanner

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
)

// What is remembered of a line is what is decided of it, whatever stands on the
// lines beside it, and wherever a text begins and ends.
func TestRememberedJudgementsAreThoseMade(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := New(set, Options{})
	if err != nil {
		t.Fatal(err)
	}
	js, again := new(judgements), 0
	seen := map[string]bool{}
	rapid.Check(t, func(t *rapid.T) {
		lines := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) string {
			return rapid.SampledFrom([]string{"", "// ", "user, ", strings.Repeat("x ", 60), "f("}).Draw(t, "left") +
				rapid.SampledFrom([]string{"password", "api_key", "token", "Secret", "pass"}).Draw(t, "name") +
				rapid.SampledFrom([]string{" = ", ": ", `="`, "('"}).Draw(t, "operator") +
				rapid.SampledFrom([]string{"Tr0ub4dor&3", "q7Xk2LmP9sWv", "a-b", "x", "hunter2!"}).Draw(t, "value") +
				rapid.SampledFrom([]string{"", `"`, "',", `" # note`, ") and " + strings.Repeat("y ", 80)}).Draw(t, "right")
		}), 1, 4).Draw(t, "lines")
		text := []byte(strings.Join(lines, "\n"))
		for _, a := range e.assign {
			e.assignKw.Find(text, 0, len(text), func(of *assignment, at, end int) {
				if of != a {
					return
				}
				line := text[bytes.LastIndexByte(text[:at], '\n')+1:]
				line, _, _ = bytes.Cut(line, newline)
				if seen[string(line)] {
					again++
				}
				seen[string(line)] = true
				m, refusal := a.decide(text, at, end, js)
				want, wantRefusal := a.decide(text, at, end, nil)
				// What is refused is not explained with a memory.
				if (refusal == "") != (wantRefusal == "") || wantRefusal == "" && !reflect.DeepEqual(m, want) {
					t.Fatalf("in %q at %d: %+v %q, without memory %+v %q", text, at, m, refusal, want, wantRefusal)
				}
			})
		}
	})
	if again == 0 {
		t.Fatal("no line came twice")
	}
}

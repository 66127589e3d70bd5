package simple

import (
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
)

// The run of a pattern, by its length and some bytes in it and not.
func TestRunOf(t *testing.T) {
	for p, want := range map[string]struct {
		n       int
		in, out string
	}{
		`acme.{0,20}["']([0-9a-f]{32})["']`:     {32, "09af", "gA\""},
		`[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}`:  {18, "0f-", "g"},
		`(?i:key|token)[ =]{1,3}[a-z]{12,40}`:   {12, "z", "_"},
		`x (?:[a-z]{20}|[0-9]{16,}) y`:          {16, "a9", "A"},
		`a=[a-z]{4}`:                            {0, "", ""},
		`[^"]{30}`:                              {0, "", ""}, // spaces are in it
		`(?:[0-9]{10})?x`:                       {0, "", ""},
		`(?:ab[0-9]){5}`:                        {15, "ab0", "c"},
		`[\x{80}-\x{ff}a]{9}`:                   {9, "a", "b"},
		`"[0-9A-Za-z_-]{20,}\.[0-9A-Za-z_-]{6}`: {27, ".-_a", "/"},
	} {
		r := RunOf(p)
		if r == nil {
			r = &Run{}
		}
		if r.Len != want.n {
			t.Errorf("%s: a run of %d bytes, want %d", p, r.Len, want.n)
		}
		for _, c := range []byte(want.in) {
			if !r.set[c] {
				t.Errorf("%s: %q is not in the run", p, c)
			}
		}
		for _, c := range []byte(want.out) {
			if r.set[c] {
				t.Errorf("%s: %q is in the run", p, c)
			}
		}
	}
}

// Steps find the row that a look at each byte finds.
func TestRunIsFoundInSteps(t *testing.T) {
	r := RunOf(`[a-c]{8}`)
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOf(rapid.SampledFrom([]string{"a", "abc", "abcabca", "abcabcab", "x", "xx"})).Draw(t, "parts")
		text := strings.Join(parts, "")
		want := false
		for part := range strings.SplitSeq(text, "x") {
			want = want || len(part) >= 8
		}
		if got := r.In([]byte(text)); got != want {
			t.Fatalf("%q holds a run: %v, want %v", text, got, want)
		}
	})
}

// Every match of a built-in pattern holds the pattern's run.
func TestMatchesHoldTheirRun(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, r := range set.Rules() {
		if r.Pattern == "" {
			continue
		}
		run := RunOf(r.Pattern)
		if run == nil {
			continue
		}
		n++
		gen := rapid.StringMatching(r.Pattern)
		rapid.Check(t, func(rt *rapid.T) {
			s := strings.NewReplacer("\u017f", "s", "\u212a", "k").Replace(gen.Draw(rt, "match"))
			if !run.In([]byte(s)) {
				rt.Fatalf("%s: the match %q holds no run of %d bytes", r.ID, s, run.Len)
			}
		})
	}
	if n < 100 {
		t.Fatalf("only %d patterns have a run", n)
	}
}

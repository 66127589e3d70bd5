package simple

import (
	"regexp"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/rules"
)

// Which patterns are simple.
func TestSimpleOrNot(t *testing.T) {
	for p, want := range map[string]bool{
		`ghp_[0-9A-Za-z]{36}`: true, `a[0-9]{2,4}-[a-z]{3}`: true, `(?i)key[ ]{0,3}=([a-f0-9]{8})`: true, `x_([a-z]{3})_([0-9]{2})`: true,
		`ab?c`: true, `ab?b`: false, `a[0-9]{2,4}5`: false, `a[0-9]{2,4}x?5`: false, `(?:a|b)c{3}`: true, `(?:ab|cd)e`: false, `a[0-9]+`: false, `a[0-9]*`: false, `\bab`: false,
		`a[0-9]{2,4}?x`: false, `a(?:bc){2}`: false, `a{3}(b)`: true,
	} {
		if _, got := New(p); got != want {
			t.Errorf("%s: simple %v, want %v", p, got, want)
		}
	}
}

// A simple pattern matches what the regular expression matches, group by group,
// on examples of the built-in rules, cut, changed and joined at random.
func TestSimpleIsRegexp(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	type pair struct {
		s  *Pattern
		re *regexp.Regexp
	}
	var pairs []pair
	var texts []string
	for _, r := range set.Rules() {
		if s, ok := New(r.Pattern); ok && r.Pattern != "" {
			pairs = append(pairs, pair{s, regexp.MustCompile(`^(?:` + r.Pattern + `)`)})
			good, bad, err := r.ExpandExamples()
			if err != nil {
				t.Fatal(err)
			}
			texts = append(texts, slices.Concat(good, bad)...)
		}
	}
	if len(pairs) < 100 {
		t.Fatalf("only %d built-in patterns are simple", len(pairs))
	}
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.SampledFrom(texts).Draw(t, "text")
		b := []byte(text[rapid.IntRange(0, len(text)).Draw(t, "from"):])
		if len(b) > 0 && rapid.Bool().Draw(t, "change") {
			b[rapid.IntRange(0, len(b)-1).Draw(t, "where")] = byte(rapid.IntRange(0, 127).Draw(t, "to"))
		}
		for _, p := range pairs {
			loc := p.re.FindSubmatchIndex(b)
			for g := range p.s.Groups {
				start, end, ok := p.s.Match(b, g)
				if ok != (loc != nil) || ok && (loc[2*g] != start || loc[2*g+1] != end) {
					t.Fatalf("%s on %q, group %d: %v [%d,%d], the expression says %v", p.re, b, g, ok, start, end, loc)
				}
			}
		}
	})
}

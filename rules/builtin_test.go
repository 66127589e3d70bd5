package rules

import (
	"bytes"
	"math"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

// The reference matcher decides rules with the standard library's regexp, as
// plainly as it can be written: every start in the whole text, no windows and
// no anchors but the question whether the match holds a keyword. It is the
// oracle for the examples; the scanner's engine is another implementation.
type reference struct {
	rule *Rule
	re   *regexp.Regexp
}

var references = sync.OnceValue(func() map[string]reference {
	set, err := Builtin()
	if err != nil {
		panic(err)
	}
	m := map[string]reference{}
	for _, r := range set.Rules() {
		if r.Kind == KindPattern {
			m[r.ID] = reference{r, regexp.MustCompile(`\A(?s:.*?)((?:` + r.Pattern + `))`)}
		}
	}
	return m
})

// find gives the distinct spans of secrets in text.
func (ref reference) find(text string) [][2]int {
	runes := latin1(text)
	var out [][2]int
	for from := 0; from <= len(text); {
		loc := ref.re.FindStringSubmatchIndex(runes.text[runes.at[from]:])
		if loc == nil {
			break
		}
		base := runes.at[from]
		start, end := runes.back[loc[2]+base], runes.back[loc[3]+base]
		s, e := start, end
		if g := ref.group(); g > 0 && loc[2+2*g] >= 0 {
			s, e = runes.back[loc[2+2*g]+base], runes.back[loc[3+2*g]+base]
		}
		if ref.hasKeyword(text[start:end]) && ref.accepts(text, s, e) && !slices.Contains(out, [2]int{s, e}) {
			out = append(out, [2]int{s, e})
		}
		from = start + 1
	}
	return out
}

func (ref reference) group() int {
	if ref.rule.Group == 0 && ref.re.NumSubexp() == 2 {
		return 1
	}
	return ref.rule.Group
}

func (ref reference) hasKeyword(match string) bool {
	for _, k := range ref.rule.Keywords {
		if ref.rule.Fold {
			match, k = strings.ToLower(match), strings.ToLower(k)
		}
		if strings.Contains(match, k) {
			return true
		}
	}
	return false
}

func (ref reference) accepts(text string, s, e int) bool {
	before, after := -1, -1
	if s > 0 {
		before = int(text[s-1])
	}
	if e < len(text) {
		after = int(text[e])
	}
	sec := text[s:e]
	if s == e || !ref.rule.BoundaryOK(before, after) || entropy(sec) < ref.rule.Entropy {
		return false
	}
	for _, w := range ref.rule.StopWords {
		if strings.Contains(strings.ToLower(sec), strings.ToLower(w)) {
			return false
		}
	}
	return ref.rule.Shape == "" || CheckShape(ref.rule.Shape, []byte(sec)).State != ShapeInvalid
}

// latin1Text is a text in which every byte became one character.
type latin1Text struct {
	text string
	at   []int       // byte of the original → byte of text
	back map[int]int // and back
}

func latin1(s string) latin1Text {
	l := latin1Text{back: map[int]int{}}
	var b strings.Builder
	for i := range len(s) {
		l.at, l.back[b.Len()] = append(l.at, b.Len()), i
		b.WriteRune(rune(s[i]))
	}
	l.at, l.back[b.Len()] = append(l.at, b.Len()), len(s)
	l.text = b.String()
	return l
}

func entropy(s string) float64 {
	h := 0.0
	for c := range 256 {
		if n := bytes.Count([]byte(s), []byte{byte(c)}); n > 0 {
			p := float64(n) / float64(len(s))
			h -= p * math.Log2(p)
		}
	}
	return h
}

func builtinSet(t testing.TB) *Set {
	t.Helper()
	set, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func expanded(t *testing.T, r *Rule) (examples, negatives []string) {
	t.Helper()
	examples, negatives, err := r.ExpandExamples()
	if err != nil {
		t.Fatalf("%s: %v", r.ID, err)
	}
	return examples, negatives
}

func TestBuiltinExamples(t *testing.T) {
	for _, r := range builtinSet(t).Rules() {
		ref, ok := references()[r.ID]
		if !ok {
			continue // assignment rules are decided by the scanner alone
		}
		examples, negatives := expanded(t, r)
		for i, ex := range examples {
			if spans := ref.find(ex); len(spans) != 1 {
				t.Errorf("%s: example %d: %d secrets, want 1: %q", r.ID, i+1, len(spans), r.Examples[i])
			}
		}
		for i, ex := range negatives {
			if spans := ref.find(ex); len(spans) != 0 && !r.Score { // those the scanner judges further
				t.Errorf("%s: negative %d: %d secrets, want 0: %q", r.ID, i+1, len(spans), r.Negatives[i])
			}
		}
	}
}

// TestBuiltinCross tries every rule on every other rule's examples: a rule
// that also matches another's secrets says so, or one of the two is wrong.
func TestBuiltinCross(t *testing.T) {
	set := builtinSet(t)
	used := map[[2]string]bool{}
	for _, owner := range set.Rules() {
		examples, _ := expanded(t, owner)
		for _, other := range set.Rules() {
			ref, ok := references()[other.ID]
			if !ok || other == owner {
				continue
			}
			for i, ex := range examples {
				if len(ref.find(ex)) == 0 {
					continue
				}
				used[[2]string{owner.ID, other.ID}] = true
				if !slices.Contains(owner.Overlaps, other.ID) && !slices.Contains(other.Overlaps, owner.ID) {
					t.Errorf("%s also matches example %d of %s: %q", other.ID, i+1, owner.ID, owner.Examples[i])
				}
			}
		}
	}
	for _, r := range set.Rules() {
		for _, id := range r.Overlaps {
			if _, ok := set.Rule(id); !ok {
				t.Errorf("%s: overlaps names %q, which is no rule", r.ID, id)
			} else if !used[[2]string{r.ID, id}] && !used[[2]string{id, r.ID}] {
				t.Errorf("%s: overlaps names %q, but neither matches the other's examples", r.ID, id)
			}
		}
	}
}

// TestBuiltinStrict holds the quick reading of the built-in rules equal to the
// strict one.
func TestBuiltinStrict(t *testing.T) {
	strict, err := Load(builtinFS)
	if err != nil {
		t.Fatal(err)
	}
	quick := builtinSet(t)
	if strict.Len() != quick.Len() || quick.Len() < 60 {
		t.Fatalf("strict %d rules, quick %d, want the same and at least 60", strict.Len(), quick.Len())
	}
	for _, q := range quick.Rules() {
		s, ok := strict.Rule(q.ID)
		if !ok {
			t.Fatalf("%s: only in the quick set", q.ID)
		}
		if s.Width != q.Width || s.Prefixed != q.Prefixed || s.Fold != q.Fold || s.Multiline != q.Multiline ||
			s.Confidence != q.Confidence || s.Kind != q.Kind || !slices.Equal(s.StopWords, q.StopWords) || *s.afterOrNone() != *q.afterOrNone() {
			t.Errorf("%s: strict and quick loading differ:\n%+v\n%+v", q.ID, s, q)
		}
	}
}

func (r *Rule) afterOrNone() *byteClass {
	if r.after == nil {
		return new(byteClass)
	}
	return r.after
}

func TestBuiltinHabits(t *testing.T) {
	// Rules whose secret spans lines. All others are decided as soon as their
	// line is complete, which streams rely on.
	multiline := []string{
		"private-key", "google-service-account-key", "jwk-private-key", "jwk-private-key-first",
		"named-value", "netrc-password", "plist-value", "terraform-variable-default",
	}
	for _, r := range builtinSet(t).Rules() {
		if want := slices.Contains(multiline, r.ID); r.Multiline != want {
			t.Errorf("%s: multiline %v, want %v: use [ \\t] for \\s, and keep \\n out of negated classes", r.ID, r.Multiline, want)
		}
		if r.Kind == KindPattern && (r.Width <= 0 || r.Width > maxMaxLen) {
			t.Errorf("%s: width %d", r.ID, r.Width)
		}
		if !strings.HasPrefix(r.File, "builtin/") || r.Provider == "" || r.ProviderName == "" {
			t.Errorf("%s: file %q, provider %q %q", r.ID, r.File, r.Provider, r.ProviderName)
		}
		if _, ok := builtinSet(t).Rule(r.Partner); !ok && r.Partner != "" {
			t.Errorf("%s: partner names %q, which is no rule", r.ID, r.Partner)
		}
		if strings.Contains(r.Pattern, `\b`) {
			t.Errorf("%s: uses \\b; boundary says it faster", r.ID)
		}
	}
}

func TestBuiltinWidth(t *testing.T) {
	for id, ref := range references() {
		examples, negatives := expanded(t, ref.rule)
		for _, ex := range append(examples, negatives...) {
			l := latin1(ex)
			for _, loc := range ref.re.FindAllStringSubmatchIndex(l.text, -1) {
				if n := l.back[loc[3]] - l.back[loc[2]]; n > ref.rule.Width {
					t.Errorf("%s: a match of %d bytes, width %d", id, n, ref.rule.Width)
				}
			}
		}
	}
}

// TestBuiltinGenerated makes texts from the patterns themselves: none is longer
// than the width, each holds a keyword, and begins with one where the loader
// says so. A pattern with a match that no keyword anchors would never find it.
func TestBuiltinGenerated(t *testing.T) {
	for id, ref := range references() {
		r := ref.rule
		gen, needs := rapid.StringMatching(r.Pattern), r.Needs()
		if id == "https-credentials" && string(needs) != "@" {
			t.Errorf("%s needs %q, want an @", id, needs)
		}
		rapid.Check(t, func(rt *rapid.T) {
			// Folding in Go reaches two characters that Latin-1 has not.
			s := strings.NewReplacer("\u017f", "s", "\u212a", "k").Replace(gen.Draw(rt, "match"))
			if n := utf8.RuneCountInString(s); r.MaxLen == 0 && n > r.Width {
				rt.Fatalf("%s: a match of %d bytes, width %d", id, n, r.Width)
			}
			if !ref.hasKeyword(s) {
				rt.Fatalf("%s: no keyword in the match %q", id, s)
			}
			for _, b := range needs {
				if strings.IndexByte(s, b) < 0 {
					rt.Fatalf("%s: needs %q, which the match %q does not hold", id, b, s)
				}
			}
			low := strings.ToLower(s)
			if r.Prefixed && !slices.ContainsFunc(r.Keywords, func(k string) bool {
				return strings.HasPrefix(s, k) || r.Fold && strings.HasPrefix(low, strings.ToLower(k))
			}) {
				rt.Fatalf("%s: is prefixed, but a match begins with none of its keywords", id)
			}
		})
	}
}

func BenchmarkBuiltin(b *testing.B) {
	entries, err := builtinFS.ReadDir("builtin")
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, "builtin/"+e.Name())
	}
	for b.Loop() {
		if _, err := loadAll(names, builtinFS.Open, false); err != nil {
			b.Fatal(err)
		}
	}
}

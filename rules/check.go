package rules

import (
	"errors"
	"fmt"
	"regexp/syntax"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// fault is something wrong with a rule, and the key it stands at, "" when it
// is the rule as a whole.
type fault struct {
	key string
	err error
}

const (
	// maxMaxLen bounds maxlen: chunks overlap by the longest window, and no
	// known secret is longer than a 16,384-bit RSA key with 13 kB.
	maxMaxLen = 64 << 10
	// maxWidth bounds patterns without maxlen. A wider one is nearly always a
	// count too many, and its window makes every occurrence dear.
	maxWidth = 16 << 10
	// minKeyword is the shortest keyword: two bytes occur on every page, and
	// every occurrence costs a trial of the pattern.
	minKeyword = 3
	// maxEntropy is that of bytes that are all different.
	maxEntropy = 8
)

// check tells all faults of a rule; re is nil when it has no pattern or one
// that does not parse (that fault is told by the caller).
func check(r *Rule, re *syntax.Regexp) []fault {
	var out []fault
	add := func(key, format string, args ...any) { out = append(out, fault{key, fmt.Errorf(format, args...)}) }
	if !slug(r.ID) {
		add("id", "id %q: must be lower-case words joined by '-', such as \"github-pat\"", r.ID)
	}
	if strings.TrimSpace(r.Description) == "" {
		add("", "description is missing: say in a phrase what leaked")
	}
	switch r.Confidence {
	case High, Medium, Low:
	default:
		add("confidence", "confidence %q: must be \"high\", \"medium\" or \"low\"", r.Confidence)
	}
	if _, ok := shapeNamed(r.Shape); r.Shape != "" && !ok {
		add("shape", "shape %q: the shapes are %s", r.Shape, strings.Join(ShapeNames(), ", "))
	}
	if r.Entropy < 0 || r.Entropy > maxEntropy {
		add("entropy", "entropy %v: must be between 0 and %d bits per character", r.Entropy, maxEntropy)
	}
	if ref := r.Reference; ref != "" && !strings.HasPrefix(ref, "https://") {
		add("reference", "reference must be an https:// address of the vendor")
	}
	out = append(out, checkKind(r, re)...)
	out = append(out, checkKeywords(r, re)...)
	out = append(out, checkLists(r)...)
	return append(out, checkExamples(r)...)
}

// checkKind checks what depends on how the rule is decided.
func checkKind(r *Rule, re *syntax.Regexp) []fault {
	var out []fault
	add := func(key, format string, args ...any) { out = append(out, fault{key, fmt.Errorf(format, args...)}) }
	if r.MaxLen < 0 || r.MaxLen > maxMaxLen {
		add("maxlen", "maxlen %d: must be between 1 and %d bytes", r.MaxLen, maxMaxLen)
	}
	switch r.Kind {
	case KindAssignment:
		if r.Pattern != "" || r.Group != 0 {
			add("pattern", "a rule of kind %q has no pattern and no secret_group: the scanner finds the value itself", r.Kind)
		}
		return out
	case KindPattern, KindContext:
	default:
		add("kind", "kind %q: must be %q, %q or %q", r.Kind, KindPattern, KindAssignment, KindContext)
		return out
	}
	if r.Pattern == "" {
		add("", "pattern is missing")
	}
	if re == nil {
		return out
	}
	groups := re.MaxCap()
	switch {
	case r.Group < 0 || r.Group > groups:
		add("secret_group", "secret_group %d: the pattern has %s", r.Group, plural(groups, "group"))
	case r.NameGroup < 0 || r.NameGroup > groups || r.NameGroup > 0 && (r.NameGroup == r.Group || !r.Score):
		add("name_group", "name_group %d: want a group of the pattern that is not the secret, of a rule with score = true; the pattern has %s", r.NameGroup, plural(groups, "group"))
	case r.Group == 0 && groups > 1:
		add("pattern", "the pattern has %d groups: say with secret_group which is the secret, or write (?:…) for the others", groups)
	}
	if r.Kind == KindContext && (r.MaxLen > 0 || groups > 0 || multiline(re)) {
		add("pattern", "a rule of kind %q has no maxlen, no groups and no line feeds: its pattern is the value alone", r.Kind)
	}
	switch w := width(re); {
	case w == unbounded && r.MaxLen == 0:
		add("pattern", "the pattern has no longest match: bound its repeats, as in {20,300}, or state maxlen")
	case w == 0:
		add("pattern", "the pattern matches nothing but the empty text")
	case w > maxWidth && r.MaxLen == 0:
		add("pattern", "the pattern matches up to %d bytes, more than %d: bound it, or state maxlen", w, maxWidth)
	}
	return out
}

func checkKeywords(r *Rule, re *syntax.Regexp) []fault {
	if len(r.Keywords) == 0 {
		return checkSlow(r, re)
	}
	var out []fault
	add := func(format string, args ...any) { out = append(out, fault{"keywords", fmt.Errorf(format, args...)}) }
	seen := map[string]bool{}
	for _, k := range r.Keywords {
		switch {
		case len(k) < minKeyword:
			add("keyword %q: must have at least %d bytes", k, minKeyword)
		case !printable(k):
			add("keyword %q: must be printable ASCII", k)
		case seen[k]:
			add("keyword %q stands there twice", k)
		case re != nil && r.Kind == KindPattern && !canHold(re, k, folds(re)):
			add("keyword %q cannot occur in a match of the pattern", k)
		}
		seen[k] = true
	}
	return out
}

// checkSlow checks a rule without keywords. Its pattern is tried on every line,
// which is for patterns that give no choice.
func checkSlow(r *Rule, re *syntax.Regexp) []fault {
	fail := func(format string, args ...any) []fault { return []fault{{"", fmt.Errorf(format, args...)}} }
	switch r.Kind {
	case KindAssignment:
		return fail("keywords are missing: name the words that end the names of such values, as in %q", "password")
	case KindContext:
		return fail("keywords are missing: name the service near whose name such values stand")
	}
	if re == nil {
		return nil
	}
	if lit := required(re); len(lit) >= minKeyword {
		return fail("keywords are missing: every match of the pattern holds %q, so write keywords = [%q]", lit, lit)
	}
	if multiline(re) {
		return fail("keywords are missing: a pattern that can span lines needs texts of which every match holds one; or leave line feeds out of its classes (\\s is [\\t\\n\\f\\r ])")
	}
	return nil
}

func checkLists(r *Rule) []fault {
	var out []fault
	add := func(key, format string, args ...any) { out = append(out, fault{key, fmt.Errorf(format, args...)}) }
	for _, b := range []struct{ key, class string }{{"boundary", r.Boundary}, {"boundary_before", r.BoundaryBefore}} {
		if _, err := parseBoundary(b.class); err != nil {
			out = append(out, fault{b.key, err})
		}
	}
	for _, w := range r.Words {
		if len(w) < minKeyword || w != strings.ToLower(w) || r.Kind != KindContext {
			add("words", "word %q: words are parts of names in lower case, of at least %d bytes, for rules of kind %q", w, minKeyword, KindContext)
		}
	}
	for _, w := range r.StopWords {
		if len(w) < minKeyword {
			add("stop_words", "stop word %q: must have at least %d bytes, or chance finds it in random text", w, minKeyword)
		}
	}
	for _, g := range []struct {
		key   string
		globs []string
	}{{"paths", r.Paths}, {"exclude_paths", r.ExcludePaths}} {
		for _, p := range g.globs {
			if !doublestar.ValidatePattern(p) {
				add(g.key, "%s: %q is not a glob", g.key, p)
			}
		}
	}
	if p := r.Partner; p != "" && (!slug(p) || p == r.ID) {
		add("partner", "partner: %q is not the id of another rule", p)
	}
	for _, id := range r.Overlaps {
		if !slug(id) || id == r.ID {
			add("overlaps", "overlaps: %q is not the id of another rule", id)
		}
	}
	return out
}

func checkExamples(r *Rule) []fault {
	var out []fault
	if len(r.Examples) == 0 {
		out = append(out, fault{"", errors.New("examples are missing: at least one text in which the rule finds a secret; write {36:alnum} for random parts")})
	}
	if len(r.Negatives) == 0 {
		out = append(out, fault{"", errors.New("negatives are missing: at least one near miss in which the rule finds nothing")})
	}
	if _, _, err := r.ExpandExamples(); err != nil {
		key := "examples"
		if strings.HasPrefix(err.Error(), "negative") {
			key = "negatives"
		}
		out = append(out, fault{key, err})
	}
	return out
}

// slug reports whether s is lower-case words and numbers joined by single '-'.
func slug(s string) bool {
	if s == "" || s[0] == '-' || s[len(s)-1] == '-' || strings.Contains(s, "--") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '-' && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return false
		}
	}
	return true
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

func plural(n int, noun string) string {
	switch n {
	case 0:
		return "no " + noun
	case 1:
		return "one " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

package scanner

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/quench-dev/quench/rules"
)

// work is what the engine does for a text: the bytes that matchers and decoders
// are given, and the pairs of matches compared.
func work(e *Engine, text string) int {
	s := e.NewStream(func(Match) {})
	for len(text) > 0 {
		n := min(len(text), 32<<10)
		s.Write([]byte(text[:n]))
		text = text[n:]
	}
	s.Close()
	return s.work
}

// hostileRules are what a user's rule set can be at its worst: hundreds of
// patterns on one keyword, wide windows, and some without keywords.
func hostileRules(t *testing.T) *rules.Set {
	t.Helper()
	var b strings.Builder
	b.WriteString("provider = \"acme\"\nname = \"Acme\"\n")
	rule := func(id, pattern, more string) {
		fmt.Fprintf(&b, "[[rule]]\nid = %q\ndescription = \"d\"\npattern = '%s'\nexamples = ['x']\nnegatives = ['y']\n%s\n", id, pattern, more)
	}
	for i := range 300 {
		rule(fmt.Sprintf("acme-same-%d", i), fmt.Sprintf(`acme_[0-9a-z]{10,%d}`, 20+i), `keywords = ["acme_"]`)
	}
	for i := range 3 { // each more costs as much again, and tells nothing new
		rule(fmt.Sprintf("acme-inner-%d", i), fmt.Sprintf(`[a-z]{1,200}:acme:[a-z]{%d,300}`, i+1), `keywords = [":acme:"]`)
		rule(fmt.Sprintf("acme-slow-%d", i), fmt.Sprintf(`[a-f]{%d}-[0-9]{3,8}`, i+4), "")
	}
	rule("acme-block", `acme-begin[a-z\n]+acme-end`, "keywords = ['acme-begin']\nmaxlen = 3000")
	own, err := rules.Load(fstest.MapFS{"acme.toml": {Data: []byte(b.String())}}, "acme.toml")
	if err != nil {
		t.Fatal(err)
	}
	builtin, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Merge(builtin, own)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Twice as much hostile text is twice as much work: of anchors only, of matches
// only, of encodings in encodings.
func TestWorkIsLinear(t *testing.T) {
	if testing.Short() {
		t.Skip("takes 15 s of CPU, and minutes under the race detector")
	}
	set := hostileRules(t)
	var keywords []string
	for _, r := range set.Rules() {
		if r.Kind == rules.KindAssignment {
			keywords = append(keywords, strings.Join(r.Keywords, "="))
			continue
		}
		keywords = append(keywords, r.Keywords...)
	}
	nested := func(n int) string {
		text := strings.Repeat("password = q7Xk2mB9vR4tLw8Z\n", n/28/3)
		for range 3 {
			text = base64.StdEncoding.EncodeToString([]byte(text))
		}
		return text
	}
	again := func(part string) func(int) string {
		return func(n int) string { return strings.Repeat(part, n/len(part)+1) }
	}
	for name, text := range map[string]func(n int) string{
		"all keywords":       again(strings.Join(keywords, " ")),
		"all, in one word":   again(strings.Join(keywords, "")),
		"one keyword":        again("acme_"),
		"an inner keyword":   again(":acme:"),
		"inner matches":      again("abc:acme:abc"),
		"a block's begin":    again("acme-begin"),
		"key headers":        again("-----BEGIN PRIVATE KEY-----\n"),
		"matches":            again("acme_0123456789 "),
		"matches, one line":  again("acme_0123456789abc,"),
		"slow matches":       again("abcdef-123 "),
		"assignments":        again("password=q7Xk2mB9vR4tLw8Z;"),
		"names":              again("password"),
		"operators":          again("token="),
		"only operators":     again("="),
		"quotes":             again(`"`),
		"gaps":               again("key  \t "),
		"nested base64":      nested,
		"base64 of anything": again("QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
		"percent":            again("%41"),
		"percent of percent": again("%2525"),
		"escapes":            again(`\\u0041`),
		"joined strings":     again(`"a" + `),
		"joined lines":       again("'a' +\n"),
		"continued lines":    again("a\\\n"),
		"UTF-16":             again("a\x00"),
		"hexadecimal":        again("61"),
		"NULs":               again("\x00"),
		"one letter":         again("a"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := New(set, Options{})
			if err != nil {
				t.Fatal(err)
			}
			const n = 192 << 10 // beyond all windows, pieces and segments
			one, two := work(e, text(n)), work(e, text(2*n))
			t.Logf("%.1f for each byte", float64(two)/float64(2*n))
			if two > one*23/10+n {
				t.Errorf("%d bytes take %d, twice as many %d", n, one, two)
			}
			if err := e.Err(); err != nil {
				t.Error(err)
			}
		})
	}
}

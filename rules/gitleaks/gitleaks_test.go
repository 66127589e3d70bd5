package gitleaks

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
)

var errNone = errors.New("no such file")

func none(string) (string, []byte, error) { return "", nil, errNone }

// Every match holds an anchor: read off expressions of many shapes.
func TestAnchors(t *testing.T) {
	for _, c := range []struct {
		expr, keywords string
		want           string
		held           bool
	}{
		{`acme_[0-9]{8}`, "acme", "acme", true},
		{`acme_[0-9]{8}`, "shop", "acme_", false},
		{`\b((?:A3T[A-Z0-9]|AKIA|ASIA)[A-Z2-7]{16})\b`, "a3t akia asia", "a3t akia asia", true},
		{`(?i)shop.{0,20}key`, "shop", "shop", true},
		{`[a-f0-9]{32}`, "token", "", false},
		{`(?:foo|ba)x?[0-9]+`, "", "", false},
		{`(?:foo|bar)x?[0-9]+`, "", "bar barx foo foox", false},
	} {
		e, err := parseExpr(c.expr)
		if err != nil {
			t.Fatal(err)
		}
		got, held := e.anchors(strings.Fields(c.keywords))
		slices.Sort(got)
		if strings.Join(got, " ") != c.want || held != c.held {
			t.Errorf("%s with %q: %q, %v; want %q, %v", c.expr, c.keywords, got, held, c.want, c.held)
		}
	}
}

// The names of built-in rules that the table has are those of rules.
func TestNames(t *testing.T) {
	if got := Ours("github-pat"); !slices.Equal(got, []string{"github-pat"}) {
		t.Errorf("github-pat is %v", got)
	}
	if got := Ours("generic-api-key"); !slices.Contains(got, "generic-assignment") || !slices.Contains(Theirs("generic-assignment"), "generic-api-key") {
		t.Errorf("generic-api-key is %v", got)
	}
	if got := Ours("no-such-rule"); len(got) != 0 {
		t.Errorf("a rule that is none is %v", got)
	}
}

// No file makes the reader panic, and what it makes of an expression is one, of which
// every match holds an anchor.
func FuzzRead(f *testing.F) {
	f.Add("[[rules]]\nid = \"a\"\nregex = '''(?i)acme[_-]?([a-z]{10,})(?:\\s|$)'''\nkeywords = [\"acme\"]\nentropy = 3.5\n", "acme-abcdefghijkl ")
	f.Add("[extend]\nuseDefault = true\n[[allowlists]]\npaths = ['''x''']\n", "x")
	f.Add("[[rules]]\nid = \"b\"\nregex = '''(?:A3T[A-Z]|AKIA)é[^x]*'''\npath = '''\\.go$'''\n", "AKIAé")
	f.Fuzz(func(t *testing.T, config, text string) {
		c, err := Read("f", []byte(config), none)
		if err != nil {
			return
		}
		if c.Rules == nil {
			return
		}
		for _, r := range c.Rules.Rules() {
			if r.Kind != rules.KindPattern {
				continue
			}
			re, err := regexp.Compile(r.Pattern)
			if err != nil {
				t.Fatalf("%q is no expression: %v", r.Pattern, err)
			}
			m := strings.ToLower(re.FindString(text))
			if m != "" && len(r.Keywords) > 0 && !slices.ContainsFunc(r.Keywords, func(k string) bool { return strings.Contains(m, k) }) {
				t.Fatalf("%q matches %q, which holds none of %q", r.Pattern, m, r.Keywords)
			}
		}
	})
}

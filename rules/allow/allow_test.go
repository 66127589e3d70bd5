package allow_test

import (
	"errors"
	"testing"

	"github.com/quench-dev/quench/rules/allow"
)

func TestConditions(t *testing.T) {
	both := allow.List{Paths: []string{"docs/**"}, Regexes: []string{"^demo"}}
	all := both
	all.All = true
	for _, c := range []struct {
		name                                    string
		list                                    allow.List
		rule, path, commit, secret, match, line string
		want                                    bool
	}{
		{"any, by path", both, "r", "docs/a/b.md", "", "real", "", "", true},
		{"any, by secret", both, "r", "src/a", "", "demo-key", "", "", true},
		{"any, neither", both, "r", "src/a", "", "real", "", "", false},
		{"all, both", all, "r", "docs/a", "", "demo-key", "", "", true},
		{"all, only the path", all, "r", "docs/a", "", "real", "", "", false},
		{"all, only the secret", all, "r", "src/a", "", "demo-key", "", "", false},
		{"of another rule", allow.List{Rules: []string{"q"}, Paths: []string{"**"}}, "r", "a", "", "s", "", "", false},
		{"of the rule, all paths", allow.List{Rules: []string{"r"}, Paths: []string{"**"}}, "r", "a", "", "s", "", "", true},
		{"path expression", allow.List{PathExprs: []string{`\.lock$`}}, "r", "x/yarn.lock", "", "s", "", "", true},
		{"no path, as of a stream", allow.List{PathExprs: []string{`\.lock$`}}, "r", "", "", "s", "", "", false},
		{"commit", allow.List{Commits: []string{"ABCDEF0123"}}, "r", "a", "abcdef0123456789", "s", "", "", true},
		{"another commit", allow.List{Commits: []string{"abcdef0124"}}, "r", "a", "abcdef0123456789", "s", "", "", false},
		{"no commit", allow.List{Commits: []string{"abcdef0124"}}, "r", "a", "", "s", "", "", false},
		{"match", allow.List{Regexes: []string{"^api_key"}, Target: allow.Match}, "r", "a", "", "s", "api_key = s", "", true},
		{"line", allow.List{Regexes: []string{"for tests$"}, Target: allow.Line}, "r", "a", "", "s", "", "k = s // for tests", true},
		{"the secret is not the line", allow.List{Regexes: []string{"for tests$"}}, "r", "a", "", "s", "", "k = s // for tests", false},
		{"stop word, in any case", allow.List{StopWords: []string{"Sample"}}, "r", "a", "", "xxSAMPLExx", "", "", true},
		{"short stop word", allow.List{StopWords: []string{"zz"}}, "r", "a", "", "aZZa", "", "", true},
		{"no stop word", allow.List{StopWords: []string{"sample", "zz"}}, "r", "a", "", "samplz", "", "", false},
		{"all, regex and stop word", allow.List{All: true, Regexes: []string{"^a"}, StopWords: []string{"xyz"}}, "r", "", "", "a-xyz", "", "", true},
		{"all, regex without the stop word", allow.List{All: true, Regexes: []string{"^a"}, StopWords: []string{"xyz"}}, "r", "", "", "a-xy", "", "", false},
	} {
		s, _, err := allow.New(c.list)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		v := s.Content(c.rule, []byte(c.secret), []byte(c.match), []byte(c.line))
		if _, got := s.Allows(c.rule, v, c.path, c.commit); got != c.want {
			t.Errorf("%s: allowed %v", c.name, got)
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		list allow.List
		key  string
		all  bool
	}{
		{allow.List{}, "", false},
		{allow.List{Description: "x", All: true}, "", false},
		{allow.List{Paths: []string{"["}}, "paths", false},
		{allow.List{PathExprs: []string{"("}}, "paths", false},
		{allow.List{Regexes: []string{`(?=x)`}}, "regexes", false},
		{allow.List{Regexes: []string{"x"}, Target: "word"}, "target", false},
		{allow.List{Commits: []string{"abc"}}, "commits", false},
		{allow.List{Commits: []string{"not-hexadecimal"}}, "commits", false},
		{allow.List{StopWords: []string{""}}, "stop_words", false},
		{allow.List{Paths: []string{"**"}}, "paths", true},
		{allow.List{PathExprs: []string{"."}}, "paths", true},
		{allow.List{Regexes: []string{""}}, "regexes", true},
		{allow.List{Regexes: []string{"[a-z]", `[^a-z]`}}, "regexes", true},
		{allow.List{All: true, Paths: []string{"**"}, Regexes: []string{"(?s).*"}}, "regexes", true},
	} {
		_, _, err := allow.New(allow.List{Paths: []string{"ok"}}, c.list)
		var f *allow.Fault
		if !errors.As(err, &f) || f.Key != c.key || errors.Is(err, allow.ErrAllowsAll) != c.all {
			t.Errorf("%+v: %v", c.list, err)
		}
	}
	// What is wide is not everything.
	for _, l := range []allow.List{{Paths: []string{"**/*.md"}}, {Regexes: []string{"^[a-z]+$"}}, {All: true, Paths: []string{"**"}, Regexes: []string{"^test"}}} {
		if _, _, err := allow.New(l); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
	var none *allow.Set
	if _, ok := none.Allows("r", none.Content("r", nil, nil, nil), "p", "c"); ok || none.Len() != 0 || none.NeedLine() {
		t.Error("no lists allow something")
	}
}

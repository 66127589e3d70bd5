package provider

import (
	"context"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

var update = flag.Bool("update", false, "write docs/providers.md's table")

// Every built-in provider is documented, and its rules are ones there are; no two
// claim the same.
func TestBuiltin(t *testing.T) {
	tab, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	all, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	known, claimed := map[string]bool{}, map[string]string{}
	for _, r := range all.Rules() {
		known[r.ID] = true
	}
	for _, name := range tab.Names() {
		p, err := tab.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		i := p.Info()
		if i.Name != name || i.Title == "" || !strings.HasPrefix(i.Docs, "https://") || i.Manual == "" {
			t.Errorf("%s: title %q, docs %q, manual %q", name, i.Title, i.Docs, i.Manual)
		}
		for _, r := range i.Rules {
			if !known[r] {
				t.Errorf("%s: there is no rule %q", name, r)
			}
			if by, twice := claimed[r]; twice {
				t.Errorf("%s: rule %q is claimed by %s too", name, r, by)
			}
			claimed[r] = name
			if found, ok := tab.ByRule(r); !ok || found.Info().Name != name {
				t.Errorf("%s: rule %q leads elsewhere", name, r)
			}
		}
	}
	// What the product promises: at least 30 that can be ended.
	n := 0
	for _, name := range tab.Names() {
		if p, _ := tab.Get(name); p.Info().CanRevoke {
			n++
		}
	}
	if n < 30 {
		t.Errorf("%d providers can revoke", n)
	}
}

// Each provider is reached by a rule, or docs/providers.md says why none leads there.
func TestUnreached(t *testing.T) {
	tab, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/providers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "<!-- unreached -->\n")
	list, _, _ := strings.Cut(rest, "<!-- end -->\n")
	said := map[string]bool{}
	for _, line := range strings.Split(list, "\n") {
		cells := strings.Split(line, "|")
		if len(cells) != 4 || strings.TrimSpace(cells[2]) == "" {
			continue
		}
		for i, name := range strings.Split(cells[1], "`") {
			if i%2 == 1 {
				said[name] = true
			}
		}
	}
	for _, name := range tab.Names() {
		p, _ := tab.Get(name)
		if reached := len(p.Info().Rules) > 0; reached == said[name] {
			t.Errorf("%s: reached by a rule: %t, said to be reached by none: %t", name, reached, said[name])
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("%s is no provider", name)
	}
}

const good = `name = "acme"
title = "Acme"
docs = "https://docs.acme.example/tokens"
host = "api.acme.example"
[[revoke]]
[[revoke.step]]
method = "DELETE"
url = "https://{{host}}/tokens/self"
bearer = "{{secret}}"
when = [{ status = [204], is = "revoked" }]
`

func TestParse(t *testing.T) {
	if _, err := parse([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ old, new, want string }{
		"unknown key":      {"bearer", "bearing", "unknown key"},
		"no TOML":          {"name =", "name", "line 1"},
		"name":             {`"acme"`, `"Acme Inc"`, "name"},
		"docs":             {"https://docs", "http://docs", "docs"},
		"http":             {"https://{{host}}", "http://{{host}}", "want https"},
		"other host":       {"https://{{host}}", "https://evil.example", "its host"},
		"host by value":    {"https://{{host}}", "https://{{secret}}", "its host"},
		"host and more":    {"https://{{host}}", "https://{{host}}.evil.example", "its host"},
		"user in host":     {`host = "api.acme.example"`, `host = "me@acme.example"`, "host"},
		"walks":            {"/tokens/self", "/tokens/../self", "plain path"},
		"query in path":    {"/tokens/self", "/tokens?a={{secret}}", "plain path"},
		"escape in path":   {"/tokens/self", "/%2e%2e/self", "plain path"},
		"unknown value":    {`"{{secret}}"`, `"{{token}}"`, "not known here"},
		"half open":        {`"{{secret}}"`, `"{{secret"`, "want {{name}}"},
		"path in a header": {`"{{secret}}"`, `"{{secret/}}"`, "stands in a url alone"},
		"method":           {`"DELETE"`, `"EVAL"`, "method"},
		"outcome":          {`is = "revoked"`, `is = "gone"`, "when"},
		"live of a revoke": {`is = "revoked"`, `is = "live"`, "when"},
		"next at the end":  {`is = "revoked"`, `is = "next"`, "when"},
		"no end":           {`is = "revoked"`, `is = "denied"`, "means one of"},
		"host header":      {`bearer = "{{secret}}"`, `headers = { Host = "evil.example" }`, "may not be set"},
		"bad header":       {`bearer = "{{secret}}"`, `headers = { "A: b" = "x" }`, "may not be set"},
		"form and json":    {`bearer = "{{secret}}"`, "form = { a = \"b\" }\njson = { a = \"b\" }", "not both"},
		"basic":            {`bearer = "{{secret}}"`, `basic = ["{{secret}}"]`, "user and password"},
		"undescribed need": {"[[revoke]]\n", "[[revoke]]\nneeds = [\"admin\"]\n", "describes"},
		"field":            {"[[revoke]]\n", "[fields]\nid = '^SG'\n[[revoke]]\n", "one group"},
		"by position":      {`bearer = "{{secret}}"`, `find = { list = "data", take = { id = "id" } }`, "never its place"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Errorf("%s: nothing changed", name)
		}
		_, err := parse([]byte(text))
		if !errors.Is(err, errSpec) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := parse(make([]byte, maxSpec+1)); !errors.Is(err, errSpec) {
		t.Errorf("a file too large: %v", err)
	}
}

// An operator's folder adds providers, and takes no name that is there.
func TestWith(t *testing.T) {
	tab, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("acme.toml", good)
	more, err := tab.With(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := more.Get("acme"); err != nil {
		t.Error(err)
	}
	if _, err := tab.Get("acme"); !errors.Is(err, ErrNone) {
		t.Errorf("the built-in table changed: %v", err)
	}
	write("gitlab.toml", strings.Replace(good, `"acme"`, `"gitlab"`, 1))
	if _, err := tab.With(dir); !errors.Is(err, errSpec) || !strings.Contains(err.Error(), "already") {
		t.Errorf("a name that is taken: %v", err)
	}
	write("gitlab.toml", good)
	if _, err := tab.With(dir); err == nil || !strings.Contains(err.Error(), "name the file so") {
		t.Errorf("a file of another name: %v", err)
	}
}

// Values fill their place and nothing around it.
func TestRequest(t *testing.T) {
	v := vars{"secret": secret.NewString("a/b?c#d%2e&e=f"), "dots": secret.NewString(".."), "crlf": secret.NewString("a\r\nX: y"),
		"many": secret.NewString("p/q r"), "up": secret.NewString("a/../b"), "colon": secret.NewString("a:b")}
	st := step{Method: "POST", URL: "https://{{host}}/x/{{secret}}/y{{secret}}/{{many/}}", Query: map[string]string{"q": "{{secret}}"}, JSON: map[string]any{"k": []any{"<{{secret}}\">"}, "n": int64(1)}}
	req, err := st.request(context.Background(), v, "h.example:8443")
	if err != nil {
		t.Fatal(err)
	}
	if got, want := req.URL.String(), "https://h.example:8443/x/a%2Fb%3Fc%23d%252e&e=f/ya%2Fb%3Fc%23d%252e&e=f/p/q%20r?q=a%2Fb%3Fc%23d%252e%26e%3Df"; got != want {
		t.Errorf("url %s\nwant %s", got, want)
	}
	b := make([]byte, 100)
	n, _ := req.Body.Read(b)
	if got := string(b[:n]); got != `{"k":["\u003ca/b?c#d%2e\u0026e=f\"\u003e"],"n":1}` {
		t.Errorf("body %s", got)
	}
	for name, st := range map[string]step{
		"up a path":     {URL: "https://{{host}}/{{dots}}"},
		"up by many":    {URL: "https://{{host}}/{{up/}}"},
		"a header":      {URL: "https://{{host}}/", Headers: map[string]string{"A": "{{crlf}}"}},
		"a bearer":      {URL: "https://{{host}}/", Bearer: "{{crlf}}"},
		"a basic user":  {URL: "https://{{host}}/", Basic: []string{"{{colon}}", "x"}},
		"what is there": {URL: "https://{{host}}/", Bearer: "{{none}}"},
	} {
		st.Method = "GET"
		if _, err := st.request(context.Background(), v, "h.example"); err == nil || strings.Contains(err.Error(), "X: y") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestHinted(t *testing.T) {
	const s = "abcd-0123456789-wxyz"
	for hint, want := range map[string]bool{"abcd...wxyz": true, "abcd****wxyz": true, "abcd…wxyz": true, "...wxyz": true, "ab...9-wxyz": true,
		"abcd...xyz": false, "abcd...wxya": false, "abce...wxyz": false, s: false, "": false, "...": false, "abcd-0123456789...0123456789-wxyz": false} {
		if hinted(hint, s) != want {
			t.Errorf("%q: %v", hint, !want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte("name = 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parse(b)
		if err != nil {
			if !errors.Is(err, errSpec) {
				t.Errorf("%v is no errSpec", err)
			}
			return
		}
		// What was taken calls its own hosts alone.
		for _, c := range s.Revoke {
			for _, st := range c.Steps {
				if req, err := st.request(context.Background(), vars{"secret": secret.NewString("s")}, "pinned.example"); err == nil {
					if h := req.URL.Host; h != "pinned.example" && h != s.Host && !strings.Contains(strings.Join(s.Hosts, " "), h) {
						t.Errorf("calls %q", h)
					}
				}
			}
		}
	})
}

// FuzzRequest puts any bytes into every place a value can stand.
func FuzzRequest(f *testing.F) {
	f.Add("a/../b")
	f.Add("x\r\nHost: evil.example")
	f.Add("\x00@evil.example/%2e%2e")
	st := step{Method: "POST", URL: "https://{{host}}/v1/{{secret}}/end", Query: map[string]string{"q": "{{secret}}"}, Headers: map[string]string{"K": "{{secret}}"},
		Bearer: "{{secret}}", Form: map[string]string{"f": "{{secret}}"}}
	f.Fuzz(func(t *testing.T, value string) {
		req, err := st.request(context.Background(), vars{"secret": secret.NewString(value)}, "h.example")
		if err != nil {
			return
		}
		if req.URL.Host != "h.example" || req.Host != "h.example" || strings.Count(req.URL.EscapedPath(), "/") != 3 || !strings.HasSuffix(req.URL.Path, "/end") || req.URL.Fragment != "" {
			t.Errorf("%q leads to %s", value, req.URL)
		}
		if got := req.URL.Query().Get("q"); got != value || len(req.URL.Query()) != 1 {
			t.Errorf("query %q, want %q", got, value)
		}
		if len(req.Header) != 5 || req.Header.Get("K") != value {
			t.Errorf("headers %v", len(req.Header))
		}
		if err := req.ParseForm(); err != nil || req.PostForm.Get("f") != value || len(req.PostForm) != 1 {
			t.Errorf("form: %v", err)
		}
	})
}

// The table of docs/providers.md is that of the program; -update writes it.
func TestDocumentedTable(t *testing.T) {
	tab, err := Builtin()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| provider | check | ended with | to undo it | calls documented at |\n|---|---|---|---|---|\n")
	for _, name := range tab.Names() {
		p, err := tab.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		i := p.Info()
		check, with, undo := "yes", "by hand", "cannot be undone"
		if !i.CanCheck {
			check = "no"
		}
		if i.CanRevoke {
			with = "`" + strings.Join(i.Parts, "`, `") + "`, "
			if len(i.Parts) == 0 {
				with = ""
			}
			if i.Alone {
				with += "itself"
			} else if len(i.Needs) > 0 {
				with += "your credential"
			} else {
				with += "a report"
			}
		}
		if i.Undo != "" {
			undo = i.Undo
		}
		if !i.CanRevoke {
			undo = ""
		}
		b.WriteString("| `" + name + "` | " + check + " | " + with + " | " + undo + " | <" + i.Docs + "> |\n")
	}
	const path = "../../docs/providers.md"
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, _ := strings.Cut(string(doc), "<!-- providers -->\n")
	old, after, ok := strings.Cut(rest, "<!-- end -->\n")
	if !ok {
		t.Fatal("docs/providers.md has no <!-- providers --> and <!-- end -->")
	}
	if old == b.String() {
		return
	}
	if !*update {
		t.Fatal("docs/providers.md is not the table of the program: go test ./revoker/provider -run TestDocumentedTable -update")
	}
	if err := os.WriteFile(path, []byte(before+"<!-- providers -->\n"+b.String()+"<!-- end -->\n"+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

package action

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

const (
	a    = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	b    = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zero = "0000000000000000000000000000000000000000"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ event, payload, want, fault string }{
		{"pull_request", `{"action":"opened","number":7,"pull_request":{"base":{"sha":"` + a + `"},"head":{"sha":"` + b + `"}}}`, a + ".." + b, ""},
		{"pull_request_target", `{"number":7,"pull_request":{"base":{"sha":"` + a + `"},"head":{"sha":"` + b + `"}}}`, a + ".." + b, ""},
		{"push", `{"before":"` + a + `","after":"` + b + `"}`, a + ".." + b, ""},
		{"push", `{"before":"` + zero + `","after":"` + b + `"}`, b, ""},
		{"push", `{"before":"` + a + `","after":"` + zero + `","deleted":true}`, "", ""},
		{"schedule", `{}`, "", ""},
		{"workflow_dispatch", `not json`, "", ""},
		{"pull_request", `{`, "", "does not parse"},
		{"pull_request", `{}`, "", "no base and head"},
		{"pull_request", `{"pull_request":{"base":{"sha":"--output=x"},"head":{"sha":"` + b + `"}}}`, "", "no base and head"},
		{"push", `{}`, "", "no commit"},
	} {
		s, err := Parse(c.event, []byte(c.payload))
		if s.Range != c.want || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
			t.Errorf("%s %s: %+v, %v", c.event, c.payload, s, err)
		}
		if strings.Contains(c.payload, "deleted") && !s.Nothing {
			t.Error("a deleted branch is something to scan")
		}
	}
	if _, err := Read(func(string) string { return "" }); err == nil {
		t.Error("read an event outside Actions")
	}
}

// What the runner and Markdown would obey is escaped, and nothing secret shown.
func TestWriter(t *testing.T) {
	dir := t.TempDir()
	env := map[string]string{"GITHUB_STEP_SUMMARY": filepath.Join(dir, "summary"), "GITHUB_OUTPUT": filepath.Join(dir, "out")}
	var out bytes.Buffer
	w := NewWriter(&out, "pull request 7", func(k string) string { return env[k] })
	f := scanner.Finding{Hit: scanner.Hit{
		Match:  scanner.Match{Rule: &rules.Rule{ID: "acme-key", Description: "Acme key"}, Line: 2, EndLine: 2, Column: 3, EndColumn: 9, Confidence: rules.High, Secret: secret.NewString("hunter2-and-more-of-it-here")},
		Origin: sources.Origin{Path: "a,b:c%\n::set-env|<b>.txt", Commit: a},
	}}
	if err := w.Finding(f); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(scanner.Coverage{Items: 1, Counts: sources.Counts{Commits: 2}}, report.Totals{Findings: 1}); err != nil || w.Trouble != nil {
		t.Fatal(err, w.Trouble)
	}
	want := "::error file=a%2Cb%3Ac%25%0A%3A%3Aset-env|<b>.txt,line=2,endLine=2,col=3,endColumn=10,title=quench%3A acme-key::Acme key (hunt****here) in commit aaaaaaaaaa\n"
	if out.String() != want {
		t.Errorf("annotation %q, want %q", out.String(), want)
	}
	sum, _ := os.ReadFile(env["GITHUB_STEP_SUMMARY"])
	if !strings.Contains(string(sum), "| acme-key | high | a,b:c% ::set-env&#124;&#60;b&#62;.txt:2 | hunt&#42;&#42;&#42;&#42;here |") {
		t.Errorf("summary %s", sum)
	}
	if o, _ := os.ReadFile(env["GITHUB_OUTPUT"]); string(o) != "findings=1\n" {
		t.Errorf("outputs %q", o)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("push", []byte(`{"before":"`+a+`","after":"`+b+`"}`))
	f.Add("pull_request", []byte(`{"pull_request":{"base":{"sha":"`+a+`"},"head":{"sha":"`+b+`"}}}`))
	f.Fuzz(func(t *testing.T, name string, payload []byte) {
		s, err := Parse(name, payload)
		if err == nil && strings.Trim(s.Range, "0123456789abcdef.") != "" {
			t.Errorf("range %q", s.Range)
		}
	})
}

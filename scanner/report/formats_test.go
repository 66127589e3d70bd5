package report_test

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"strings"
	"testing"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// A row of CSV has a cell for every name, whatever is in a finding, and nothing
// that a spreadsheet would run.
func TestCSV(t *testing.T) {
	f := findings()[0]
	f.Origin.Path, f.Origin.Author = "=HYPERLINK(\"http://x\")", "@Ann, \"the\nAuthor\""
	rows, err := csv.NewReader(bytes.NewReader(one(t, "csv", f, report.Options{}))).ReadAll()
	if err != nil || len(rows) != 2 {
		t.Fatalf("%v: %q", err, rows)
	}
	cell := map[string]string{}
	for i, name := range rows[0] {
		cell[name] = rows[1][i]
	}
	for name, want := range map[string]string{
		"path": "'=HYPERLINK(\"http://x\")", "author": "'@Ann, \"the\nAuthor\"", "in_head": "false", "start_line": "2", "date": "2026-01-02T03:04:05Z", "blobs": "3", "entropy": "4.7", "incident_id": "",
	} {
		if cell[name] != want {
			t.Errorf("%s is %q, want %q", name, cell[name], want)
		}
	}
}

// A scan that did not read everything is an error to a CI server, and one that found
// something a failure.
func TestJUnit(t *testing.T) {
	type problem struct {
		Message string `xml:"message,attr"`
	}
	var doc struct {
		Suite struct {
			Tests    int `xml:"tests,attr"`
			Failures int `xml:"failures,attr"`
			Errors   int `xml:"errors,attr"`
			Cases    []struct {
				Name    string `xml:"name,attr"`
				Failure *problem
				Error   *problem `xml:"error"`
			} `xml:"testcase"`
		} `xml:"testsuite"`
	}
	if err := xml.Unmarshal(write(t, "junit", report.Options{}, coverage()), &doc); err != nil {
		t.Fatal(err)
	}
	s := doc.Suite
	if s.Tests != 3 || s.Failures != 2 || s.Errors != 1 || len(s.Cases) != 3 || s.Cases[2].Error == nil {
		t.Errorf("%+v", doc)
	}
	if s.Cases[0].Name != "conf/app one.env:2:11" {
		t.Errorf("name %q", s.Cases[0].Name)
	}
	var b bytes.Buffer
	w, _ := report.New("junit", &b, report.Options{})
	if err := w.Close(scanner.Coverage{Items: 1}, report.Totals{}); err != nil || strings.Contains(b.String(), "<error") || strings.Contains(b.String(), "<failure") {
		t.Errorf("a clean scan: %v %s", err, &b)
	}
}

// A path cannot end a workflow command, nor begin one.
func TestGitHubInjection(t *testing.T) {
	f := findings()[0]
	f.Origin.Path, f.Contained = "a\n::set-output name=x::y,line=1", "done\n::error::z"
	out := string(one(t, "github", f, report.Options{}))
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, "file=a%0A%3A%3Aset-output name=x%3A%3Ay%2Cline=1,") {
		t.Errorf("%q", out)
	}
}

func TestTemplateErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                        "--template FILE",
		"{{range .Findings}":      "reading the report template",
		`{{env "HOME"}}`:          `function "env" not defined`,
		`{{expandenv "$HOME"}}`:   "not defined",
		`{{getHostByName "x"}}`:   "not defined",
		`{{range .Findings}}{{`:   "reading the report template",
		`{{.Coverage | nothing}}`: "not defined",
	} {
		if _, err := report.New("template", nil, report.Options{Template: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", text, err, want)
		}
	}
	// What a finding does not have is an error when the report is written.
	w, err := report.New("template", &bytes.Buffer{}, report.Options{Template: "{{.Nothing}}"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(scanner.Coverage{}, report.Totals{}); err == nil {
		t.Error("a template that asks for what is not there is no error")
	}
}

// Findings of the same secret have the same number, others another; in no report
// does the number depend on the secret.
func TestSecretGroups(t *testing.T) {
	f := findings()[0]
	var b bytes.Buffer
	w, err := report.New("jsonl", &b, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range []string{"first-secret", "second-secret", "first-secret"} {
		f.Secret, f.Origin = secret.NewString(s), sources.Origin{Source: "file", Path: string(rune('a' + i))}
		if err := w.Finding(f); err != nil {
			t.Fatal(err)
		}
	}
	var got []int
	for d := json.NewDecoder(&b); d.More(); {
		var r report.Record
		if err := d.Decode(&r); err != nil {
			t.Fatal(err)
		}
		got = append(got, r.SecretGroup)
	}
	if len(got) != 3 || got[0] != 1 || got[1] != 2 || got[2] != 1 {
		t.Errorf("groups %v", got)
	}
}

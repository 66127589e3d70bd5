package report_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const plaintext = "abcd" + "0123456789QRSTUVWXYZ" + "wxyz"

// findings are one of each kind that looks different.
func findings() []scanner.Finding {
	rule := &rules.Rule{ID: "acme-api-key", Description: "Acme API key", Provider: "acme", Confidence: rules.High, Reference: "https://acme.example/keys"}
	generic := &rules.Rule{ID: "generic-assignment", Description: "Secret assigned to a name", Provider: "generic", Confidence: rules.Medium}
	head := false
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one := scanner.Finding{ID: "0011223344556677", Blobs: 3, Hit: scanner.Hit{
		Match: scanner.Match{Rule: rule, Start: 10, End: 38, Line: 2, Column: 11, EndLine: 2, EndColumn: 38, Column16: 9, EndColumn16: 36,
			Secret: secret.NewString(plaintext), Entropy: 4.7002, Confidence: rules.High, Masked: "key=**** \x1b[31mred\x1b[0m \u202eevil", Why: []string{"checksum is right"}},
		Origin: sources.Origin{Source: "git", Path: "conf/app one.env", Commit: "0123456789abcdef0123456789abcdef01234567", Author: "Ann \x1b]0;x\x07Author", Email: "ann@example.com", Date: at, InHead: &head, Blob: "ab"},
	}}
	two := one
	two.ID, two.Rule, two.Confidence, two.Line, two.Column, two.Blobs, two.Column16 = "8899aabbccddeeff", generic, rules.Medium, 7, 1, 0, 0
	two.Secret, two.Masked, two.DecodedVia = secret.NewString("hunter2!"), "password: **** "+strings.Repeat("long ", 40), []string{"base64"}
	two.Origin = sources.Origin{Source: "stdin"}
	two.Token, two.IncidentID, two.Contained = &scanner.KnownToken{ID: "tok1", State: "live"}, "inc1", "revoked within 3 ms"
	return []scanner.Finding{one, two}
}

// tmpl is a template that shows all that others do.
const tmpl = `{{range .Findings}}{{with .Target}}{{.}}/{{end}}{{.Path}}:{{.StartLine}} {{.RuleID | upper}} {{.Secret}}
{{end}}{{if not .Coverage.Complete}}not complete{{end}}
`

func write(t *testing.T, format string, o report.Options, c scanner.Coverage) []byte {
	t.Helper()
	var b bytes.Buffer
	o.Template = tmpl
	w, err := report.New(format, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	tot := report.Totals{ByConfidence: map[rules.Confidence]int{}, Incidents: 1, Revoked: 1}
	for _, f := range findings() {
		if err := w.Finding(f); err != nil {
			t.Fatal(err)
		}
		tot.Findings++
		tot.ByConfidence[f.Confidence]++
	}
	if err := w.Close(c, tot); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func coverage() scanner.Coverage {
	return scanner.Coverage{Items: 5, Blobs: 3, Files: 2, Bytes: 123_456_789, Elapsed: 1500 * time.Millisecond,
		Counts: sources.Counts{Commits: 4, Refs: 1, Repositories: 1}, Skipped: map[sources.Reason]int64{sources.SkipBinary: 2, sources.SkipMissing: 1},
		Unread: []scanner.Unread{{What: "gone.txt", Reason: sources.SkipMissing, Err: "object not found"}}}
}

// The golden files are the formats' manual; -update rewrites them.
func TestGolden(t *testing.T) {
	for _, format := range report.Formats() {
		if format == "html" {
			continue // most of it is style and script; TestPageData has its data
		}
		got := write(t, format, report.Options{Version: "1.2.3"}, coverage())
		file := filepath.Join("testdata", "report."+format)
		if *update {
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s differs from %s:\n%s", format, file, got)
		}
	}
}

// No format shows a secret unless asked, and then all do.
func TestRedaction(t *testing.T) {
	for _, format := range report.Formats() {
		if out := write(t, format, report.Options{Color: true}, coverage()); bytes.Contains(out, []byte(plaintext)) || bytes.Contains(out, []byte("hunter2!")) {
			t.Errorf("%s shows a secret", format)
		}
		if out := write(t, format, report.Options{ShowSecrets: true}, coverage()); !bytes.Contains(out, []byte(plaintext)) {
			t.Errorf("%s hides a secret it was asked to show", format)
		}
	}
}

// What a terminal would obey is written out.
func TestTerminalInjection(t *testing.T) {
	out := string(write(t, "human", report.Options{}, coverage()))
	if strings.ContainsAny(out, "\x1b\x07\u202e") {
		t.Errorf("control characters reach the terminal: %q", out)
	}
	for _, l := range strings.Split(out, "\n") {
		if n := len([]rune(l)); n > 80 {
			t.Errorf("%d columns: %s", n, l)
		}
	}
}

func TestMachineFormatsParse(t *testing.T) {
	var doc struct {
		Findings []report.Record
		Coverage report.CoverageRecord
	}
	if err := json.Unmarshal(write(t, "json", report.Options{}, coverage()), &doc); err != nil || len(doc.Findings) != 2 || doc.Coverage.Complete || doc.Coverage.Findings != 2 {
		t.Errorf("json: %v, %+v", err, doc)
	}
	lines := bytes.Split(bytes.TrimSpace(write(t, "jsonl", report.Options{}, coverage())), []byte("\n"))
	if len(lines) != 3 || !bytes.HasPrefix(lines[2], []byte(`{"coverage":`)) {
		t.Errorf("jsonl: %d lines, last %s", len(lines), lines[len(lines)-1])
	}
	// Without a finding the documents are whole, too.
	for _, format := range []string{"json", "sarif"} {
		var b bytes.Buffer
		w, err := report.New(format, &b, report.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(scanner.Coverage{}, report.Totals{}); err != nil || !json.Valid(b.Bytes()) {
			t.Errorf("%s without findings: %v %s", format, err, b.String())
		}
	}
}

func TestSARIFValidates(t *testing.T) {
	for _, o := range []report.Options{{}, {Version: "v0.1.0", ShowSecrets: true}} {
		rep, err := sarif.FromBytes(write(t, "sarif", o, coverage()))
		if err != nil {
			t.Fatal(err)
		}
		if err := rep.Validate(); err != nil {
			t.Error(err)
		}
		r := rep.Runs[0].Results[0]
		if r.PartialFingerprints["quenchFindingId/v1"] != "0011223344556677" || *r.Locations[0].PhysicalLocation.ArtifactLocation.URI != "conf/app%20one.env" || *r.Locations[0].PhysicalLocation.Region.StartColumn != 9 {
			t.Errorf("result: %+v", r)
		}
	}
}

// The paths of a SARIF report are relative references, whatever is in a name.
func TestSARIFPaths(t *testing.T) {
	for _, c := range []struct {
		targets          []string
		root, path, want string
	}{
		{nil, "r", "c:d.txt", "./c:d.txt"}, // else c is read as a scheme
		{nil, "r", "a b/100%.env", "a%20b/100%25.env"},
		{nil, "r", "a?b#c", "a%3Fb%23c"},
		{nil, "r", "\xff", "%FF"},
		{nil, "r", "é", "%C3%A9"},
		{[]string{"one", "two"}, "two", "x.env", "two/x.env"},
		{[]string{"one", "x.env"}, "x.env", "x.env", "x.env"}, // a file is its own target
		{[]string{"./one", "two"}, "./one", "x.env", "one/x.env"},
	} {
		f := findings()[0]
		f.Origin.Source, f.Origin.Root, f.Origin.Path = "file", c.root, c.path
		rep, err := sarif.FromBytes(one(t, "sarif", f, report.Options{Targets: c.targets}))
		if err != nil {
			t.Fatal(err)
		}
		got := *rep.Runs[0].Results[0].Locations[0].PhysicalLocation.ArtifactLocation.URI
		if u, err := url.Parse(got); got != c.want || err != nil || u.Scheme != "" {
			t.Errorf("%q in %q: %q, want %q (%v)", c.path, c.root, got, c.want, err)
		}
	}
}

// one writes a report of one finding.
func one(t *testing.T, format string, f scanner.Finding, o report.Options) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := report.New(format, &b, o)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Finding(f), w.Close(scanner.Coverage{Items: 1}, report.Totals{Findings: 1})); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Two folders scanned at once may hold files of the same path; no format lets
// their findings run together.
func TestTargetsAreToldApart(t *testing.T) {
	o := report.Options{Targets: []string{"one", "two"}, Template: tmpl}
	for _, format := range report.Formats() {
		var b bytes.Buffer
		w, err := report.New(format, &b, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, root := range o.Targets {
			f := findings()[0]
			f.Origin = sources.Origin{Source: "file", Root: root, Path: "x.env"}
			if err := w.Finding(f); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(scanner.Coverage{Items: 2}, report.Totals{Findings: 2}); err != nil {
			t.Fatal(err)
		}
		for _, root := range o.Targets {
			want := root + "/x.env"
			switch format {
			case "json", "jsonl", "html":
				want = `"target":"` + root + `","path":"x.env"`
			case "csv":
				want = "," + root + ",x.env,"
			case "junit":
				want = `file="` + root + `/x.env"`
			}
			if n := strings.Count(b.String(), want); n != 1 {
				t.Errorf("%s tells of %s %d times:\n%s", format, want, n, b.String())
			}
		}
	}
}

// The place of a secret far to the right is on the screen, and what stands
// after a long author is not pushed off it.
func TestNothingIsCutOff(t *testing.T) {
	for pad := range 120 {
		f := findings()[0]
		f.Masked = strings.Repeat("w", pad) + "****" + strings.Repeat(" w", 40)
		f.Origin.Author = strings.Repeat("Ann ", 100)
		out := string(one(t, "human", f, report.Options{}))
		if block, _, _ := strings.Cut(out, "\n\n"); !strings.Contains(strings.SplitN(block, "\n", 3)[2], "****") || !strings.Contains(strings.Join(strings.Fields(block), " "), "no longer in HEAD, 3 versions") {
			t.Fatalf("%d columns in:\n%s", pad, out)
		}
		for _, l := range strings.Split(out, "\n") {
			if n := len([]rune(l)); n > 80 {
				t.Fatalf("%d columns: %s", n, l)
			}
		}
	}
}

// A SARIF run that was not successful always says why.
func TestSARIFSaysWhyIncomplete(t *testing.T) {
	for _, c := range []struct {
		cov  scanner.Coverage
		want []string
	}{
		{scanner.Coverage{Items: 1}, nil},
		{scanner.Coverage{}, []string{"nothing was read"}},
		{scanner.Coverage{Items: 1, Interrupted: true}, []string{"the scan was interrupted"}},
		{scanner.Coverage{Items: 1, Skipped: map[sources.Reason]int64{sources.SkipCorrupt: 2}}, []string{"2 more things could not be read"}},
		{scanner.Coverage{Items: 1, Skipped: map[sources.Reason]int64{sources.SkipCorrupt: 2}, Unread: []scanner.Unread{{What: "p", Reason: sources.SkipCorrupt}}},
			[]string{"not read (corrupt): p", "1 more thing could not be read"}},
	} {
		var b bytes.Buffer
		w, err := report.New("sarif", &b, report.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Close(c.cov, report.Totals{}); err != nil {
			t.Fatal(err)
		}
		rep, err := sarif.FromBytes(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		inv := rep.Runs[0].Invocations[0]
		for _, n := range inv.ToolExecutionNotifications {
			got = append(got, *n.Message.Text)
		}
		if !slices.Equal(got, c.want) || *inv.ExecutionSuccessful != (c.want == nil) {
			t.Errorf("%+v: successful %v, says %q, want %q", c.cov, *inv.ExecutionSuccessful, got, c.want)
		}
	}
}

// docs/output.md has a row for every field of the machine formats.
func TestFieldsAreDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../docs/output.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[report.Record](), reflect.TypeFor[report.CoverageRecord](), reflect.TypeFor[report.UnreadRecord]()} {
		for i := range typ.NumField() {
			name, _, _ := strings.Cut(typ.Field(i).Tag.Get("json"), ",")
			if !bytes.Contains(doc, []byte("`"+name+"`")) {
				t.Errorf("%s.%s: docs/output.md has no `%s`", typ.Name(), typ.Field(i).Name, name)
			}
		}
	}
}

// A scan that read nothing, or not all, never looks clean.
func TestIncompleteIsTold(t *testing.T) {
	for _, c := range []struct {
		cov  scanner.Coverage
		want string
	}{
		{scanner.Coverage{}, "nothing was read"},
		{scanner.Coverage{Items: 1, Interrupted: true}, "interrupted"},
		{scanner.Coverage{Items: 1, Skipped: map[sources.Reason]int64{sources.SkipCorrupt: 2}}, "2 things could not be read"},
		{scanner.Coverage{Items: 1, Skipped: map[sources.Reason]int64{sources.SkipBinary: 2}}, "no findings, complete"},
	} {
		var b bytes.Buffer
		w, _ := report.New("human", &b, report.Options{})
		if err := w.Close(c.cov, report.Totals{}); err != nil || !strings.Contains(b.String(), c.want) {
			t.Errorf("%+v: %v %s", c.cov, err, b.String())
		}
	}
}

func TestUnknownFormat(t *testing.T) {
	if _, err := report.New("xml", nil, report.Options{}); err == nil || !strings.Contains(err.Error(), "csv, github, html, human, json, jsonl, junit, sarif, template") {
		t.Errorf("error %v", err)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestWriteErrorsAreReturned(t *testing.T) {
	for _, format := range report.Formats() {
		w, _ := report.New(format, broken{}, report.Options{Template: tmpl})
		if err := errors.Join(w.Finding(findings()[0]), w.Close(coverage(), report.Totals{})); err == nil {
			t.Errorf("%s hides a write error", format)
		}
	}
}

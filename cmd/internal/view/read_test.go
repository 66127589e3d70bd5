package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// plain is long enough to show its ends when redacted, and made at run time.
var plain = "abcd" + strings.Repeat("0Z", 12) + "wxyz"

// written is a report of ours: the same secret in two files, and another.
func written(t testing.TB, format string, show bool) string {
	t.Helper()
	var b bytes.Buffer
	w, err := report.New(format, &b, report.Options{ShowSecrets: show, Version: "1"})
	if err != nil {
		t.Fatal(err)
	}
	rule := &rules.Rule{ID: "acme-key", Description: "Acme key", Confidence: rules.High}
	for i, s := range []string{plain, plain, "another-secret"} {
		f := scanner.Finding{ID: fmt.Sprintf("%016d", i), Hit: scanner.Hit{
			Match: scanner.Match{Rule: rule, Line: 3, EndLine: 3, Column: 5, EndColumn: 9, Column16: 5, EndColumn16: 9, Secret: secret.NewString(s), Confidence: rules.High},
			Origin: sources.Origin{Source: "git", Path: fmt.Sprintf("a b/%d.env", i), Commit: strings.Repeat("ab", 20), Author: "Ann", Email: "ann@example.com",
				Date: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)},
		}}
		if err := w.Finding(f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(scanner.Coverage{Items: 1, Files: 3}, report.Totals{Findings: 3}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gitleaksReport() string {
	return fmt.Sprintf(`[{"RuleID":"acme-key","Description":"Acme key","StartLine":3,"EndLine":3,"StartColumn":5,"EndColumn":9,"Match":"key=%[1]s","Secret":%[1]q,"File":"a b/0.env",
 "Commit":"%[2]s","Entropy":4.123,"Author":"Ann","Email":"ann@example.com","Date":"2026-01-02T03:04:05Z","Message":"m","Tags":[],"Fingerprint":"fp"},
 {"RuleID":"other","Secret":"REDACTED","File":"x","StartLine":1},{"RuleID":"other","Secret":"REDACTED","File":"y","StartLine":1}]`, plain, strings.Repeat("ab", 20))
}

func trufflehogReport() string {
	return fmt.Sprintf(`{"level":"info-0","msg":"running source"}
{"SourceMetadata":{"Data":{"Git":{"commit":"%[2]s","file":"a b/0.env","email":"Ann <ann@example.com>","repository":"https://example.com/r","timestamp":"2026-01-02 03:04:05 +0000","line":3}}},"DetectorName":"Acme","DecoderName":"BASE64","Verified":true,"Raw":%[1]q,"Redacted":""}
{"SourceMetadata":{"Data":{"Filesystem":{"file":"x.env","line":7}}},"DetectorName":"Acme","DecoderName":"PLAIN","Verified":false,"Raw":%[1]q}`, plain, strings.Repeat("ab", 20))
}

func read(t *testing.T, show bool, texts ...string) *Report {
	t.Helper()
	v := New(show)
	for i, s := range texts {
		if err := v.Read(fmt.Sprint("report", i), strings.NewReader(s)); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// Whatever wrote a report, the place, the commit and the author of a finding arrive,
// and its secret does not.
func TestReadsAllFormats(t *testing.T) {
	for name, text := range map[string]string{
		"json": written(t, "json", false), "jsonl": written(t, "jsonl", false), "sarif": written(t, "sarif", false),
		"plain json": written(t, "json", true), "plain jsonl": written(t, "jsonl", true), "plain sarif": written(t, "sarif", true),
		"gitleaks": gitleaksReport(), "BOM": "\xef\xbb\xbf" + gitleaksReport(),
	} {
		v := read(t, false, text)
		if len(v.Findings) != 3 {
			t.Errorf("%s: %d findings, want 3", name, len(v.Findings))
			continue
		}
		f := v.Findings[0]
		if f.Path != "a b/0.env" || f.StartLine != 3 || f.StartColumn != 5 || f.EndColumn != 9 || f.Commit != strings.Repeat("ab", 20) || f.Author != "Ann" || f.Email != "ann@example.com" || f.RuleID != "acme-key" || f.Description != "Acme key" || f.FindingID == "" || f.Source != "git" {
			t.Errorf("%s: %+v", name, f)
		}
		if all, _ := json.Marshal(v.Findings); bytes.Contains(all, []byte(plain)) || bytes.Contains(all, []byte("another-secret")) {
			t.Errorf("%s: the secret arrives", name)
		}
	}
	for _, text := range []string{gitleaksReport(), trufflehogReport(), written(t, "json", true)} {
		if v := read(t, true, text); v.Findings[0].Secret != plain {
			t.Errorf("asked to show secrets, it shows %q", v.Findings[0].Secret)
		}
	}
}

func TestTruffleHog(t *testing.T) {
	v := read(t, false, trufflehogReport())
	f, g := v.Findings[0], v.Findings[1]
	if len(v.Findings) != 2 || f.Confidence != "high" || g.Confidence != "medium" || f.Author != "Ann" || f.Email != "ann@example.com" || f.Target != "https://example.com/r" || f.Date == nil || !f.Date.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) ||
		len(f.DecodedVia) != 1 || g.DecodedVia != nil || g.Source != "filesystem" || g.Path != "x.env" || g.StartLine != 7 {
		t.Errorf("%+v\n%+v", f, g)
	}
	if f.SecretGroup == 0 || f.SecretGroup != g.SecretGroup {
		t.Errorf("groups %d and %d of one secret", f.SecretGroup, g.SecretGroup)
	}
}

// The same secret of two scanners is one group; what was redacted by others is none;
// numbers of two reports of ours stay apart.
func TestGroupsOverReports(t *testing.T) {
	v := read(t, false, gitleaksReport(), trufflehogReport())
	if a, b := v.Findings[0].SecretGroup, v.Findings[3].SecretGroup; a == 0 || a != b {
		t.Errorf("gitleaks' and TruffleHog's finding of one secret are in groups %d and %d", a, b)
	}
	if v.Findings[1].SecretGroup != 0 {
		t.Error("redacted secrets are a group")
	}
	v = read(t, false, written(t, "json", false), written(t, "jsonl", false))
	if g := v.Findings; g[0].SecretGroup != g[1].SecretGroup || g[0].SecretGroup == g[2].SecretGroup || g[0].SecretGroup == g[3].SecretGroup {
		t.Errorf("groups %d %d %d, and of the second report %d", g[0].SecretGroup, g[1].SecretGroup, g[2].SecretGroup, g[3].SecretGroup)
	}
}

func TestCoverage(t *testing.T) {
	if v := read(t, false, written(t, "jsonl", false)); v.Coverage == nil || !v.Coverage.Complete || v.Coverage.Files != 3 {
		t.Errorf("coverage %+v", v.Coverage)
	}
	if v := read(t, false, written(t, "json", false), gitleaksReport()); v.Coverage != nil {
		t.Error("the coverage of one report stands for two")
	}
	if v := read(t, false, "[]"); len(v.Findings) != 0 {
		t.Errorf("an empty report of gitleaks: %+v", v.Findings)
	}
}

func TestReadErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "no report that can be read",
		"hello":                        "no report that can be read",
		"{}":                           "no report that can be read",
		"[1]":                          "no report that can be read",
		`[{"a":1}]`:                    "record 1 has no RuleID",
		`{"schema_version":2}`:         "schema version 2",
		`{"runs":[{}]}`:                "names no tool",
		`{"runs":1}`:                   "SARIF",
		`{"DetectorName":"x"}` + "\n{": "record 2",
		written(t, "jsonl", false) + `{"schema_version":`: "record 5",
	} {
		v := New(false)
		if err := v.Read("r.json", strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), `"r.json"`) {
			t.Errorf("%.40q: error %v, want %q in it", text, err, want)
		}
		if len(v.Findings) > 0 {
			t.Errorf("%.40q: half of it was taken", text)
		}
	}
	if err := New(false).Read("big", zeros{}); err == nil || !strings.Contains(err.Error(), "larger than 256 MB") {
		t.Errorf("endless report: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

func TestPage(t *testing.T) {
	dir := t.TempDir()
	in, out := filepath.Join(dir, "r.json"), filepath.Join(dir, "r.html")
	if err := os.WriteFile(in, []byte(gitleaksReport()), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout bytes.Buffer
	p := Page{Files: []string{in, "-"}, Stdin: strings.NewReader(written(t, "sarif", false)), Output: out, Stdout: &stdout, Stderr: io.Discard}
	if err := p.Write(); err != nil || stdout.String() != out+"\n" {
		t.Fatalf("%v, %q", err, &stdout)
	}
	b, err := os.ReadFile(out)
	if err != nil || !bytes.Contains(b, []byte("6 findings")) || bytes.Contains(b, []byte(plain)) {
		t.Errorf("%v; page of %d bytes", err, len(b))
	}
	before := b
	p.Files = []string{filepath.Join(dir, "gone")}
	if err := p.Write(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if b, _ := os.ReadFile(out); !bytes.Equal(b, before) {
		t.Error("the page of before is gone")
	}
}

func FuzzRead(f *testing.F) {
	for _, s := range []string{written(f, "json", true), written(f, "jsonl", false), written(f, "sarif", true), gitleaksReport(), trufflehogReport()} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v := New(false)
		if err := v.Read("r", bytes.NewReader(b)); err != nil && len(v.Findings) > 0 {
			t.Error("half of a report was taken")
		}
		if err := report.WriteHTML(io.Discard, "r", v.Findings, v.Coverage, ""); err != nil {
			t.Error(err)
		}
	})
}

// Package view reads reports, of Quench and of other scanners, for one page of HTML.
//
// Read tells by its content what a report is: Quench's json and jsonl, gitleaks'
// json, TruffleHog's json lines, SARIF 2.1.0. What others write in plaintext is
// redacted on the way in. It knows nothing of scanning. Start reading at Read.
package view

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
)

// maxReport bounds a report in bytes. A finding takes about a kilobyte: this is a
// quarter of a million of them, more than a browser shows with pleasure.
const maxReport = 256 << 20

// Report is what was read of one or more reports.
type Report struct {
	Findings []report.Record
	// Coverage is that of the only report; nil where it says nothing about it, or
	// where they are several.
	Coverage *report.CoverageRecord

	files  int
	groups map[any]int
	show   bool
}

// New makes an empty Report. show keeps secrets in plaintext.
func New(show bool) *Report { return &Report{groups: map[any]int{}, show: show} }

// errUnknown says what can be read.
var errUnknown = errors.New("this is no report that can be read; want Quench's json or jsonl, gitleaks' json, TruffleHog's json, or SARIF")

// Read adds the report r, which name names in errors. It adds all of it or, with an
// error, nothing.
func (v *Report) Read(name string, r io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(r, maxReport+1))
	switch {
	case err != nil:
		return fmt.Errorf("reading %q: %w", name, err)
	case len(b) > maxReport:
		return fmt.Errorf("reading %q: it is larger than %d MB", name, maxReport>>20)
	}
	recs, cov, err := v.decode(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))
	if err != nil {
		return fmt.Errorf("reading %q: %w", name, err)
	}
	v.Findings = append(v.Findings, recs...)
	v.Coverage = cov
	if v.files++; v.files > 1 {
		v.Coverage = nil
	}
	return nil
}

// decode tells a report by its first record. Lines before it that are none, such as
// a log that was written to the same file, are passed over.
func (v *Report) decode(b []byte) ([]report.Record, *report.CoverageRecord, error) {
	for d := json.NewDecoder(bytes.NewReader(b)); ; {
		var first json.RawMessage
		if err := d.Decode(&first); errors.Is(err, io.EOF) {
			return nil, nil, errUnknown
		} else if err != nil {
			return nil, nil, errors.Join(errUnknown, err)
		}
		if first[0] == '[' {
			recs, err := v.gitleaks(first)
			return recs, nil, err
		}
		var probe struct {
			SchemaVersion            int `json:"schema_version"`
			Findings, Coverage, Runs json.RawMessage
			DetectorName             *string
		}
		if err := json.Unmarshal(first, &probe); err != nil {
			return nil, nil, errors.Join(errUnknown, err)
		}
		switch {
		case probe.Findings != nil && probe.SchemaVersion != 0:
			return v.quench(first)
		case probe.SchemaVersion != 0 || probe.Coverage != nil:
			return v.lines(b)
		case probe.DetectorName != nil:
			recs, err := v.trufflehog(b)
			return recs, nil, err
		case probe.Runs != nil:
			recs, err := v.sarif(first)
			return recs, nil, err
		}
	}
}

// each decodes one value after the other.
func each[T any](b []byte, do func(T) error) error {
	d := json.NewDecoder(bytes.NewReader(b))
	for n := 1; ; n++ {
		var x T
		err := d.Decode(&x)
		if err == nil {
			err = do(x)
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("record %d: %w", n, err)
		}
	}
}

func (v *Report) quench(b []byte) ([]report.Record, *report.CoverageRecord, error) {
	var doc struct {
		Findings []report.Record
		Coverage *report.CoverageRecord
	}
	if err := json.Unmarshal(b, &doc); err != nil {
		return nil, nil, err
	}
	for i := range doc.Findings {
		if err := v.own(&doc.Findings[i]); err != nil {
			return nil, nil, err
		}
	}
	return doc.Findings, doc.Coverage, nil
}

func (v *Report) lines(b []byte) (recs []report.Record, cov *report.CoverageRecord, err error) {
	type line struct {
		report.Record
		Coverage *report.CoverageRecord `json:"coverage"`
	}
	err = each(b, func(l line) error {
		if l.Coverage != nil {
			cov = l.Coverage
			return nil
		}
		recs = append(recs, l.Record)
		return v.own(&recs[len(recs)-1])
	})
	return recs, cov, err
}

// own takes over a record of Quench's.
func (v *Report) own(r *report.Record) error {
	if r.SchemaVersion != report.SchemaVersion {
		return fmt.Errorf("schema version %d is not known here; this program writes %d", r.SchemaVersion, report.SchemaVersion)
	}
	type key struct{ file, group int }
	if r.SecretGroup != 0 {
		r.SecretGroup = v.group(key{v.files, r.SecretGroup})
	}
	if !strings.Contains(r.Secret, "****") {
		r.Secret = v.shown(r.Secret) // written with --show-secrets
	}
	return nil
}

// group numbers what findings are grouped by.
func (v *Report) group(key any) int {
	if v.groups[key] == 0 {
		v.groups[key] = len(v.groups) + 1
	}
	return v.groups[key]
}

func (v *Report) shown(plain string) string {
	if v.show {
		return plain
	}
	return secret.NewString(plain).Redacted()
}

// foreign completes a record of another scanner. Who redacted its secrets wrote the
// same for all: they are not one secret then.
func (v *Report) foreign(r report.Record, tool, plain string) report.Record {
	r.SchemaVersion, r.Labels = report.SchemaVersion, append(r.Labels, tool)
	if plain != "" && !slices.Contains([]string{"REDACTED", "***", "********"}, strings.TrimSpace(plain)) {
		r.SecretGroup = v.group(plain)
	}
	r.Secret = v.shown(plain)
	r.Entropy = math.Round(r.Entropy*100) / 100
	if r.Source == "" {
		r.Source = "file"
		if r.Commit != "" {
			r.Source = "git"
		}
	}
	return r
}

func (v *Report) gitleaks(b []byte) (recs []report.Record, err error) {
	var list []struct {
		RuleID, Description, File, Commit, Author, Email, Date, Secret, Fingerprint string
		StartLine, EndLine, StartColumn, EndColumn                                  int
		Entropy                                                                     float64
	}
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, errors.Join(errUnknown, err)
	}
	for i, g := range list {
		if g.RuleID == "" {
			return nil, fmt.Errorf("record %d has no RuleID: %w", i+1, errUnknown)
		}
		recs = append(recs, v.foreign(report.Record{
			RuleID: g.RuleID, Description: g.Description, Confidence: "medium", Path: filepath.ToSlash(g.File),
			StartLine: g.StartLine, EndLine: g.EndLine, StartColumn: g.StartColumn, EndColumn: g.EndColumn,
			Commit: g.Commit, Author: g.Author, Email: g.Email, Date: date(g.Date), Entropy: g.Entropy, FindingID: g.Fingerprint,
		}, "gitleaks", g.Secret))
	}
	return recs, nil
}

// date reads a time of another scanner; nil where it is none.
func date(s string) *time.Time {
	for _, layout := range []string{time.RFC3339, "2006-01-02 15:04:05 -0700"} {
		if t, err := time.Parse(layout, s); err == nil {
			return &t
		}
	}
	return nil
}

func (v *Report) trufflehog(b []byte) (recs []report.Record, err error) {
	type place struct {
		File, Commit, Email, Timestamp, Repository, Link string
		Line                                             int
	}
	type line struct {
		DetectorName, DetectorDescription, Raw, RawV2, DecoderName string
		Verified                                                   bool
		SourceMetadata                                             struct{ Data map[string]place }
	}
	err = each(b, func(l line) error {
		if l.DetectorName == "" {
			return nil // its log lines stand in the same stream
		}
		r := report.Record{RuleID: l.DetectorName, Description: l.DetectorDescription, Confidence: "medium"}
		if l.Verified {
			r.Confidence, r.Why = "high", []string{"verified by TruffleHog"}
		}
		if l.DecoderName != "" && l.DecoderName != "PLAIN" {
			r.DecodedVia = []string{strings.ToLower(l.DecoderName)}
		}
		for kind, p := range l.SourceMetadata.Data {
			r.Source, r.Path, r.Commit, r.StartLine, r.EndLine, r.Target = strings.ToLower(kind), filepath.ToSlash(p.File), p.Commit, p.Line, p.Line, p.Repository
			r.Author, r.Date = p.Email, date(p.Timestamp) // "Name <address>"
			if name, addr, ok := strings.Cut(strings.TrimSuffix(p.Email, ">"), " <"); ok {
				r.Author, r.Email = name, addr
			}
		}
		plain := l.Raw
		if plain == "" {
			plain = l.RawV2
		}
		recs = append(recs, v.foreign(r, "trufflehog", plain))
		return nil
	})
	return recs, err
}

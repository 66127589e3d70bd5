package view

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"path"
	"strings"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/quench-dev/quench/scanner/report"
)

// sarif reads SARIF 2.1.0. Its messages and snippets are left out: some tools write
// the secret in them.
func (v *Report) sarif(b []byte) (recs []report.Record, err error) {
	rep, err := sarif.FromBytes(b)
	if err != nil {
		return nil, fmt.Errorf("as SARIF: %w", err)
	}
	for _, run := range rep.Runs {
		if run == nil || run.Tool == nil || run.Tool.Driver == nil {
			return nil, fmt.Errorf("as SARIF: a run names no tool: %w", errUnknown)
		}
		tool := deref(run.Tool.Driver.Name)
		about := map[string]*sarif.ReportingDescriptor{}
		for _, r := range run.Tool.Driver.Rules {
			if r != nil {
				about[deref(r.ID)] = r
			}
		}
		for _, res := range run.Results {
			if res == nil {
				continue
			}
			r := sarifRecord(res, about)
			group := r.SecretGroup
			r = v.foreign(r, strings.ToLower(cmp.Or(tool, "sarif")), "")
			r.SecretGroup = group
			recs = append(recs, r)
		}
	}
	return recs, nil
}

func sarifRecord(res *sarif.Result, about map[string]*sarif.ReportingDescriptor) report.Record {
	r := report.Record{RuleID: deref(res.RuleID), Confidence: confidence(res.Level)}
	if r.RuleID == "" && res.Rule != nil {
		r.RuleID = deref(res.Rule.ID)
	}
	if d := about[r.RuleID]; d != nil {
		if d.ShortDescription != nil {
			r.Description = deref(d.ShortDescription.Text)
		}
		if res.Level == "" && d.DefaultConfiguration != nil {
			r.Confidence = confidence(d.DefaultConfiguration.Level)
		}
	}
	for _, name := range []string{fingerprint, "commitSha"} {
		switch fp := res.PartialFingerprints[name]; {
		case fp == "":
		case name == fingerprint:
			r.FindingID = fp
		case len(fp) >= 40 && r.Commit == "":
			r.Commit = fp
		}
	}
	r.Author, r.Email, r.Date = res.PartialFingerprints["author"], res.PartialFingerprints["email"], date(res.PartialFingerprints["date"])
	if res.Properties != nil {
		var own struct{ Commit, Author, Email, Source, Confidence string }
		if b, err := json.Marshal(res.Properties.Properties); err == nil && json.Unmarshal(b, &own) == nil {
			r.Commit, r.Author, r.Email = cmp.Or(r.Commit, own.Commit), cmp.Or(r.Author, own.Author), cmp.Or(r.Email, own.Email)
			r.Source, r.Confidence = own.Source, cmp.Or(own.Confidence, r.Confidence)
		}
	}
	if len(res.Locations) > 0 && res.Locations[0] != nil && res.Locations[0].PhysicalLocation != nil {
		p := res.Locations[0].PhysicalLocation
		if p.ArtifactLocation != nil {
			r.Path = sarifPath(deref(p.ArtifactLocation.URI))
		}
		if g := p.Region; g != nil {
			r.StartLine, r.StartColumn = deref(g.StartLine), deref(g.StartColumn)
			r.EndLine, r.EndColumn = cmp.Or(deref(g.EndLine), r.StartLine), max(0, deref(g.EndColumn)-1)
		}
	}
	return r
}

// fingerprint is the name under which our own SARIF holds the finding id.
const fingerprint = "quenchFindingId/v1"

func sarifPath(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Path == "" {
		return uri
	}
	return path.Clean(u.Path)
}

func confidence(level string) string {
	switch level {
	case "error":
		return "high"
	case "note", "none":
		return "low"
	}
	return "medium"
}

func deref[T any](p *T) (zero T) {
	if p == nil {
		return zero
	}
	return *p
}

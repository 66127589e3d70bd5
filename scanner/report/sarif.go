package report

import (
	"cmp"
	"fmt"
	"io"
	"net/url"
	"path"
	"path/filepath"

	"github.com/owenrumney/go-sarif/v3/pkg/report/v210/sarif"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// fingerprintKey names our fingerprint; its version changes with FindingID.
const fingerprintKey = "quenchFindingId/v1"

// sarifReport is SARIF 2.1.0 (OASIS). It is one document with the rules before
// the results, so that it is written at the end.
type sarifReport struct {
	w     io.Writer
	o     Options
	run   *sarif.Run
	index map[string]int // rule id → place in the driver's rules
}

func newSARIF(w io.Writer, o Options) Writer {
	run := sarif.NewRunWithInformationURI("quench", "https://github.com/quench-dev/quench")
	run.Tool.Driver.Version = &o.Version
	kind := "utf16CodeUnits"
	run.ColumnKind = &kind
	return &sarifReport{w: w, o: o, run: run, index: map[string]int{}}
}

func (s *sarifReport) Finding(f scanner.Finding) error {
	msg := f.Rule.Description + " found (" + shown(f.Secret, s.o) + ")"
	if f.Token != nil {
		msg += "; issued token " + f.Token.ID
	}
	if f.Contained != "" {
		msg += "; " + f.Contained
	}
	r := sarif.NewResult().
		WithRuleID(f.Rule.ID).WithRuleIndex(s.rule(f.Rule)).WithLevel(level(f.Confidence)).
		WithMessage(sarif.NewTextMessage(msg)).
		WithLocations([]*sarif.Location{location(f, s.o)}).
		WithPartialFingerprints(map[string]string{fingerprintKey: f.ID})
	if f.Ignored != "" {
		kind := "external"
		if f.Marked {
			kind = "inSource"
		}
		r.AddSuppression(sarif.NewSuppression().WithKind(kind).WithJustification(f.Ignored))
	}
	p := sarif.NewPropertyBag()
	rec := record(f, s.o)
	p.Add("confidence", rec.Confidence)
	p.Add("source", rec.Source)
	for key, v := range map[string]string{"commit": rec.Commit, "author": rec.Author, "email": rec.Email, "token_id": rec.TokenID, "incident_id": rec.IncidentID} {
		if v != "" {
			p.Add(key, v)
		}
	}
	for key, v := range map[string][]string{"why": rec.Why, "labels": rec.Labels, "decoded_via": rec.DecodedVia} {
		if len(v) > 0 {
			p.Add(key, v)
		}
	}
	if rec.Date != nil {
		p.Add("date", rec.Date)
	}
	if rec.InHead != nil {
		p.Add("in_head", *rec.InHead)
	}
	s.run.AddResult(r.WithProperties(p))
	return nil
}

// location places a finding. Columns are UTF-16 code units; where the start of
// the line was not at hand to count them, only the line is told.
func location(f scanner.Finding, o Options) *sarif.Location {
	region := sarif.NewRegion().WithStartLine(f.Line).WithEndLine(f.EndLine)
	if f.Column16 > 0 && f.EndColumn16 > 0 {
		region.WithStartColumn(f.Column16).WithEndColumn(f.EndColumn16 + 1) // SARIF's end is exclusive
	}
	name := cmp.Or(f.Origin.Path, f.Origin.Source)
	if t := target(f, o); t != "" {
		name = path.Join(filepath.ToSlash(t), name)
	}
	// String, not EscapedPath: it writes ./ before a name whose first folder
	// holds a colon, which would be read as a scheme.
	uri := (&url.URL{Path: name}).String()
	return sarif.NewLocation().WithPhysicalLocation(sarif.NewPhysicalLocation().
		WithArtifactLocation(sarif.NewArtifactLocation().WithURI(uri)).WithRegion(region))
}

func level(c rules.Confidence) string {
	switch c {
	case rules.High:
		return "error"
	case rules.Medium:
		return "warning"
	}
	return "note"
}

// rule enters a rule into the driver's list when a finding first names it.
func (s *sarifReport) rule(r *rules.Rule) int {
	if i, ok := s.index[r.ID]; ok {
		return i
	}
	d := s.run.AddRule(r.ID).WithName(r.ID).WithShortDescription(&sarif.MultiformatMessageString{Text: &r.Description})
	if r.Reference != "" {
		d.WithHelpURI(r.Reference)
	}
	s.index[r.ID] = len(s.index)
	return s.index[r.ID]
}

func (s *sarifReport) Close(c scanner.Coverage, t Totals) error {
	ok := c.Complete() && !c.Nothing()
	inv := sarif.NewInvocation().WithExecutionSuccessful(ok)
	for _, text := range shortfalls(c) {
		inv.AddToolExecutionNotification(sarif.NewNotification().WithLevel("warning").WithMessage(sarif.NewTextMessage(text)))
	}
	s.run.AddInvocation(inv)
	p := sarif.NewPropertyBag()
	p.Add("coverage", coverageRecord(c, t))
	s.run.Properties = p
	rep := sarif.NewReport()
	rep.AddRun(s.run)
	return rep.PrettyWrite(s.w)
}

// shortfalls says in words what keeps a scan from being complete, each thing
// once: a run that was not successful always says why.
func shortfalls(c scanner.Coverage) (out []string) {
	if c.Interrupted {
		out = append(out, "the scan was interrupted")
	}
	if c.Nothing() {
		out = append(out, "nothing was read")
	}
	for _, u := range c.Unread {
		s := fmt.Sprintf("not read (%s): %s", u.Reason, u.What)
		if u.Err != "" {
			s += ": " + u.Err
		}
		out = append(out, s)
	}
	if more := unread(c) - int64(len(c.Unread)); more > 0 {
		out = append(out, count(int(more), "more thing", "more things")+" could not be read")
	}
	return out
}

// Package report writes findings for people and for machines.
//
// A Writer is told of each finding as the scan goes and of the coverage at its
// end. Each format is one file: human text, JSON, JSON lines, SARIF, CSV, JUnit,
// GitHub annotations, a template of the user's, a page of HTML. Record is the one
// schema of the machine formats. This package decides nothing about
// findings and never shows a secret unless Options.ShowSecrets asks for it; the
// only place that reveals one is reveal.go. Start reading at Writer.
package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Writer is a report in the making. Its calls are made one at a time.
type Writer interface {
	// Finding adds a finding; streams show it before the scan ends.
	Finding(scanner.Finding) error
	// Close completes the report with what was covered. It does not close the
	// underlying writer.
	Close(scanner.Coverage, Totals) error
}

// Totals is what a scan came to.
type Totals struct {
	Findings     int
	Dropped      int // matches that are none, told because they were asked for
	Below        int // matches under the least confidence reported
	ByConfidence map[rules.Confidence]int
	Incidents    int // incidents that the scan opened or added to
	Revoked      int // tokens it revoked
	// Ignored counts what was left out, by why; Stale names the entries of ignore
	// files that are for nothing any more.
	Ignored map[string]int
	Stale   []string
}

// Options say how a report looks. The zero value is plain and redacted.
type Options struct {
	ShowSecrets bool
	Color       bool
	// Width is that of the terminal in columns; 0 means 80.
	Width int
	// Version of the program, for SARIF.
	Version string
	// Rules are described in SARIF when a finding names them.
	Rules []*rules.Rule
	// Targets are what was asked to be scanned, as the user named it. Where they
	// are several, a finding says in which it lies.
	Targets []string
	// Template is the text/template of the format "template".
	Template string

	groups *groups
}

var formats = map[string]func(io.Writer, Options) Writer{
	"csv":      newCSV,
	"github":   newGitHub,
	"html":     newHTML,
	"human":    newHuman,
	"json":     newJSON,
	"jsonl":    newJSONLines,
	"junit":    newJUnit,
	"sarif":    newSARIF,
	"template": nil, // New makes it: a template may be wrong
}

// Formats lists the names that New knows, sorted.
func Formats() []string {
	var out []string
	for f := range formats {
		out = append(out, f)
	}
	slices.Sort(out)
	return out
}

// New makes a writer of the named format on w.
func New(format string, w io.Writer, o Options) (Writer, error) {
	make, ok := formats[format]
	if !ok {
		return nil, fmt.Errorf("unknown report format %q: want one of %s", format, strings.Join(Formats(), ", "))
	}
	if o.Width <= 0 {
		o.Width = 80
	}
	o.groups = newGroups()
	if make == nil {
		return newTemplate(w, o)
	}
	return make(w, o), nil
}

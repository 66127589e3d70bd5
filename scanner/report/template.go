package report

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"text/template"

	sprig "github.com/go-task/slim-sprig/v3"

	"github.com/quench-dev/quench/scanner"
)

// Document is what a template is given: .Findings, .Coverage and .Version.
type Document struct {
	Findings []Record
	Coverage CoverageRecord
	Version  string
}

// templated runs a text/template of the user's over the whole report.
type templated struct {
	w   io.Writer
	o   Options
	t   *template.Template
	doc Document
}

// newTemplate parses the template before anything is scanned. It has the functions
// of Sprig that only compute: a template out of somebody's repository reads neither
// the environment nor names of hosts.
func newTemplate(w io.Writer, o Options) (Writer, error) {
	if o.Template == "" {
		return nil, errors.New("the format template needs a template; give it by --template FILE")
	}
	funcs := template.FuncMap(maps.Clone(sprig.TxtFuncMap()))
	for _, name := range []string{"env", "expandenv", "getHostByName"} {
		delete(funcs, name)
	}
	t, err := template.New("template").Funcs(funcs).Parse(o.Template)
	if err != nil {
		return nil, fmt.Errorf("reading the report template: %w", err)
	}
	return &templated{w: w, o: o, t: t, doc: Document{Findings: []Record{}, Version: o.Version}}, nil
}

func (t *templated) Finding(f scanner.Finding) error {
	t.doc.Findings = append(t.doc.Findings, record(f, t.o))
	return nil
}

func (t *templated) Close(c scanner.Coverage, tot Totals) error {
	t.doc.Coverage = coverageRecord(c, tot)
	return t.t.Execute(t.w, t.doc)
}

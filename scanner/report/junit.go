package report

import (
	"encoding/xml"
	"fmt"
	"io"
	"strings"

	"github.com/quench-dev/quench/scanner"
)

// junit is the XML that CI servers read: a failed test case a finding, and one for
// the scan itself, which is in error where not all was read, so that a scan of
// nothing is never green. It is written at the end, since counts come first.
type junit struct {
	w        io.Writer
	o        Options
	cases    []junitCase
	failures int
}

type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Errors   int         `xml:"errors,attr"`
	Time     string      `xml:"time,attr"`
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Class   string        `xml:"classname,attr"`
	Name    string        `xml:"name,attr"`
	File    string        `xml:"file,attr,omitempty"`
	Line    int           `xml:"line,attr,omitempty"`
	Failure *junitProblem `xml:"failure"`
	Skipped *junitProblem `xml:"skipped"`
	Error   *junitProblem `xml:"error"`
}

type junitProblem struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func newJUnit(w io.Writer, o Options) Writer { return &junit{w: w, o: o} }

func (j *junit) Finding(f scanner.Finding) error {
	r := record(f, j.o)
	lines := []string{r.Secret, clean(r.Masked)}
	for _, d := range details(f) {
		lines = append(lines, d.text)
	}
	place := clean(r.place())
	c := junitCase{Class: r.RuleID, Name: fmt.Sprintf("%s:%d:%d", place, r.StartLine, r.StartColumn), File: place, Line: r.StartLine,
		Failure: &junitProblem{Message: r.Description + " in " + place, Type: r.Confidence, Text: strings.Join(append(lines, "finding "+r.FindingID), "\n")},
	}
	if f.Ignored != "" {
		c.Failure, c.Skipped = nil, c.Failure
	} else {
		j.failures++
	}
	j.cases = append(j.cases, c)
	return nil
}

func (j *junit) Close(c scanner.Coverage, t Totals) error {
	all := junitCase{Class: "quench", Name: "coverage"}
	s := junitSuite{Name: "quench", Tests: len(j.cases) + 1, Failures: j.failures, Time: fmt.Sprintf("%.3f", c.Elapsed.Seconds())}
	if short := shortfalls(c); len(short) > 0 {
		all.Error = &junitProblem{Message: "the scan is not complete", Type: "coverage", Text: clean(strings.Join(short, "; "))}
		s.Errors = 1
	}
	s.Cases = append(j.cases, all)
	b, err := xml.MarshalIndent(junitSuites{Suites: []junitSuite{s}}, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.w, "%s%s\n", xml.Header, b)
	return err
}

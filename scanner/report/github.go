package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// github writes workflow commands, which a GitHub runner shows as annotations of
// the lines they name (docs.github.com, "Workflow commands for GitHub Actions").
type github struct {
	w io.Writer
	o Options
}

func newGitHub(w io.Writer, o Options) Writer { return &github{w, o} }

func (g *github) Finding(f scanner.Finding) error {
	level := "warning"
	switch {
	case f.Ignored != "":
		level = "notice"
	case f.Confidence == rules.High:
		level = "error"
	}
	r := record(f, g.o)
	msg := fmt.Sprintf("%s (%s)", r.Description, r.Secret)
	if r.Commit != "" {
		msg += " in commit " + r.Commit[:min(10, len(r.Commit))]
	}
	if r.Ignored != "" {
		msg += "; ignored by " + r.Ignored
	}
	if r.Contained != "" {
		msg += "; " + r.Contained
	}
	_, err := fmt.Fprintf(g.w, "::%s file=%s,line=%d,endLine=%d,col=%d,endColumn=%d,title=%s::%s\n",
		level, property(r.place()), r.StartLine, r.EndLine, r.StartColumn, r.EndColumn+1, property("quench: "+r.RuleID), data(msg))
	return err
}

func (g *github) Close(c scanner.Coverage, _ Totals) error {
	if short := shortfalls(c); len(short) > 0 {
		_, err := fmt.Fprintf(g.w, "::warning title=quench::%s\n", data("the scan is not complete: "+strings.Join(short, "; ")))
		return err
	}
	return nil
}

// data escapes the message of a workflow command, property one of its
// properties, as the runner's toolkit does.
func data(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func property(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}

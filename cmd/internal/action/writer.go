package action

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
)

// Writer writes annotations as findings come, then the job's summary and
// outputs, and passes everything on to further writers.
type Writer struct {
	notes   report.Writer
	getenv  func(string) string
	more    []report.Writer
	what    string
	rows    []string
	left    int
	Trouble error // of the summary or the outputs, told at the end
}

// maxRows bounds the table of the summary: GitHub cuts summaries off at 1 MB.
const maxRows = 500

// NewWriter makes a Writer; annotations go to out, which the runner reads.
func NewWriter(out io.Writer, what string, getenv func(string) string, more ...report.Writer) *Writer {
	notes, err := report.New("github", out, report.Options{})
	if err != nil {
		panic(err) // the name is one of ours
	}
	return &Writer{notes: notes, getenv: getenv, what: what, more: more}
}

// Finding implements report.Writer.
func (w *Writer) Finding(f scanner.Finding) error {
	err := w.notes.Finding(f)
	if len(w.rows) < maxRows {
		w.rows = append(w.rows, fmt.Sprintf("| %s | %s | %s:%d | %s |", cell(f.Rule.ID), f.Confidence, cell(f.Origin.Path), f.Line, cell(f.Secret.Redacted())))
	} else {
		w.left++
	}
	for _, m := range w.more {
		err = errors.Join(err, m.Finding(f))
	}
	return err
}

// Close implements report.Writer.
func (w *Writer) Close(c scanner.Coverage, t report.Totals) error {
	err := w.notes.Close(c, t)
	for _, m := range w.more {
		err = errors.Join(err, m.Close(c, t))
	}
	w.Trouble = errors.Join(w.appendTo("GITHUB_STEP_SUMMARY", w.summary(c, t)), w.appendTo("GITHUB_OUTPUT", fmt.Sprintf("findings=%d\n", t.Findings)))
	return err
}

func (w *Writer) summary(c scanner.Coverage, t report.Totals) string {
	var b strings.Builder
	fmt.Fprintf(&b, "### Quench: %d findings in %s\n\n", t.Findings, cell(w.what))
	if len(w.rows) > 0 {
		b.WriteString("| rule | confidence | place | secret |\n|---|---|---|---|\n" + strings.Join(w.rows, "\n") + "\n\n")
		b.WriteString("Revoke these where they were issued: they are in the history of the repository.\n\n")
	}
	if w.left > 0 {
		fmt.Fprintf(&b, "And %d more.\n\n", w.left)
	}
	fmt.Fprintf(&b, "Scanned %d commits, %d blobs, %d files, %d bytes.", c.Commits, c.Blobs, c.Files, c.Bytes)
	if !c.Complete() || c.Nothing() {
		b.WriteString(" **The scan is not complete.**")
	}
	for _, u := range c.Unread {
		fmt.Fprintf(&b, "\n- not read: %s (%s)", cell(u.What), u.Reason)
	}
	b.WriteString("\n")
	return b.String()
}

// appendTo appends to the file that a variable of the runner names.
func (w *Writer) appendTo(variable, text string) error {
	name := w.getenv(variable)
	if name == "" {
		return nil
	}
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("writing %s: %w", variable, err)
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", variable, err)
	}
	return nil
}

// cell makes text harmless in a table of Markdown, where paths come from the
// scanned tree.
func cell(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r < 0x20 || r == 0x7f:
			b.WriteByte(' ')
		case strings.ContainsRune("\\`*_{}[]<>()#+!|~&@", r):
			fmt.Fprintf(&b, "&#%d;", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

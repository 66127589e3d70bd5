package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/quench-dev/quench/scanner"
)

// jsonLines writes one Record a line, at once, and {"coverage": …} last.
type jsonLines struct {
	w io.Writer
	o Options
}

func newJSONLines(w io.Writer, o Options) Writer { return &jsonLines{w, o} }

func (j *jsonLines) Finding(f scanner.Finding) error { return writeLine(j.w, record(f, j.o)) }

func (j *jsonLines) Close(c scanner.Coverage, t Totals) error {
	return writeLine(j.w, map[string]CoverageRecord{"coverage": coverageRecord(c, t)})
}

// writeLine writes v in one call, so that lines of several processes on one
// pipe do not mix.
func writeLine(w io.Writer, v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return b.Bytes(), err
}

// jsonReport writes one object; its findings stream.
type jsonReport struct {
	w io.Writer
	o Options
	n int
}

func newJSON(w io.Writer, o Options) Writer { return &jsonReport{w: w, o: o} }

func (j *jsonReport) Finding(f scanner.Finding) error {
	b, err := encode(record(f, j.o))
	if err != nil {
		return err
	}
	_, err = j.w.Write(append([]byte(j.lead()), bytes.TrimRight(b, "\n")...))
	j.n++
	return err
}

func (j *jsonReport) lead() string {
	if j.n == 0 {
		return fmt.Sprintf("{\"schema_version\": %d, \"findings\": [\n", SchemaVersion)
	}
	return ",\n"
}

func (j *jsonReport) Close(c scanner.Coverage, t Totals) error {
	b, err := encode(coverageRecord(c, t))
	if err != nil {
		return err
	}
	lead := "\n"
	if j.n == 0 {
		lead = j.lead()
	}
	_, err = io.WriteString(j.w, lead+"], \"coverage\": "+string(bytes.TrimRight(b, "\n"))+"}\n")
	return err
}

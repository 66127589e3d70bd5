package report

import (
	"encoding/csv"
	"io"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/quench-dev/quench/scanner"
)

// csvReport is RFC 4180: a row of names, then one a finding, each as it comes.
// Its columns are the fields of Record in their order, under their JSON names;
// lists are joined by "; ". What was covered has no place in it: the exit code
// tells.
type csvReport struct {
	w      *csv.Writer
	o      Options
	header bool
}

func newCSV(w io.Writer, o Options) Writer { return &csvReport{w: csv.NewWriter(w), o: o} }

func (c *csvReport) Finding(f scanner.Finding) error {
	c.head()
	v := reflect.ValueOf(record(f, c.o))
	row := make([]string, v.NumField())
	for i := range row {
		row[i] = guard(csvCell(v.Field(i)))
	}
	return c.write(row)
}

func (c *csvReport) Close(scanner.Coverage, Totals) error {
	c.head()
	c.w.Flush()
	return c.w.Error()
}

func (c *csvReport) head() {
	if c.header {
		return
	}
	c.header = true
	var names []string
	for i := range reflect.TypeFor[Record]().NumField() {
		name, _, _ := strings.Cut(reflect.TypeFor[Record]().Field(i).Tag.Get("json"), ",")
		names = append(names, name)
	}
	_ = c.w.Write(names) // an error comes again from Error
}

func (c *csvReport) write(row []string) error {
	if err := c.w.Write(row); err != nil {
		return err
	}
	c.w.Flush()
	return c.w.Error()
}

func csvCell(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case string:
		return x
	case []string:
		return strings.Join(x, "; ")
	case int:
		return strconv.Itoa(x)
	case float64:
		return strconv.FormatFloat(x, 'f', -1, 64)
	case *bool:
		if x != nil {
			return strconv.FormatBool(*x)
		}
	case *time.Time:
		if x != nil {
			return x.Format(time.RFC3339)
		}
	}
	return ""
}

// guard keeps a spreadsheet from running a path or an author as a formula: an
// apostrophe makes a text of it (OWASP, "CSV Injection").
func guard(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r", rune(s[0])) {
		return "'" + s
	}
	return s
}

package show

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/quench-dev/quench/cmd/internal/baseline"
)

// Ignored writes the entries of an ignore file as a table.
func Ignored(w io.Writer, list []baseline.Listed) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "nothing is ignored")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tRULE\tPATH\tUNTIL\tREASON")
	for _, e := range list {
		until := e.Until
		if e.Expired {
			until += " (over)"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", e.ID, dash(e.Rule), dash(shown(e.Path)), dash(until), dash(shown(e.Reason)))
	}
	return tw.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// Count says how many of a thing there are.
func Count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

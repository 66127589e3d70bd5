package baseline

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/scanner/ignore"
)

// FileFlag adds the flag that names an ignore file.
func FileFlag(cmd *cobra.Command, file *string) {
	cmd.Flags().StringVar(file, "file", ignore.Name, "ignore file")
}

// AddCmd is quench ignore add.
func AddCmd() *cobra.Command {
	var file, reason, until string
	cmd := &cobra.Command{
		Use:     "add ID…",
		Short:   "Ignore findings",
		Example: `  quench ignore add 0123456789abcdef --reason "key of the sandbox" --until 2027-01-31`,
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			e := ignore.Entry{Reason: reason}
			if until != "" {
				day, err := time.Parse(time.DateOnly, until)
				if err != nil {
					return fmt.Errorf("--until %q: want a day such as 2027-01-31", until)
				}
				e.Until = day
			}
			n, err := Add(file, args, e)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s added to %s\n", show.Count(n, "entry", "entries"), file)
			return err
		},
	}
	FileFlag(cmd, &file)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for those who read the file")
	cmd.Flags().StringVar(&until, "until", "", "last day on which they are ignored, such as 2027-01-31")
	return cmd
}

// ListCmd is quench ignore list.
func ListCmd() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List what is ignored, why and until when",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			list, err := List(file, time.Now())
			if err != nil {
				return err
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), list)
			}
			return table(cmd.OutOrStdout(), list)
		},
	}
	FileFlag(cmd, &file)
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

// table writes the entries of an ignore file as a table.
func table(w io.Writer, list []Listed) error {
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
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", e.ID, dash(e.Rule), dash(show.Shown(e.Path)), dash(until), dash(show.Shown(e.Reason)))
	}
	return tw.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

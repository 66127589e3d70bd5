// Package duecmd is the commands token due and token sweep: deadlines that are near.
//
// It is given how a registry is opened and closed, and does not know exit codes.
// Start reading at New.
package duecmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/sweeper"
)

// Env is what the commands are given.
type Env struct {
	Open  func(*cobra.Command, bool) (*registry.Registry, error)
	Close func(*registry.Registry, *error)
	Found error // returned when something is due
}

// New makes the commands.
func New(e Env) []*cobra.Command { return []*cobra.Command{e.due(), e.sweep()} }

func (e Env) due() *cobra.Command {
	within := input.TTL(7 * 24 * time.Hour)
	var format string
	cmd := &cobra.Command{
		Use:   "due",
		Short: "List live tokens that expire or are to be rotated soon",
		Long: `Due lists the deadlines of live tokens within a time from now, and rotation
deadlines that have passed.

Exit codes: 0 nothing is due, 1 something is, 2 error.`,
		Args: input.NoValue("token due", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			return e.print(cmd, format, func(r *registry.Registry) ([]registry.Due, error) { return r.Due(cmd.Context(), time.Duration(within)) })
		},
	}
	cmd.Flags().Var(&within, "within", "time from now")
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

// print prints the deadlines that get finds; some are exit code 1.
func (e Env) print(cmd *cobra.Command, format string, get func(*registry.Registry) ([]registry.Due, error)) (err error) {
	r, err := e.Open(cmd, false)
	if err != nil {
		return err
	}
	defer e.Close(r, &err)
	all, err := get(r)
	if err != nil {
		return err
	}
	if format == "json" {
		err = show.JSON(cmd.OutOrStdout(), append([]registry.Due{}, all...))
	} else {
		write(cmd.OutOrStdout(), "", all)
	}
	if err == nil && len(all) > 0 {
		err = e.Found
	}
	return err
}

func write(w io.Writer, begin string, all []registry.Due) {
	for _, d := range all {
		fmt.Fprintf(w, "%s%s  %-8s  %s  %s (%s)\n", begin, show.Stamp(d.At), d.Kind, d.Token.ID, d.Token.Owner, d.Token.Purpose)
	}
}

// Telling are options of a sweeper that tells on w of deadlines and of trouble.
func Telling(w io.Writer) sweeper.Options {
	return sweeper.Options{
		Warned:  func(all []registry.Due) { write(w, "deadline: ", all) },
		Trouble: func(err error) { fmt.Fprintf(w, "quench: %v\n", err) },
	}
}

func (e Env) sweep() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Warn of deadlines that are near or have passed",
		Long: `Sweep writes an audit event and an alert for each expiry and rotation deadline
that is a week, a day or an hour away, or has passed, each once, and prints
those that are new. Of several that were missed it writes the latest. Quench
watch and quench worker do this while they run, to the second; without them, run
it from a timer. An expired token is refused to the microsecond without any of
them. A token that was rotated is an alert only if somebody still uses it.

Exit codes: 0 nothing new, 1 new warnings, 2 error.`,
		Args: input.NoValue("token sweep", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			return e.print(cmd, format, func(r *registry.Registry) ([]registry.Due, error) { return sweeper.Sweep(cmd.Context(), r) })
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

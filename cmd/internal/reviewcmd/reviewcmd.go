// Package reviewcmd is the command token review: what tokens have and do not use.
//
// It is given how a registry is opened and closed, and does not know exit codes.
// Start reading at New.
package reviewcmd

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/review"
)

// Env is what the command is given.
type Env struct {
	Open  func(*cobra.Command, bool) (*registry.Registry, error)
	Close func(*registry.Registry, *error)
	Found error // returned when something could be less
}

// New makes the command.
func New(e Env) *cobra.Command {
	unused := input.TTL(review.DefaultUnused)
	var o review.Options
	var format string
	cmd := &cobra.Command{
		Use:   "review",
		Short: "Find tokens and scopes that nobody uses, and propose less",
		Long: `Review looks at what live tokens were asked for, and proposes a command where
evidence shows that one has too much: a token never used, or not for a long
time; scopes of which nothing was asked for; wildcards where a few things were.
It changes nothing.

Evidence is what Verify was asked (--scope of token verify, the scope of a
request to quench serve) and what access logs show. A token issued more recently
than --unused, or watched for less, is passed over.

Exit codes: 0 nothing to do, 1 something could be less, 2 error.`,
		Example: `  quench token review --unused 30d --owner ci`,
		Args:    input.NoValue("token review", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			if o.Few < 1 {
				return fmt.Errorf("--few %d: must be 1 or more", o.Few)
			}
			o.Unused = time.Duration(unused)
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			all, live, blind, err := review.Registry(cmd.Context(), r, o)
			if err != nil {
				return err
			}
			if format == "json" {
				err = show.JSON(cmd.OutOrStdout(), append([]review.Advice{}, all...))
			} else {
				err = print(cmd.OutOrStdout(), all)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d live tokens could have less\n", len(all), live)
			if blind > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: of %d tokens only the number of uses is known, not for what\n", blind)
			}
			if len(all) > 0 {
				return e.Found
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.Var(&unused, "unused", "time without a use that is long")
	f.IntVar(&o.Few, "few", review.DefaultFew, "things asked for under a wildcard that are better named")
	f.StringVar(&o.Owner, "owner", "", "only tokens of this owner")
	f.StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

func print(w io.Writer, all []review.Advice) error {
	for _, a := range all {
		if _, err := fmt.Fprintf(w, "%s of %s (%s): %s\n", a.Token.ID, a.Token.Owner, a.Token.Purpose, a.Why); err != nil {
			return err
		}
		if a.Command != "" {
			fmt.Fprintf(w, "  %s\n", a.Command)
		}
	}
	return nil
}

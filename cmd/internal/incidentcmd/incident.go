// Package incidentcmd is quench incident: what leaked, and what became of it.
//
// It reads flags, asks the revoker and shows what it says; it opens nothing
// itself. Start reading at New.
package incidentcmd

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
)

// With runs f with the revoker of the registry that exists, under a policy file.
type With func(cmd *cobra.Command, policy string, f func(*revoker.Revoker) error) error

// New makes the command.
func New(with With) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Leaked tokens, from the leak to their death",
	}
	cmd.AddCommand(newList(with), newShow(with), newRetry(with))
	return cmd
}

func newList(with With) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List incidents, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, "", func(r *revoker.Revoker) error {
				list, err := r.Incidents(cmd.Context())
				if err != nil {
					return err
				}
				return show.Incidents(cmd.OutOrStdout(), format, list)
			})
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func newShow(with With) *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show INCIDENT",
		Short: "Show one incident: its times, its places, its receipts",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, "", func(r *revoker.Revoker) error {
				i, err := r.Incident(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if format == "json" {
					return json.NewEncoder(cmd.OutOrStdout()).Encode(i)
				}
				if format != "human" {
					return fmt.Errorf("unknown format %q: want human or json", format)
				}
				return show.Incident(cmd.OutOrStdout(), i)
			})
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func newRetry(with With) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "retry INCIDENT",
		Short: "Tell the incident's provider again, now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, policy, func(r *revoker.Revoker) error {
				retryErr := r.Retry(cmd.Context(), args[0])
				i, err := r.Incident(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return errors.Join(show.Incident(cmd.OutOrStdout(), i), retryErr)
			})
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

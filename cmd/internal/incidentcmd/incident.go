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
		Short: "Leaked tokens and secrets, from the leak to their death",
	}
	cmd.AddCommand(newList(with), newShow(with), newRetry(with), newConfirm(with), newDismiss(with), newWatch(with))
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

// act is a command that does something about an incident and shows it.
func act(with With, cmd *cobra.Command, do func(*cobra.Command, *revoker.Revoker, string) error) *cobra.Command {
	var policy string
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return with(cmd, policy, func(r *revoker.Revoker) error {
			doErr := do(cmd, r, args[0])
			i, err := r.Incident(cmd.Context(), args[0])
			if err != nil {
				return errors.Join(doErr, err)
			}
			return errors.Join(show.Incident(cmd.OutOrStdout(), i), doErr)
		})
	}
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

func newRetry(with With) *cobra.Command {
	return act(with, &cobra.Command{
		Use:   "retry INCIDENT",
		Short: "Tell the incident's provider again, now",
	}, func(cmd *cobra.Command, r *revoker.Revoker, id string) error { return r.Retry(cmd.Context(), id) })
}

func newConfirm(with With) *cobra.Command {
	return act(with, &cobra.Command{
		Use:   "confirm INCIDENT",
		Short: "End the secret of an incident at its provider, now",
		Long: `Confirm says that the secret of an incident which waits for a person, or was
only reported or checked, is to be ended: its provider is called at once, and by
the queue until it answers. Neither the brake nor protect lists hold it back;
the kill switch does.`,
	}, func(cmd *cobra.Command, r *revoker.Revoker, id string) error { return r.Confirm(cmd.Context(), id) })
}

func newDismiss(with With) *cobra.Command {
	var reason string
	cmd := act(with, &cobra.Command{
		Use:   "dismiss INCIDENT --reason TEXT",
		Short: "Say why nothing is to be done about an incident",
		Long: `Dismiss ends an incident without a call. The reason is kept in the audit log,
the secret is not kept any longer, and further places of it change nothing. A
live token of the registry cannot be dismissed.`,
	}, func(cmd *cobra.Command, r *revoker.Revoker, id string) error {
		return r.Dismiss(cmd.Context(), id, reason)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a sentence")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

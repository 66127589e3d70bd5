// Package incidentcmd is quench incident: what leaked, and what became of it.
//
// It reads flags, asks the revoker and shows what it says; it opens nothing
// itself. Start reading at New.
package incidentcmd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
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
	var format, policy string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List incidents, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, policy, func(r *revoker.Revoker) error {
				list, err := r.Incidents(cmd.Context())
				if err != nil {
					return err
				}
				if err := show.Incidents(cmd.OutOrStdout(), format, list); err != nil || format != "human" {
					return err
				}
				brakes, err := r.Brakes(cmd.Context())
				if err != nil {
					return err
				}
				for _, b := range brakes {
					if said := b.Says(); said != "" {
						fmt.Fprintln(cmd.OutOrStdout(), said)
					}
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	cmd.Flags().StringVar(&policy, "policy", "", "policy file, whose brakes are told (default policy.toml in the configuration folder)")
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
			if errors.Is(doErr, revoker.ErrNoIncident) {
				return doErr
			}
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

// parted is act of a command that takes parts of the secret, which a call waits for.
func parted(with With, cmd *cobra.Command, do func(*revoker.Revoker, context.Context, string) error) *cobra.Command {
	var parts []string
	act(with, cmd, func(cmd *cobra.Command, r *revoker.Revoker, id string) error {
		all, err := input.Parts(parts)
		if err != nil {
			return err
		}
		if err := r.AddParts(cmd.Context(), id, all); err != nil {
			return err
		}
		return do(r, cmd.Context(), id)
	})
	cmd.Flags().StringArrayVar(&parts, "part", nil, "NAME=VALUE that belongs to the secret and is none, such as key_id=…")
	return cmd
}

func newRetry(with With) *cobra.Command {
	return parted(with, &cobra.Command{
		Use:   "retry INCIDENT",
		Short: "Tell the incident's provider again, now",
	}, (*revoker.Revoker).Retry)
}

func newConfirm(with With) *cobra.Command {
	return parted(with, &cobra.Command{
		Use:   "confirm INCIDENT",
		Short: "End the secret of an incident at its provider, now",
		Long: `Confirm says that the secret of an incident which waits for a person, or was
only reported or checked, is to be ended now: its provider is called at once,
and by the queue until it answers. Neither a grace, office hours, the brake nor
protect lists hold it back; the kill switch does. Where the policy names
approvers, only they may: what counts is the account this process runs under.`,
	}, (*revoker.Revoker).Confirm)
}

func newDismiss(with With) *cobra.Command {
	var reason string
	cmd := act(with, &cobra.Command{
		Use:   "dismiss INCIDENT --reason TEXT",
		Short: "Say why nothing is to be done about an incident",
		Long: `Dismiss stops what waits, and takes back what the incident suspended: a token
of the registry is resumed, a key is made active again at its provider where
that can be. What was revoked or deleted stays so. The reason is kept in the
audit log, the secret is not kept any longer, and further places of it change
nothing; a token of the registry that leaks at a new place is another matter.
A live one cannot be dismissed.`,
	}, func(cmd *cobra.Command, r *revoker.Revoker, id string) error {
		return r.Dismiss(cmd.Context(), id, reason)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why, in a sentence")
	if err := cmd.MarkFlagRequired("reason"); err != nil {
		panic(err) // the flag is there
	}
	return cmd
}

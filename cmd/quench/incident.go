package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
)

func newIncidentCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "incident",
		Short: "Leaked tokens, from the leak to their death",
	}
	cmd.AddCommand(newIncidentListCmd(), newIncidentShowCmd(), newIncidentRetryCmd())
	return cmd
}

// withRevoker runs f with the revoker of the registry that exists.
func withRevoker(cmd *cobra.Command, policyFile string, f func(*revoker.Revoker) error) (err error) {
	policy, err := loadPolicy(policyFile)
	if err != nil {
		return err
	}
	reg, err := openRegistry(cmd, false)
	if err != nil {
		return err
	}
	defer closeRegistry(reg, &err)
	r, err := revoker.New(reg, policy, revoker.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close(context.WithoutCancel(cmd.Context()))) }()
	return f(r)
}

func newIncidentListCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List incidents, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return withRevoker(cmd, "", func(r *revoker.Revoker) error {
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

func newIncidentShowCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show INCIDENT",
		Short: "Show one incident: its times, its places, its receipts",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRevoker(cmd, "", func(r *revoker.Revoker) error {
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

func newIncidentRetryCmd() *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "retry INCIDENT",
		Short: "Tell the incident's provider again, now",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return withRevoker(cmd, policy, func(r *revoker.Revoker) error {
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

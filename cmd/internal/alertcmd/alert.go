// Package alertcmd is quench alert: what somebody must know, and who was told.
//
// It reads flags, asks the registry's outbox and package notify, and shows what they
// say. Start reading at New.
package alertcmd

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/notify"
)

// With runs f with the revoker of the registry that exists, under a policy file.
type With func(cmd *cobra.Command, policy string, f func(*revoker.Revoker) error) error

// New makes the command.
func New(with With) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "alert",
		Short: "What somebody must know: leaks, odd use, deadlines",
		Long: `Alerts are written with what they tell of, and delivered to the targets of your
policy by quench watch, worker, serve, and at the end of a scan.`,
	}
	cmd.AddCommand(newList(with), newTargets(with), newTest(with))
	return cmd
}

func newList(with With) *cobra.Command {
	var f alert.Filter
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List alerts in the order they were written",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, "", func(r *revoker.Revoker) error {
				all, err := alert.List(cmd.Context(), r.Registry().Store().Reader(), f)
				if err != nil {
					return err
				}
				switch format {
				case "json":
					return json.NewEncoder(cmd.OutOrStdout()).Encode(append([]alert.Alert{}, all...))
				case "human":
					return list(cmd.OutOrStdout(), all)
				}
				return fmt.Errorf("unknown format %q: want human or json", format)
			})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.TokenID, "token", "", "only of the token with this id")
	fl.StringVar(&f.Kind, "kind", "", "only of this kind, such as token.leaked")
	fl.Int64Var(&f.After, "after", 0, "only after the alert with this number")
	fl.IntVar(&f.Limit, "limit", 0, "at most so many (0: all)")
	fl.StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func list(w io.Writer, all []alert.Alert) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "no alerts")
		return err
	}
	for _, a := range all {
		fmt.Fprintf(w, "%d  %s  %s  %s\n", a.ID, a.At.UTC().Format(time.DateTime), a.Severity, oneLine(a.Title))
		for _, k := range slices.Sorted(maps.Keys(a.Details)) {
			fmt.Fprintf(w, "    %s: %s\n", oneLine(k), oneLine(a.Details[k]))
		}
		if _, err := fmt.Fprintf(w, "    %s\n", oneLine(a.Advice)); err != nil {
			return err
		}
	}
	return nil
}

// oneLine keeps names from elsewhere from steering a terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, s)
}

func newTargets(with With) *cobra.Command {
	var policy, format string
	cmd := &cobra.Command{
		Use:   "targets",
		Short: "Show who is told, and what waits for them",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return with(cmd, policy, func(r *revoker.Revoker) error {
				all, err := r.Alerts().Status(cmd.Context())
				if err != nil {
					return err
				}
				switch format {
				case "json":
					return json.NewEncoder(cmd.OutOrStdout()).Encode(append([]notify.Status{}, all...))
				case "human":
					return targets(cmd.OutOrStdout(), all)
				}
				return fmt.Errorf("unknown format %q: want human or json", format)
			})
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func targets(w io.Writer, all []notify.Status) error {
	if len(all) == 0 {
		_, err := fmt.Fprintln(w, "the policy names nobody who is told of alerts")
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "TARGET\tKIND\tWAITING\tREFUSED\tSTATE")
	for _, s := range all {
		state := "ok"
		if s.Failures > 0 {
			state = fmt.Sprintf("failed %d times: %s", s.Failures, s.Error)
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%d\t%s\n", s.Name, s.Kind, s.Waiting, s.Refused, state)
	}
	return tw.Flush()
}

func newTest(with With) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "test TARGET",
		Short: "Send a made-up alert to a target and wait for its answer",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return with(cmd, policy, func(r *revoker.Revoker) error {
				if err := r.Alerts().Test(cmd.Context(), args[0]); err != nil {
					return fmt.Errorf("telling %s: %w", args[0], err)
				}
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s took it\n", args[0])
				return err
			})
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

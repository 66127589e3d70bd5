package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/baseline"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/ignore"
)

func newIgnoreCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "ignore",
		Short: "Leave findings out of reports by their ids",
		Long: `Ignore keeps ` + ignore.Name + `, which names findings by their ids: an id stays when
lines move and histories are rebased, and holds too little of the secret to
confirm a guess. A live token of the registry is never ignored.

An entry is a line: the id, then rule=, path= and until=, then # and a reason.`,
	}
	cmd.AddCommand(baseline.AddCmd(), baseline.ListCmd(), newIgnorePruneCmd())
	return cmd
}

func newIgnorePruneCmd() *cobra.Command {
	var file string
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:   "prune [TARGET…]",
		Short: "Scan, and remove entries that are over or match nothing any more",
		RunE: func(cmd *cobra.Command, args []string) error {
			return pruneFile(cmd, f, file, args)
		},
	}
	f.addTo(cmd)
	baseline.FileFlag(cmd, &file)
	return cmd
}

// pruneFile scans as scan does and rewrites the file without what is stale.
func pruneFile(cmd *cobra.Command, f *scanFlags, file string, args []string) error {
	if !f.isWhole() {
		return errors.New("prune needs a scan of all that the file could be for: history and working tree, without a range, a time or a path")
	}
	// An entry for what a scan would not report is for something all the same.
	if err := cmd.Flags().Set("min-confidence", string(rules.Low)); err != nil {
		return err
	}
	seen, err := f.collect(cmd, args)
	if err != nil {
		return err
	}
	gone, err := baseline.Prune(file, seen, time.Now())
	if err != nil {
		return err
	}
	for _, s := range gone {
		fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", s)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s removed from %s\n", show.Count(len(gone), "entry", "entries"), file)
	return err
}

func newBaselineCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "baseline",
		Short: "Start from what is there: report only what is new",
		Long: `A baseline is a file of findings as they are now, in the form of ` + ignore.Name + `.
With --baseline FILE, scans, hooks and the action report what is not in it. It
holds no secret and nothing that confirms a guess.`,
	}
	cmd.AddCommand(newBaselineCreateCmd(), newBaselinePruneCmd())
	return cmd
}

func newBaselineCreateCmd() *cobra.Command {
	var reason string
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:     "create --output FILE [TARGET…]",
		Short:   "Scan, and write what is found as a baseline",
		Example: "  quench baseline create --output .quench-baseline\n  quench scan --baseline .quench-baseline",
		RunE: func(cmd *cobra.Command, args []string) error {
			file := f.output.file
			if file == "" {
				return errors.New("say with --output where the baseline is to be written, such as .quench-baseline")
			}
			f.output.file = ""
			seen, err := f.collect(cmd, args)
			if err != nil {
				return err
			}
			n, err := baseline.Create(file, seen, reason)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s written to %s\n", show.Count(n, "finding", "findings"), file)
			return err
		},
	}
	f.addTo(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why these are known, for those who read the file")
	return cmd
}

func newBaselinePruneCmd() *cobra.Command {
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:   "prune --baseline FILE [TARGET…]",
		Short: "Scan, and remove from a baseline what is not found any more",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(f.detect.baselines) != 1 {
				return errors.New("say with --baseline which file is to be pruned")
			}
			file := f.detect.baselines[0]
			f.detect.baselines = nil
			return pruneFile(cmd, f, file, args)
		},
	}
	f.addTo(cmd)
	return cmd
}

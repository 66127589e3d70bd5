package main

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/action"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

func newActionCmd() *cobra.Command {
	var df detectFlags
	var cf containFlags
	var sarif string
	cmd := &cobra.Command{
		Use:   "action",
		Short: "Scan what a GitHub Actions event is about",
		Long: `Action reads the event of the running job, scans the commits of the pull request
or the push (the whole repository for other events), annotates them, writes the
job's summary, and fails on findings and on a scan that is not complete. What a
pull request brings configures nothing of it, and a mark ignores nothing there.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runAction(cmd, &df, &cf, &sarif) },
	}
	df.add(cmd)
	cf.add(cmd)
	cmd.Flags().StringVar(&sarif, "sarif", "", "also write a SARIF report to this file")
	return cmd
}

func runAction(cmd *cobra.Command, df *detectFlags, cf *containFlags, sarif *string) (err error) {
	scope, err := action.Read(os.Getenv)
	if err != nil {
		return err
	}
	if scope.Nothing {
		fmt.Fprintf(cmd.OutOrStdout(), "nothing to scan: %s\n", scope.What)
		return nil
	}
	dir := os.Getenv("GITHUB_WORKSPACE")
	if dir == "" {
		dir = "."
	}
	srcs, err := sources.Open(dir, sources.OpenOptions{History: true, Worktree: true, Scope: sources.Scope{Range: scope.Range}})
	if err != nil {
		return err
	}
	df.base = scope.Base // a pull request does not configure its own check
	conf, err := df.load(cmd, []string{dir}, false)
	if err != nil && scope.Base != "" {
		return fmt.Errorf("%w; a shallow checkout hides history: use actions/checkout with fetch-depth: 0", err)
	}
	if err != nil {
		return err
	}
	var of outputFlags
	of.format = "human"
	human, _, err := of.open(cmd, conf.Rules, []string{dir}, nil)
	if err != nil {
		return err
	}
	more, finish := []report.Writer{human}, func(bool) error { return nil }
	if *sarif != "" {
		w, done, err := (&outputFlags{format: "sarif", file: *sarif}).open(cmd, conf.Rules, []string{dir}, nil)
		if err != nil {
			return err
		}
		more, finish = append(more, w), done
	}
	w := action.NewWriter(cmd.OutOrStdout(), scope.What, os.Getenv, more...)
	res, err := runScanWith(cmd, srcs, conf, w, *df, *cf, scanOptions{mayBeEmpty: scope.Range != "", filters: slices.Repeat(conf.Filters, len(srcs))}, nil)
	err = errors.Join(err, finish(err == nil), w.Trouble)
	if err != nil {
		return err
	}
	code := res.ExitCode()
	if code == exitIncomplete || res.Failed != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "quench: the scan is not complete; a shallow checkout hides history: use actions/checkout with fetch-depth: 0")
	}
	if code != exitOK {
		return exit{Code: code, Err: res.Failed}
	}
	return nil
}

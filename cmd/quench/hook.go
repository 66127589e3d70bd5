package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/hook"
	"github.com/quench-dev/quench/sources"
)

const prePush = "pre-push"

func newHookCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Block pushes that carry secrets",
	}
	cmd.AddCommand(newHookInstallCmd(), newHookUninstallCmd(), newHookRunCmd())
	return cmd
}

func newHookInstallCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:       "install [pre-push]",
		Short:     "Install the hook in this repository",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{prePush},
		RunE: func(cmd *cobra.Command, _ []string) error {
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			path, err := hook.Install(".", prePush, program, force)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "installed %s: pushes that carry a secret are blocked\n", path)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace a hook that is there already; it is kept beside")
	return cmd
}

func newHookUninstallCmd() *cobra.Command {
	return &cobra.Command{
		Use:       "uninstall [pre-push]",
		Short:     "Remove the hook, and put back the one it replaced",
		Args:      cobra.MatchAll(cobra.MaximumNArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{prePush},
		RunE: func(cmd *cobra.Command, _ []string) error {
			path, err := hook.Uninstall(".", prePush)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "removed %s\n", path)
			return nil
		},
	}
}

func newHookRunCmd() *cobra.Command {
	var of outputFlags
	var df detectFlags
	var cf containFlags
	var strict bool
	cmd := &cobra.Command{
		Use:   "run pre-push REMOTE URL",
		Short: "Scan what is being pushed; git calls this",
		Long: `Run reads the list of refs that git gives a pre-push hook on standard input and
scans the commits that the remote does not have yet. Findings block the push. A
scan that could not be made or is not complete warns and lets it pass, unless
--strict is given.`,
		Args: cobra.ExactArgs(3),
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[0] != prePush {
				return fmt.Errorf("hook %q is not known: want %s", args[0], prePush)
			}
			err := runPrePush(cmd, args[1], of, df, cf)
			var e exit
			if err == nil || strict || errors.As(err, &e) && e.Code == exitFindings {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "quench: the push is not blocked, but it was not fully scanned: %v\n", err)
			return nil
		},
	}
	of.add(cmd)
	df.add(cmd)
	cf.add(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "block the push when it could not be scanned completely")
	return cmd
}

func runPrePush(cmd *cobra.Command, remote string, of outputFlags, df detectFlags, cf containFlags) error {
	refs, err := hook.ParseRefs(cmd.InOrStdin())
	if err != nil {
		return err
	}
	tracking, err := hook.Tracking(".", remote)
	if err != nil {
		return err
	}
	tips, exclude := hook.Pushed(refs, tracking)
	if len(tips) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), "quench: nothing to scan")
		return nil
	}
	src := sources.Git(".", sources.GitOptions{Scope: sources.Scope{NewTips: tips, Exclude: exclude}})
	res, err := runScan(cmd, []sources.Source{src}, []string{"."}, of, df, cf, scanOptions{mayBeEmpty: true})
	if err != nil {
		return err
	}
	switch code := res.ExitCode(); {
	case code == exitFindings:
		fmt.Fprint(cmd.ErrOrStderr(), `
quench: the push is blocked: it carries what the report above names.
  1. Revoke the secret where it was issued: it is in your local history already.
  2. Take it out of the commits: git commit --amend for the last one,
     git rebase -i for an earlier one, then push again.
  If it is no secret at all, git push --no-verify skips this check.
`)
		return exit{Code: exitFindings, Err: res.Failed}
	case code != exitOK:
		return exit{Code: code, Err: errors.Join(res.Failed, errIncomplete)}
	}
	return nil
}

var errIncomplete = errors.New("the scan is not complete, see above")

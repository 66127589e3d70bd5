package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/hook"
	"github.com/quench-dev/quench/sources"
)

func newHookCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Block commits and pushes that carry secrets",
	}
	cmd.AddCommand(newHookInstallCmd(), newHookUninstallCmd(), newHookRunCmd())
	return cmd
}

// hookArg is the hook named by the only argument, or pre-push.
func hookArg(args []string) (hook.Kind, error) {
	if len(args) == 0 {
		return hook.Kinds[0], nil
	}
	return hook.Named(args[0])
}

func newHookInstallCmd() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install [pre-push|pre-commit|pre-receive]",
		Short: "Install a hook in this repository, pre-push unless told otherwise",
		Long: `Install writes a hook into the folder that git uses for this repository.

  pre-push      scans what a push brings before it leaves this machine
  pre-commit    scans what is staged before it is committed
  pre-receive   on a server: scans what is pushed before it is accepted, and
                refuses it too when it could not be scanned completely`,
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: hook.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := hookArg(args)
			if err != nil {
				return err
			}
			program, err := os.Executable()
			if err != nil {
				return fmt.Errorf("finding this program: %w", err)
			}
			path, err := hook.Install(".", kind.Name, program, force)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "installed %s: a %s that carries a secret is blocked\n", path, kind.Event)
			return nil
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "replace a hook that is there already; it is kept beside")
	return cmd
}

func newHookUninstallCmd() *cobra.Command {
	return &cobra.Command{
		Use:       "uninstall [pre-push|pre-commit|pre-receive]",
		Short:     "Remove the hook, and put back the one it replaced",
		Args:      cobra.MaximumNArgs(1),
		ValidArgs: hook.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := hookArg(args)
			if err != nil {
				return err
			}
			path, err := hook.Uninstall(".", kind.Name)
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
		Use:   "run HOOK [ARG…]",
		Short: "Scan what a hook is about; git calls this",
		Long: `Run reads what git tells the hook on standard input and scans what is new.
Findings block. A scan that could not be made or is not complete warns and lets
a commit or a push from here pass, unless --strict is given; pre-receive is
always strict.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, err := hook.Named(args[0])
			if err != nil {
				return err
			}
			if len(args)-1 != len(kind.Args) {
				return fmt.Errorf("hook %s: want %d arguments (%s), got %d", kind.Name, len(kind.Args), strings.Join(kind.Args, " "), len(args)-1)
			}
			err = runHook(cmd, kind, args[1:], &of, &df, &cf)
			var e exit
			switch {
			case err == nil || errors.As(err, &e) && e.Code == exitFindings:
				return err
			case strict || kind.Strict:
				fmt.Fprintf(cmd.ErrOrStderr(), "quench: the %s is blocked: it could not be scanned completely\n", kind.Event)
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "quench: the %s is not blocked, but it was not fully scanned: %v\n", kind.Event, err)
			return nil
		},
	}
	of.add(cmd)
	df.add(cmd)
	cf.add(cmd)
	cmd.Flags().BoolVar(&strict, "strict", false, "block too when not all could be scanned")
	return cmd
}

func runHook(cmd *cobra.Command, kind hook.Kind, args []string, of *outputFlags, df *detectFlags, cf *containFlags) error {
	scope, err := kind.Scope(".", cmd.InOrStdin(), args)
	if err != nil {
		return err
	}
	if scope == nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "quench: nothing to scan")
		return nil
	}
	df.base = kind.ConfigRef
	conf, err := df.load(cmd, []string{"."}, true)
	if err != nil {
		return err
	}
	// Whoever could have written this repository's alternates could have written
	// the hook as well.
	src := sources.Git(".", sources.GitOptions{Scope: *scope, TrustAlternates: true})
	res, err := runScan(cmd, []sources.Source{src}, conf, []string{"."}, *of, *df, *cf, scanOptions{mayBeEmpty: true, filters: conf.Filters})
	if err != nil {
		return err
	}
	switch code := res.ExitCode(); {
	case code == exitFindings:
		fmt.Fprintf(cmd.ErrOrStderr(), "\nquench: the %s is blocked: it carries what the report above names.\n%s", kind.Event, kind.Advice)
		return exit{Code: exitFindings, Err: res.Failed}
	case code != exitOK:
		return exit{Code: code, Err: errors.Join(res.Failed, errIncomplete)}
	}
	return nil
}

var errIncomplete = errors.New("the scan is not complete, see above")

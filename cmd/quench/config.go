package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/config"
)

func newConfigCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check configuration files, and show what a scan would go by",
		Long: `A configuration is .quench.toml at the target or above it, within its
repository, or what --config names; gitleaks' .gitleaks.toml is read too. What
lies in a scanned tree adds rules and narrows the report, and nothing else. What
is revoked and who is told is policy.toml's, see quench policy check.`,
	}
	cmd.AddCommand(newConfigCheckCmd(), newConfigShowCmd())
	return cmd
}

func newConfigCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a configuration, or the one that a scan of this folder finds",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o := config.Options{Targets: []string{"."}}
			if len(args) == 1 {
				o.File, o.NoFind = args[0], true
			}
			conf, err := config.Load(o)
			if err != nil {
				return err
			}
			if err := conf.Apply(newScanCmd().Flags()); err != nil {
				return err
			}
			conf.Describe(cmd.OutOrStdout())
			fmt.Fprintln(cmd.OutOrStdout(), "ok")
			return nil
		},
	}
}

func newConfigShowCmd() *cobra.Command {
	f := &scanFlags{}
	cmd := &cobra.Command{
		Use:   "show [TARGET…]",
		Short: "Show each option of a scan, its value, and where that comes from",
		Long: `Show takes the options of quench scan and says what a scan with them would go
by: the command line before the environment (QUENCH_MIN_CONFIDENCE for
--min-confidence), that before files, and those before the defaults.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				args = []string{"."}
			}
			for _, a := range args {
				if _, err := filepath.Abs(a); err != nil {
					return err
				}
			}
			conf, err := f.detect.load(cmd, args, f.trustAlternates)
			if err != nil {
				return err
			}
			return conf.Show(cmd.OutOrStdout(), cmd.Flags())
		},
	}
	f.addTo(cmd)
	return cmd
}

package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/bulkcmd"
	"github.com/quench-dev/quench/cmd/internal/duecmd"
	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/reviewcmd"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/cmd/internal/verifycmd"
	"github.com/quench-dev/quench/registry"
)

func newTokenCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Issue, import, list, verify, rotate, suspend and revoke tokens",
		Long: `Token keeps the registry of issued tokens: whose each one is, what for, what it
may do and until when. Values are stored as keyed hashes only. A value is read
from standard input or a file, never from the command line, where every process
could see it and the shell would keep it.`,
		Args: input.NoValue("token", 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(bulkcmd.New(bulkEnv())...)
	cmd.AddCommand(newTokenListCmd(), newTokenShowCmd(), verifycmd.New(verifycmd.Env{Open: openToVerify, Close: closeRegistry, Refused: exit{Code: exitFindings}}), newTokenRotateCmd(), newTokenRevokeCmd(), newTokenSuspendCmd(), newTokenResumeCmd())
	cmd.AddCommand(duecmd.New(duecmd.Env{Open: openRegistry, Close: closeRegistry, Found: exit{Code: exitFindings}})...)
	cmd.AddCommand(reviewcmd.New(reviewcmd.Env{Open: openRegistry, Close: closeRegistry, Found: exit{Code: exitFindings}}))
	return cmd
}

func newTokenListCmd() *cobra.Command {
	var f registry.Filter
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List tokens, oldest first",
		Args:  input.NoValue("token list", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			switch f.State {
			case "", registry.Live, registry.Expired, registry.Suspended, registry.Revoked:
			default:
				return fmt.Errorf("--state %q: must be live, expired, suspended or revoked", f.State)
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			all, err := r.List(cmd.Context(), f)
			if err != nil {
				return err
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), append([]registry.Token{}, all...))
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "no tokens")
				return nil
			}
			return show.Tokens(cmd.OutOrStdout(), all)
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&f.Owner, "owner", "", "only tokens of this owner")
	fl.StringVar(&f.State, "state", "", "only tokens in this state: live, expired, suspended or revoked")
	fl.StringVar(&f.Tag, "tag", "", "only tokens with this tag")
	formatFlag(cmd, &format)
	return cmd
}

func formatFlag(cmd *cobra.Command, format *string) {
	cmd.Flags().StringVar(format, "format", "text", "of standard output: text or json")
}

func checkFormat(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--format %q: must be text or json", format)
	}
	return nil
}

func newTokenShowCmd() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show all that is known of a token",
		Args:  input.NoValue("token show", 1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			r, err := openRegistry(cmd, false)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, err := r.Token(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), t)
			}
			return show.Token(cmd.OutOrStdout(), t)
		},
	}
	formatFlag(cmd, &format)
	return cmd
}

// bulkEnv is what the commands that make tokens are given.
func bulkEnv() bulkcmd.Env {
	return bulkcmd.Env{Open: openRegistry, OpenToIssue: openToIssue, Close: closeRegistry, Incomplete: func(err error) error { return exit{Code: exitIncomplete, Err: err} }}
}

// closeRegistry closes r and adds its error to *err: a checkpoint that could
// not be written must be heard of. The exit code of *err stays.
func closeRegistry(r *registry.Registry, err *error) {
	if cerr := r.Close(); cerr != nil {
		var e exit
		if errors.As(*err, &e) && e.Err == nil {
			*err = exit{Code: e.Code, Err: cerr}
			return
		}
		*err = errors.Join(*err, cerr)
	}
}

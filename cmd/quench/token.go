package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/duecmd"
	"github.com/quench-dev/quench/cmd/internal/input"
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
	cmd.AddCommand(newTokenIssueCmd(), newTokenImportCmd(), newTokenListCmd(), newTokenShowCmd(), verifycmd.New(verifycmd.Env{Open: openRegistry, Close: closeRegistry, Refused: exit{Code: exitFindings}}), newTokenRotateCmd(), newTokenRevokeCmd(), newTokenSuspendCmd(), newTokenResumeCmd())
	cmd.AddCommand(duecmd.New(duecmd.Env{Open: openRegistry, Close: closeRegistry, Found: exit{Code: exitFindings}})...)
	return cmd
}

func newTokenIssueCmd() *cobra.Command {
	var q registry.IssueRequest
	var life, rotate input.TTL
	var format, policy string
	cmd := &cobra.Command{
		Use:   "issue --owner NAME --purpose TEXT [--scope ACTION:RESOURCE]…",
		Short: "Make a new token and show it this once",
		Long: `Issue makes a token and writes its value to standard output, this once; nobody
can show it again. All else goes to standard error. The registry is created when
there is none.

A scope is action:resource, each side segments joined by '/'. '*' stands for one
whole segment, '**' at the end for one or more. A token without scopes can do
nothing.`,
		Example: `  quench token issue --owner ann --purpose "nightly backup" --scope read:repo/* --ttl 7d
  quench token issue --owner ci --purpose deploy --scope deploy:** --format env > .env`,
		Args: input.NoValue("token issue", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "uri" && format != "env" && format != "json" {
				return fmt.Errorf("--format %q: must be text, uri, env or json", format)
			}
			q.TTL, q.RotateWithin = time.Duration(life), time.Duration(rotate)
			r, err := openToIssue(cmd, true, policy)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, value, err := r.Issue(cmd.Context(), q)
			if err != nil {
				return err
			}
			if err := registry.WriteIssued(cmd.OutOrStdout(), format, t, value); err != nil {
				return err
			}
			w := cmd.ErrOrStderr()
			fmt.Fprintf(w, "issued %s for %s, expires %s; the value is not stored and cannot be shown again\n", t.ID, t.Owner, show.Stamp(t.ExpiresAt))
			if len(t.Scopes) == 0 {
				fmt.Fprintln(w, "note: it has no scope, so it can do nothing; grant some with --scope ACTION:RESOURCE")
			}
			return nil
		},
	}
	f := cmd.Flags()
	tokenFlags(cmd, &q.Owner, &q.Purpose, &q.Scopes, &q.Env, &q.Tags)
	f.Var(&life, "ttl", "time until it expires, such as 30d, 720h or 90m (default 30d, or less by policy)")
	f.Lookup("ttl").DefValue = ""
	f.BoolVar(&q.Never, "never", false, "it never expires, where the policy allows that")
	f.StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	cmd.MarkFlagsMutuallyExclusive("ttl", "never")
	f.StringVar(&q.Prefix, "prefix", "", `brand the token begins with (default "qnk")`)
	f.Var(&rotate, "rotate-within", "time until it should be rotated; later uses are good, and audited")
	f.Lookup("rotate-within").DefValue = ""
	f.StringArrayVar(&q.Networks, "network", nil, "client network it is good from, CIDR or an address; repeat for more (default: all)")
	f.StringArrayVar(&q.Countries, "country", nil, "country it is good from, such as DE; repeat for more (default: all)")
	f.Int64Var(&q.MaxUses, "max-uses", 0, "uses it is good for (default: any number)")
	f.StringVar(&format, "format", "text", "of standard output: text (the value), uri (secret-token:value), env (QUENCH_TOKEN=value) or json")
	return cmd
}

// tokenFlags adds what issue and import share.
func tokenFlags(cmd *cobra.Command, owner, purpose *string, scopes *[]string, env *string, tags *[]string) {
	f := cmd.Flags()
	f.StringVar(owner, "owner", "", "who answers for the token (required)")
	f.StringVar(purpose, "purpose", "", "what it is for (required)")
	f.StringArrayVar(scopes, "scope", nil, "what it may do, action:resource; repeat for more")
	f.StringVar(env, "env", "live", "environment: live or test")
	f.StringArrayVar(tags, "tag", nil, "label for lists; repeat for more")
}

func newTokenImportCmd() *cobra.Command {
	var q registry.ImportRequest
	var life input.TTL
	var file string
	cmd := &cobra.Command{
		Use:   "import --owner NAME --purpose TEXT [--provider NAME] [--file FILE]",
		Short: "Register a token that exists already",
		Long: `Import reads one value from standard input, or from --file, and registers it, so
that a scan finds it whatever its form. Only a keyed hash and its form (length
and kinds of characters) are kept. The registry is created when there is none.

--provider names who issued the value and can revoke it; without it the value
counts as a token of this registry.`,
		Example: `  quench token import --owner ann --purpose "vendor key" --provider vendor < key.txt`,
		Args:    input.NoValue("token import", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q.TTL = time.Duration(life)
			if q.Value, err = input.Value(cmd.InOrStdin(), cmd.ErrOrStderr(), file); err != nil {
				return err
			}
			r, err := openRegistry(cmd, true)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			t, err := r.Import(cmd.Context(), q)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "imported %s\n", t.ID)
			if len(t.HardToFind) > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: a scan does not find this value written as %s\n", strings.Join(t.HardToFind, "  "))
			}
			return nil
		},
	}
	f := cmd.Flags()
	tokenFlags(cmd, &q.Owner, &q.Purpose, &q.Scopes, &q.Env, &q.Tags)
	f.Var(&life, "ttl", "time until it expires (default 30d, and not known with --provider)")
	f.Lookup("ttl").DefValue = ""
	f.StringVar(&q.Provider, "provider", "", "who issued it, a provider of the policy")
	f.StringVar(&file, "file", "", "read the value from this file instead of standard input")
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

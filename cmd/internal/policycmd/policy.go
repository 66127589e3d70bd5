// Package policycmd is quench policy: what a policy file allows, and what it would do
// about findings.
//
// It reads a policy and a report and says so in words; it opens no registry and calls
// nobody. Start reading at New.
package policycmd

import (
	"cmp"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
)

// Load reads a policy file, or the usual one for an empty path.
type Load func(path string) (revoker.Policy, error)

// New makes the command.
func New(load Load) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check the policy of what is revoked, issued, and who is told"}
	cmd.AddCommand(newCheck(load), newSimulate(load))
	return cmd
}

func newCheck(load Load) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a policy file and say what it allows",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			p, err := load(path)
			if err != nil {
				return err
			}
			if err := p.CheckSecrets(); err != nil {
				return err
			}
			say(cmd.OutOrStdout(), p)
			return nil
		},
	}
}

func say(out io.Writer, p revoker.Policy) {
	for _, v := range p.Providers {
		if v.Kind == "api" {
			fmt.Fprintf(out, "provider %s is called at %s\n", v.Name, cmp.Or(v.Host, "its own host"))
			continue
		}
		fmt.Fprintf(out, "provider %s is told by %s at %s\n", v.Name, v.Kind, v.URL)
	}
	if len(p.Providers) == 0 {
		fmt.Fprintln(out, "no provider is told of leaks")
	}
	for _, line := range p.Allowed() {
		fmt.Fprintln(out, line)
	}
	fmt.Fprintf(out, "%d tokens and %d owners are protected\n", len(p.Protect.Tokens), len(p.Protect.Owners))
	if n := len(p.Protect.Providers) + len(p.Protect.Rules) + len(p.Protect.Paths); n > 0 {
		fmt.Fprintf(out, "%d providers, %d rules and %d paths are protected\n", len(p.Protect.Providers), len(p.Protect.Rules), len(p.Protect.Paths))
	}
	if p.Usage.Countries != "" || len(p.Usage.Suspend) > 0 {
		fmt.Fprintf(out, "usage: %s\n", p.Usage.String())
	}
	if len(p.Issue.Rules) > 0 {
		fmt.Fprintf(out, "%d rules say who may be issued which tokens\n", len(p.Issue.Rules))
	}
}

func newSimulate(load Load) *cobra.Command {
	var policy string
	cmd := &cobra.Command{
		Use:   "simulate FINDINGS",
		Short: "Say what --revoke=auto would do about the findings of a report",
		Long: `Simulate reads findings as quench scan --format jsonl writes them, from a file
or from standard input (-), and says of each what a scan with --revoke=auto
would do under the policy. It calls nobody, opens no registry and changes
nothing. The brake begins at zero, and what only a registry knows of a token is
not considered.`,
		Example: "  quench scan --format jsonl . | quench policy simulate -",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := load(policy)
			if err != nil {
				return err
			}
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return fmt.Errorf("reading the findings: %w", err)
				}
				defer f.Close()
				in = f
			}
			n := 0
			err = p.Simulate(in, func(where, what string) error {
				n++
				_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", show.Shown(where), what)
				return err
			})
			if err == nil && n == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "there is no finding in it")
			}
			return err
		},
	}
	cmd.Flags().StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

// Package policycmd is quench policy: what a policy file allows, and what it would do
// about findings.
//
// It reads a policy and a report and says so in words; of the registry it reads
// how the brakes stand, and it calls nobody. Start reading at New.
package policycmd

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/registrycmd"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/policy"
)

// Load reads a policy file, or the usual one for an empty path.
type Load func(path string) (revoker.Policy, error)

// with runs f with the revoker of the registry whose brakes count, if there is one.
func with(reg registrycmd.Optional, cmd *cobra.Command, p revoker.Policy, f func(*revoker.Revoker) error) (err error) {
	r, err := reg.Find(cmd)
	if r == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	rev, err := revoker.New(r, p, revoker.Options{})
	if err != nil {
		return err
	}
	return f(rev)
}

// New makes the command.
func New(load Load, reg registrycmd.Optional) *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check the policy of what is revoked, issued, and who is told"}
	cmd.AddCommand(newCheck(load, reg), newSimulate(load, reg))
	return cmd
}

func newCheck(load Load, reg registrycmd.Optional) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a policy file and say what it allows",
		Long: `Check reads a policy file, and says in words what it allows. Where there is a
registry it says how the brakes stand there, too.`,
		Args: cobra.MaximumNArgs(1),
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
			return with(reg, cmd, p, func(r *revoker.Revoker) error {
				brakes, err := r.Brakes(cmd.Context())
				for _, b := range brakes {
					fmt.Fprintln(cmd.OutOrStdout(), b.Stands())
				}
				return err
			})
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

func newSimulate(load Load, reg registrycmd.Optional) *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "simulate FINDINGS",
		Short: "Say what --revoke=auto would do about the findings of a report",
		Long: `Simulate reads findings as quench scan --format jsonl writes them, from a file
or from standard input (-), and says of each what a scan with --revoke=auto
would do now under the policy. It calls nobody and changes nothing. The brakes
stand as in the registry, if there is one; what that knows of a single token is
not considered.`,
		Example: "  quench scan --format jsonl . | quench policy simulate -",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("which findings? Give one file that quench scan --format jsonl wrote, or - for standard input: quench scan --format jsonl . | quench policy simulate -")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := load(file)
			if err != nil {
				return err
			}
			var so policy.Lately
			err = with(reg, cmd, p, func(r *revoker.Revoker) (err error) {
				so, err = r.Lately(cmd.Context())
				return err
			})
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
			err = p.Simulate(in, so, func(where, what string) error {
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
	cmd.Flags().StringVar(&file, "policy", "", "policy file (default policy.toml in the configuration folder)")
	return cmd
}

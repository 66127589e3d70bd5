package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/revoker"
)

// loadPolicy reads the policy file named by a flag, or the one in the user's
// configuration folder, which may be missing: the empty policy tells nobody.
func loadPolicy(path string) (revoker.Policy, error) {
	if path != "" {
		return revoker.LoadPolicy(path)
	}
	dir, err := configDir()
	if err != nil {
		return revoker.Policy{}, nil // no home, no policy
	}
	p, err := revoker.LoadPolicy(filepath.Join(dir, "policy.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		return revoker.Policy{}, nil
	}
	return p, err
}

// configDir is the folder of the user's configuration.
func configDir() (string, error) {
	// A relative one is ignored, as its specification says: from within a scanned
	// tree it would name a folder of that tree.
	if dir := os.Getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "quench"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".config", "quench"), nil
}

func newPolicyCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "policy", Short: "Check the policy of what is revoked, issued, and who is told"}
	cmd.AddCommand(&cobra.Command{
		Use:   "check [FILE]",
		Short: "Check a policy file and say what it allows",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := ""
			if len(args) == 1 {
				path = args[0]
			}
			p, err := loadPolicy(path)
			if err != nil {
				return err
			}
			if err := p.CheckSecrets(); err != nil {
				return err
			}
			out := cmd.OutOrStdout()
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
			fmt.Fprintf(out, "%d tokens and %d owners are protected\n", len(p.Protect.Tokens), len(p.Protect.Owners))
			if p.Usage.Countries != "" || len(p.Usage.Suspend) > 0 {
				fmt.Fprintf(out, "usage: %s\n", p.Usage.String())
			}
			if len(p.Issue.Rules) > 0 {
				fmt.Fprintf(out, "%d rules say who may be issued which tokens\n", len(p.Issue.Rules))
			}
			return nil
		},
	})
	return cmd
}

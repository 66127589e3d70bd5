package main

import (
	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/view"
)

func newViewCmd() *cobra.Command {
	var p view.Page
	var noOpen bool
	cmd := &cobra.Command{
		Use:   "view FILE…",
		Short: "Show reports as one page in the browser: Quench, gitleaks, TruffleHog, SARIF",
		Long: `View reads reports and shows them as one page of HTML, which can be searched,
filtered and grouped, and loads and sends nothing. What a FILE is, it tells by
itself: Quench's json or jsonl, gitleaks' json, TruffleHog's json, or SARIF; -
is standard input.

Secrets are redacted, also those of reports that hold them in plaintext, unless
--show-secrets is given. Without --output the page lies in the user's cache
folder, for this user alone, and the next one replaces it.`,
		Example: `  quench scan --format json -o report.json; quench view report.json
  quench view gitleaks.json trufflehog.jsonl other.sarif
  quench view report.json --output report.html   a file to pass on`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p.Files, p.Version = args, buildVersion()
			p.Stdin, p.Stdout, p.Stderr = cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr()
			p.Open = p.Output == "" && !noOpen
			return p.Write()
		},
	}
	cmd.Flags().StringVarP(&p.Output, "output", "o", "", "write the page to this file and do not open it")
	cmd.Flags().BoolVar(&p.ShowSecrets, "show-secrets", false, "show secrets that the reports hold in plaintext")
	cmd.Flags().BoolVar(&noOpen, "no-open", false, "do not open the browser")
	return cmd
}

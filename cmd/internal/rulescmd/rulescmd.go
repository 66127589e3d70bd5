// Package rulescmd is quench rules: what is looked for, and trials of rules of one's
// own.
//
// It reads flags and calls packages show and ruletest. Start reading at New.
package rulescmd

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/quench-dev/quench/cmd/internal/ruletest"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// New makes the command. failed makes the error of examples that fail, which has an exit
// code of its own.
func New(failed func(error) error) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show what is looked for, and test rules of your own",
		Long: `Rules say what a secret looks like. They are data: TOML files, one per provider,
built in or your own. Every rule brings examples and near misses as templates
such as acme_{20:alnum}, so that no file holds a token.`,
	}
	cmd.AddCommand(newRulesListCmd(), newRulesShowCmd(), newRulesTestCmd(failed), newRulesLiteralsCmd())
	return cmd
}

func newRulesListCmd() *cobra.Command {
	var format, provider string
	var files []string
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List the built-in rules, and your own",
		Example: "  quench rules list --provider github\n  quench rules list --format json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			set, err := withFiles(files)
			if err != nil {
				return err
			}
			rows := []show.RuleRow{}
			for _, r := range set.Rules() {
				if provider == "" || r.Provider == provider {
					rows = append(rows, show.NewRuleRow(r))
				}
			}
			if len(rows) == 0 {
				return fmt.Errorf("no rule of provider %q; quench rules list shows all", provider)
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), rows)
			}
			return show.Rules(cmd.OutOrStdout(), rows, terminalWidth(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "", "only rules of this provider")
	filesFlag(cmd, &files)
	formatFlag(cmd, &format)
	return cmd
}

// terminalWidth is the width of w in columns, 0 when it is no terminal.
func terminalWidth(w io.Writer) int {
	if tty, ok := w.(*os.File); ok && term.IsTerminal(int(tty.Fd())) {
		if width, _, err := term.GetSize(int(tty.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// filesFlag is --rules as scan has it.
func filesFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringArrayVar(files, "rules", nil, "rule file to use beside the built-in rules (repeatable)")
}

// withFiles are the built-in rules and those of files.
func withFiles(files []string) (*rules.Set, error) {
	set, err := rules.Builtin()
	if err != nil || len(files) == 0 {
		return set, err
	}
	own, err := rules.LoadFiles(files...)
	if err != nil {
		return nil, err
	}
	return rules.Merge(set, own)
}

func newRulesShowCmd() *cobra.Command {
	var format string
	var files []string
	cmd := &cobra.Command{
		Use:     "show ID",
		Short:   "Show a rule, how it is decided, and a made-up example, masked",
		Example: "  quench rules show github-pat\n  quench rules show --rules acme.toml acme-key",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			set, err := withFiles(files)
			if err != nil {
				return err
			}
			r, ok := set.Rule(args[0])
			if !ok {
				return fmt.Errorf("no rule %q; %s", args[0], show.Similar(set, args[0]))
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), show.NewRuleRow(r))
			}
			return show.Rule(cmd.OutOrStdout(), set, r, terminalWidth(cmd.OutOrStdout()))
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			set, err := rules.Builtin()
			if err != nil {
				return nil, cobra.ShellCompDirectiveError
			}
			var ids []string
			for _, r := range set.Rules() {
				ids = append(ids, r.ID+"\t"+r.Description)
			}
			return ids, cobra.ShellCompDirectiveNoFileComp
		},
	}
	filesFlag(cmd, &files)
	formatFlag(cmd, &format)
	return cmd
}

func newRulesTestCmd(failed func(error) error) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE...",
		Short: "Load rule files strictly and run their examples",
		Long: `Test loads rule files as a scan would, tries each rule on its examples (exactly
one secret) and negatives (none), and says which built-in rules find the same
secrets. Exit codes: 0 all as stated, 1 an example or negative is not, 2 a file
does not load.`,
		Example: "  quench rules test acme.toml",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			own, err := rules.LoadFiles(args...)
			if err != nil {
				return err
			}
			builtin, err := rules.Builtin()
			if err != nil {
				return err
			}
			all, err := rules.Merge(builtin, own)
			if err != nil {
				return err
			}
			eng, err := scanner.New(all, scanner.Options{DecodeDepth: -1})
			if err != nil {
				return err
			}
			faults := 0
			for _, r := range own.Rules() {
				n, err := ruletest.Run(cmd.OutOrStdout(), eng, all, r)
				if err != nil {
					return err
				}
				faults += n
			}
			if err := eng.Err(); err != nil {
				return err
			}
			if faults > 0 {
				return failed(fmt.Errorf("%d of the rules' examples and negatives failed", faults))
			}
			return nil
		},
	}
}

func newRulesLiteralsCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "literals",
		Short: "Print the keywords of all built-in rules, one per line",
		Long: `Literals prints the texts that the scan looks for first, sorted: input for other
search tools, and for measuring this one against them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			set, err := rules.Builtin()
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), strings.Join(set.Keywords(), "\n")+"\n")
			return err
		},
	}
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

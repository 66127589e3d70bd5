package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

func newRulesCmd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rules",
		Short: "Show what is looked for, and test rules of your own",
		Long: `Rules say what a secret looks like. They are data: TOML files, one per provider,
built in or your own. Every rule brings examples and near misses as templates
such as acme_{20:alnum}, so that no file holds a token.`,
	}
	cmd.AddCommand(newRulesListCmd(), newRulesShowCmd(), newRulesTestCmd(), newRulesLiteralsCmd())
	return cmd
}

// ruleRow is a rule as --format json prints it.
type ruleRow struct {
	ID             string           `json:"id"`
	Provider       string           `json:"provider"`
	ProviderName   string           `json:"provider_name"`
	Description    string           `json:"description"`
	Confidence     rules.Confidence `json:"confidence"`
	Kind           rules.Kind       `json:"kind"`
	Keywords       []string         `json:"keywords"`
	Pattern        string           `json:"pattern,omitempty"`
	Group          int              `json:"secret_group,omitempty"`
	Entropy        float64          `json:"entropy,omitempty"`
	Shape          string           `json:"shape,omitempty"`
	Boundary       string           `json:"boundary"`
	BoundaryBefore string           `json:"boundary_before"`
	StopWords      []string         `json:"stop_words,omitempty"`
	Paths          []string         `json:"paths,omitempty"`
	ExcludePaths   []string         `json:"exclude_paths,omitempty"`
	Overlaps       []string         `json:"overlaps,omitempty"`
	Width          int              `json:"width,omitempty"`
	Multiline      bool             `json:"multiline"`
	Slow           bool             `json:"slow"`
	Reference      string           `json:"reference,omitempty"`
}

func rowOf(r *rules.Rule) ruleRow {
	return ruleRow{r.ID, r.Provider, r.ProviderName, r.Description, r.Confidence, r.Kind, r.Keywords, r.Pattern, r.Group, r.Entropy, r.Shape,
		r.Boundary, r.BoundaryBefore, r.StopWords, r.Paths, r.ExcludePaths, r.Overlaps, r.Width, r.Multiline, r.Slow(), r.Reference}
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
			rows := []ruleRow{}
			for _, r := range set.Rules() {
				if provider == "" || r.Provider == provider {
					rows = append(rows, rowOf(r))
				}
			}
			if len(rows) == 0 {
				return fmt.Errorf("no rule of provider %q; quench rules list shows all", provider)
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), rows)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tPROVIDER\tCONFIDENCE\tDESCRIPTION")
			for _, r := range rows {
				if r.Slow {
					r.Description += " (slow)"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.ID, r.Provider, r.Confidence, r.Description)
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&provider, "provider", "", "only rules of this provider")
	filesFlag(cmd, &files)
	formatFlag(cmd, &format)
	return cmd
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
				return fmt.Errorf("no rule %q; %s", args[0], similar(set, args[0]))
			}
			if format == "json" {
				return writeJSON(cmd.OutOrStdout(), rowOf(r))
			}
			return showRule(cmd.OutOrStdout(), set, r)
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

// similar names rules whose id or provider holds a word of id.
func similar(set *rules.Set, id string) string {
	var ids []string
	for _, r := range set.Rules() {
		for word := range strings.SplitSeq(id, "-") {
			if len(word) > 2 && strings.Contains(r.ID, strings.ToLower(word)) && len(ids) < 8 {
				ids = append(ids, r.ID)
				break
			}
		}
	}
	if len(ids) == 0 {
		return "quench rules list shows all"
	}
	return "similar are " + strings.Join(ids, ", ")
}

func showRule(out io.Writer, set *rules.Set, r *rules.Rule) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	row := func(name, value string) {
		if value != "" && value != "0" {
			fmt.Fprintf(w, "%s\t%s\n", name, value)
		}
	}
	row("id", r.ID)
	row("description", r.Description)
	row("provider", fmt.Sprintf("%s (%s)", r.ProviderName, r.Provider))
	row("confidence", string(r.Confidence))
	row("keywords", strings.Join(r.Keywords, "  "))
	row("pattern", r.Pattern)
	row("secret group", fmt.Sprint(r.Group))
	if r.Kind == rules.KindPattern {
		row("not after", r.BoundaryBefore)
		row("not before", r.Boundary)
		row("longest match", fmt.Sprintf("%d bytes", r.Width))
	}
	if r.Entropy > 0 {
		row("entropy", fmt.Sprintf("at least %v bits per character", r.Entropy))
	}
	if r.Shape != "" {
		row("shape", r.Shape+": "+rules.ShapeDoc(r.Shape))
	}
	row("stop words", strings.Join(r.StopWords, "  "))
	row("paths", strings.Join(r.Paths, "  "))
	row("not in paths", strings.Join(r.ExcludePaths, "  "))
	row("overlaps", strings.Join(r.Overlaps, "  "))
	row("decided", lane(r))
	row("reference", r.Reference)
	ex, err := maskedExample(set, r)
	if err != nil {
		return err
	}
	row("example", ex)
	return w.Flush()
}

// lane says in words how the scanner decides a rule.
func lane(r *rules.Rule) string {
	switch {
	case r.Kind == rules.KindAssignment:
		return "from the value backwards: an assigned value whose name holds a keyword"
	case r.Slow():
		return "slow lane: it has no keywords, so each line is searched with the pattern (some 3 s of CPU for each GB, twice what all other rules take)"
	case r.Multiline:
		return "at each keyword, over several lines"
	case r.Prefixed:
		return "at each keyword, with which every match begins"
	}
	return "around each keyword, within its line"
}

// maskedExample is the first line of the first example with its secrets masked.
func maskedExample(set *rules.Set, r *rules.Rule) (string, error) {
	examples, _, err := r.ExpandExamples()
	if err != nil {
		return "", err
	}
	eng, err := scanner.New(set, scanner.Options{DecodeDepth: -1})
	if err != nil {
		return "", err
	}
	masked := ""
	for _, m := range eng.ScanBytes([]byte(examples[0])) {
		if m.Rule == r {
			masked = m.Masked
		}
	}
	return masked, eng.Err()
}

func newRulesTestCmd() *cobra.Command {
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
			failed := 0
			for _, r := range own.Rules() {
				n, err := testRule(cmd.OutOrStdout(), eng, all, r)
				if err != nil {
					return err
				}
				failed += n
			}
			if err := eng.Err(); err != nil {
				return err
			}
			if failed > 0 {
				return exit{Code: exitFindings, Err: fmt.Errorf("%d of the rules' examples and negatives failed", failed)}
			}
			return nil
		},
	}
}

// testRule reports on one rule and counts what failed. Expanded examples are
// made up; what it prints of them is the template.
func testRule(w io.Writer, eng *scanner.Engine, all *rules.Set, r *rules.Rule) (failed int, err error) {
	examples, negatives, err := r.ExpandExamples()
	if err != nil {
		return 0, err
	}
	others := map[string]bool{}
	fail := func(kind string, i int, template, format string, args ...any) {
		failed++
		fmt.Fprintf(w, "%s:%d: rule %q: %s %d: %s: %q\n", r.File, r.Line, r.ID, kind, i+1, fmt.Sprintf(format, args...), template)
	}
	for i, ex := range examples {
		n := 0
		for _, m := range eng.ScanBytes([]byte(ex)) {
			if m.Rule == r {
				n++
			} else {
				others[m.Rule.ID] = true
			}
		}
		switch {
		case n == 0:
			fail("example", i, r.Examples[i], "finds no secret, %s", refusal(eng, r, ex))
		case n > 1:
			fail("example", i, r.Examples[i], "finds %d secrets, must find one", n)
		}
	}
	for i, ex := range negatives {
		for _, m := range eng.ScanBytes([]byte(ex)) {
			if m.Rule == r {
				fail("negative", i, r.Negatives[i], "finds a secret, must find none")
				break
			}
		}
	}
	if failed == 0 {
		fmt.Fprintf(w, "ok    %s  (%d examples, %d negatives)\n", r.ID, len(examples), len(negatives))
	}
	for _, id := range r.Overlaps {
		delete(others, id)
	}
	for _, o := range all.Rules() {
		if others[o.ID] {
			fmt.Fprintf(w, "note  %s: its examples are also found by %s; tighten it, or state overlaps\n", r.ID, o.ID)
		}
	}
	return failed, nil
}

// refusal says why r finds nothing in text.
func refusal(eng *scanner.Engine, r *rules.Rule, text string) string {
	for line := range bytes.Count([]byte(text), []byte{'\n'}) + 1 {
		for _, v := range eng.Explain("", []byte(text), line+1) {
			if v.Rule == r && v.Refusal != "" {
				return v.Refusal
			}
		}
	}
	if r.Kind == rules.KindAssignment {
		return "no assigned value"
	}
	return "no keyword in it"
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

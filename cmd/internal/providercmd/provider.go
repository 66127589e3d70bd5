// Package providercmd is quench provider, check and revoke: who issued a secret,
// whether it is alive, and its end by hand.
//
// It reads flags and a value, calls package provider, and shows what came of it. In the
// registry, where there is one, it counts the calls. It knows nothing of incidents.
// Start reading at New.
package providercmd

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/registrycmd"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/calls"
	"github.com/quench-dev/quench/revoker/partnerkey"
	"github.com/quench-dev/quench/revoker/provider"
)

// Deps are what the commands are given from above.
type Deps struct {
	// Policy reads a policy file, or the usual one for an empty path.
	Policy func(path string) (revoker.Policy, error)
	// Registry is where calls are counted, for all who call the same provider.
	Registry registrycmd.Optional
	// Keys are those that reports are signed with.
	Keys func(*cobra.Command) (*partnerkey.Keys, error)
	// Code makes the error that ends the program with a code and says nothing.
	Code func(code int) error
}

// New makes the commands provider, check and revoke.
func New(d Deps) []*cobra.Command {
	cmd := &cobra.Command{
		Use:   "provider",
		Short: "Who issues secrets, and can check and end them",
		Long: `A provider is who issued a secret, and can say whether it is alive and end it.
Most are one TOML file each; docs/providers.md tells how to add your own.`,
	}
	cmd.AddCommand(newList(d), newShow(d), newTest(d), newKeys(d))
	return []*cobra.Command{cmd, newCheck(d), newRevoke(d)}
}

// tableFlags are those that say which providers there are.
type tableFlags struct{ policy, dir string }

func (f *tableFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	cmd.Flags().StringVar(&f.dir, "provider-dir", "", "folder of providers of your own, one TOML file each")
}

// read gives the policy and the table of its providers.
func (f *tableFlags) read(d Deps) (revoker.Policy, *provider.Table, error) {
	p, err := d.Policy(f.policy)
	if err != nil {
		return p, nil, err
	}
	if f.dir != "" {
		p.ProviderDir = f.dir
	}
	t, err := p.Table()
	return p, t, err
}

// row is a provider as JSON has it.
type row struct {
	Name      string   `json:"name"`
	Title     string   `json:"title"`
	Check     bool     `json:"check"`
	Revoke    bool     `json:"revoke"`
	Alone     bool     `json:"alone"` // the secret itself is enough to end it
	Undo      string   `json:"undo,omitempty"`
	Note      string   `json:"note,omitempty"`
	Hosts     []string `json:"hosts"`
	Parts     []string `json:"parts"`
	Needs     []need   `json:"needs"`
	Rules     []string `json:"rules"`
	Docs      string   `json:"docs"`
	Manual    string   `json:"manual"`
	SelfHosts bool     `json:"own_host"` // the operator names the host
	calls.Standing
}

type need struct {
	Name string `json:"name"`
	Ask  string `json:"ask"`
}

func newRow(i provider.Info) row {
	r := row{Name: i.Name, Title: i.Title, Check: i.CanCheck, Revoke: i.CanRevoke, Alone: i.Alone, Undo: i.Undo, Note: i.Note, Docs: i.Docs, Manual: i.Manual,
		Hosts: append([]string{}, i.Hosts...), Parts: append([]string{}, i.Parts...), Rules: append([]string{}, i.Rules...), Needs: []need{}, SelfHosts: len(i.Hosts) == 0}
	for _, n := range i.Needs {
		r.Needs = append(r.Needs, need{n.Name, n.Ask})
	}
	return r
}

func newList(d Deps) *cobra.Command {
	var f tableFlags
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the providers, and what ends a secret there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, t, err := f.read(d)
			if err != nil {
				return err
			}
			rows, err := d.rows(cmd, p, t, t.Names())
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(rows)
			case "human":
				return list(cmd.OutOrStdout(), rows)
			}
			return fmt.Errorf("unknown format %q: want human or json", format)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func list(w io.Writer, rows []row) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "PROVIDER\tCHECK\tUNDO\tREVOKE WITH")
	for _, r := range rows {
		check, undo := "no", "no"
		if r.Check {
			check = "yes"
		}
		if r.Undo != "" {
			undo = "yes"
		}
		if len(r.Parts) > 1 { // their names would not fit in 80 columns; show has them
			r.Parts = []string{"its ids"}
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", r.Name, check, undo, r.with())
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	for _, r := range rows {
		for _, said := range r.Says() {
			fmt.Fprintf(w, "%s: %s\n", r.Name, said)
		}
	}
	return nil
}

// with says what it takes to end a secret.
func (r row) with() string {
	if !r.Revoke {
		return "by hand"
	}
	var all []string
	if r.Alone {
		all = append(all, "the secret")
	} else if len(r.Needs) > 0 {
		all = append(all, "your credential")
	}
	if len(r.Parts) > 0 {
		all = append(all, strings.Join(r.Parts, ", "))
	}
	if r.SelfHosts {
		all = append(all, "your host")
	}
	return strings.Join(all, ", ")
}

func newShow(d Deps) *cobra.Command {
	var f tableFlags
	var format string
	cmd := &cobra.Command{
		Use:   "show NAME",
		Short: "Show one provider: its hosts, what its calls take, its pages",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			p, t, err := f.read(d)
			if err != nil {
				return err
			}
			rows, err := d.rows(cmd, p, t, args)
			if err != nil {
				return err
			}
			switch format {
			case "json":
				return json.NewEncoder(cmd.OutOrStdout()).Encode(rows[0])
			case "human":
				return rows[0].print(cmd.OutOrStdout())
			}
			return fmt.Errorf("unknown format %q: want human or json", format)
		},
	}
	f.add(cmd)
	cmd.Flags().StringVarP(&format, "format", "f", "human", "human or json")
	return cmd
}

func (r row) print(w io.Writer) error {
	fmt.Fprintf(w, "%s: %s\n", r.Name, r.Title)
	line := func(key, value string) {
		if value != "" {
			fmt.Fprintf(w, "  %-8s %s\n", key, value)
		}
	}
	calls := []string{}
	if r.Check {
		calls = append(calls, "check")
	}
	if r.Revoke {
		calls = append(calls, "revoke with "+r.with())
	}
	line("calls", strings.Join(calls, ", "))
	hosts := strings.Join(r.Hosts, ", ")
	if r.SelfHosts {
		hosts = "your own: --host, or host in the policy"
	}
	line("hosts", hosts)
	line("parts", strings.Join(r.Parts, ", "))
	for _, n := range r.Needs {
		line("needs", n.Name+": "+n.Ask)
	}
	line("undo", r.Undo)
	line("note", r.Note)
	for _, said := range r.Says() {
		line("now", said)
	}
	line("rules", strings.Join(r.Rules, ", "))
	line("docs", r.Docs)
	line("by hand", strings.Replace(r.Manual, "{{host}}", append(r.Hosts, "YOUR-HOST")[0], 1))
	return nil
}

// names are providers a shell may complete.
func names(d Deps) func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var f tableFlags
		_, t, err := f.read(d)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.Clone(t.Names()), cobra.ShellCompDirectiveNoFileComp
	}
}

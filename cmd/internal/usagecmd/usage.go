// Package usagecmd is quench usage: how tokens are used, and what is not like them.
//
// It reads flags, asks registry/usage/watch and shows what that says; which uses are
// alarming is not its to decide. Open is also for other commands whose uses are to be
// watched. Start reading at New, then Open.
package usagecmd

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/country"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/revoker"
)

// Env is what the commands are given.
type Env struct {
	Open   func(*cobra.Command, registry.Options) (*registry.Registry, error)
	Policy func(file string) (revoker.Policy, error)
	Close  func(*registry.Registry, *error)
	Code   func(code int) error // an error that ends the program with it, silently
}

// Open opens, by open, a registry whose uses are watched under a policy. It says once, to
// notes, that there is no country database; nil notes are not for people.
func Open(cmd *cobra.Command, open func(*cobra.Command, registry.Options) (*registry.Registry, error), o registry.Options, p revoker.Policy, notes io.Writer) (*registry.Registry, *watch.Watch, error) {
	w := watch.Options{Policy: p.Usage, Protected: func(t *registry.Token) bool { return p.Protects(*t) }}
	if p.Usage.Countries != "" {
		db, err := country.Open(p.Usage.Countries, nil)
		if err != nil {
			return nil, nil, err
		}
		o.Countries, w.Countries = db, db
	} else if notes != nil {
		fmt.Fprintln(notes, "note: the policy names no country_database in [usage], so alerts on countries are off")
	}
	r, err := open(cmd, o)
	if err != nil {
		return nil, nil, err
	}
	x, err := watch.New(r, w)
	if err != nil {
		r.Close()
		return nil, nil, err
	}
	r.Observe(x)
	return r, x, nil
}

// Watch is the usage watch of a registry that is open already, under a policy.
func Watch(r *registry.Registry, p revoker.Policy, notes io.Writer) (*watch.Watch, error) {
	if r == nil {
		return nil, errors.New("access logs need a registry: whose uses would it be")
	}
	o := watch.Options{Policy: p.Usage, Protected: func(t *registry.Token) bool { return p.Protects(*t) }}
	if p.Usage.Countries == "" {
		fmt.Fprintln(notes, "note: the policy names no country_database in [usage], so alerts on countries are off")
		return watch.New(r, o)
	}
	db, err := country.Open(p.Usage.Countries, nil)
	if err != nil {
		return nil, err
	}
	o.Countries = db
	return watch.New(r, o)
}

// with runs f with the watch of the registry that exists.
func (e Env) with(cmd *cobra.Command, policy string, notes io.Writer, f func(*registry.Registry, *watch.Watch, revoker.Policy) error) (err error) {
	p, err := e.Policy(policy)
	if err != nil {
		return err
	}
	r, w, err := Open(cmd, e.Open, registry.Options{EachUse: true}, p, notes)
	if err != nil {
		return err
	}
	defer e.Close(r, &err)
	return f(r, w, p)
}

// New makes the command.
func New(e Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "usage",
		Short: "How tokens are used, and alerts on what is not like them",
		Long: `Usage learns of each token which endpoints, methods, countries, networks, agents
and scopes it is used with and how often, and alerts on what is unlike that: a
new country, many new endpoints, a burst, a use after a long silence or after
its revocation, two places at once, a sensitive scope, scopes asked for in vain.

It is fed by quench serve and token verify, and by access logs (usage ingest).
What is alarming, and whether a signal suspends the token, is section [usage]
of the policy file.`,
		Args: input.NoValue("usage", 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(e.ingest(), e.show(), e.alerts(), e.mute(), e.mutes())
	return cmd
}

func policyFlag(cmd *cobra.Command, policy *string) {
	cmd.Flags().StringVar(policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
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

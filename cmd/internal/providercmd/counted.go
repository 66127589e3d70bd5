package providercmd

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/revoker/calls"
	"github.com/quench-dev/quench/revoker/provider"
)

// book opens the count of calls. A registry that cannot be read keeps nobody from ending
// a leaked secret: that is said, and nothing counted.
func (d Deps) book(cmd *cobra.Command) (b *calls.Book, end func(*error)) {
	r, err := d.Registry.Find(cmd)
	if err != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: calls to providers are not counted: %v\n", err)
	}
	if r == nil || err != nil {
		return nil, func(*error) {}
	}
	return calls.Of(r), func(err *error) { *err = errors.Join(*err, r.Close()) }
}

// rows are providers, and how the calls to them stand.
func (d Deps) rows(cmd *cobra.Command, p revoker.Policy, t *provider.Table, names []string) (rows []row, err error) {
	infos := []provider.Info{}
	for _, name := range names {
		x, err := t.Get(name)
		if err != nil {
			return nil, err
		}
		infos = append(infos, x.Info())
	}
	b, end := d.book(cmd)
	defer end(&err)
	all, err := b.Standings(cmd.Context(), infos, p.Rate)
	if err != nil {
		return nil, err
	}
	for _, i := range infos {
		r := newRow(i)
		r.Standing = all[i.Name]
		rows = append(rows, r)
	}
	return rows, nil
}

// counted makes calls by hand; those that spend are held to the provider's limit. What
// goes to another host than the policy's says nothing of that one, and is not counted.
func (d Deps) counted(cmd *cobra.Command, x target, spend bool, call func() []provider.Answer) (all []provider.Answer, err error) {
	if x.elsewhere {
		return call(), nil
	}
	b, end := d.book(cmd)
	defer end(&err)
	if spend {
		if err := b.Spend(cmd.Context(), x.p.Info(), x.policy.Rate); err != nil {
			return nil, err
		}
	}
	all = call()
	if err := b.Told(cmd.Context(), x.p.Info().Name, all[len(all)-1]); err != nil { // the call is made, and its answer is shown
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: what the answer says to other calls is not kept: %v\n", err)
	}
	return all, nil
}

// check is a check by hand. It spends nothing: limits are of calls that end a secret.
func (d Deps) check(cmd *cobra.Command, x target) (a provider.Answer, err error) {
	all, err := d.counted(cmd, x, false, func() []provider.Answer {
		return []provider.Answer{x.p.Check(cmd.Context(), x.net, x.set, x.in)}
	})
	if err == nil {
		a = all[0]
	}
	return a, err
}

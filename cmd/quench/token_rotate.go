package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/deliver"
	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
)

func newTokenRotateCmd() *cobra.Command {
	var q registry.RotateRequest
	var to deliver.To
	var life input.TTL
	overlap := input.TTL(registry.DefaultOverlap)
	var now bool
	var format, policy string
	cmd := &cobra.Command{
		Use:   "rotate ID [--overlap 1d|--now] [--to-file FILE | -- COMMAND ARG…]",
		Short: "Issue a token's successor and let the old one run out",
		Long: `Rotate issues a successor with the same owner, purpose and rights (or fewer, by
--scope), and ends the old token after the overlap, or at once with --now. The
successor's value goes to standard output, to a file (mode 0600, whole or not at
all), or to the standard input of a command, which is started without a shell
and gets no secret of this process.

The old token ends only when the new one has arrived. If the command fails, or
the file cannot be written, the successor is revoked and the old token stays as
it was.`,
		Example: `  quench token rotate QF3xP0aYb1 --to-file /etc/app/token
  quench token rotate QF3xP0aYb1 --now -- kubectl create secret generic app --from-file=token=/dev/stdin`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if at := cmd.ArgsLenAtDash(); at >= 0 {
				args, to.Command = args[:at], args[at:]
				if len(to.Command) == 0 {
					return errors.New("token rotate: there is no command after --")
				}
			}
			if err := input.NoValue("token rotate", 1)(cmd, args); err != nil {
				return err
			}
			if to.File != "" && to.Command != nil {
				return errors.New("token rotate delivers to a file or to a command, not to both")
			}
			if format != "text" && format != "uri" && format != "env" && format != "json" {
				return fmt.Errorf("--format %q: must be text, uri, env or json", format)
			}
			if q.Overlap = time.Duration(overlap); now {
				q.Overlap = 0
			}
			q.TTL = time.Duration(life)
			r, err := openToIssue(cmd, false, policy)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			return rotate(cmd, r, args[0], q, to, format)
		},
	}
	f := cmd.Flags()
	f.Var(&overlap, "overlap", "how long the old token is good beside the new one")
	f.BoolVar(&now, "now", false, "end the old token as soon as the new one has arrived")
	f.Var(&life, "ttl", "time until the successor expires (default: as long as the old one was issued for)")
	f.Lookup("ttl").DefValue = ""
	f.StringArrayVar(&q.Scopes, "scope", nil, "what of the old token's rights the successor has; repeat for more (default: all)")
	f.StringVar(&q.Prefix, "prefix", "", "brand the successor begins with (default: the old token's)")
	f.StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	f.StringVar(&to.File, "to-file", "", "write the value to this file instead of standard output")
	f.StringVar(&format, "format", "text", "of the value: text, uri (secret-token:value), env (QUENCH_TOKEN=value) or json")
	cmd.MarkFlagsMutuallyExclusive("overlap", "now")
	return cmd
}

func rotate(cmd *cobra.Command, r *registry.Registry, id string, q registry.RotateRequest, to deliver.To, format string) error {
	ctx, out := cmd.Context(), cmd.ErrOrStderr()
	q.Hold = true
	t, value, err := r.Rotate(ctx, id, q)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return registry.WriteIssued(w, format, t, value) }
	if to.File == "" && to.Command == nil {
		err = write(cmd.OutOrStdout())
	} else {
		to.Output, to.Env = out, []string{"QUENCH_TOKEN_ID=" + t.ID, "QUENCH_OLD_TOKEN_ID=" + id}
		err = to.Deliver(ctx, write)
	}
	if err != nil {
		_, _, undo := r.Do(ctx, registry.Revoke, t.ID, registry.Change{Reason: "not delivered"})
		return errors.Join(fmt.Errorf("%w; the successor %s is revoked and token %s is as it was", err, t.ID, id), undo)
	}
	old, err := r.Retire(ctx, id, q.Overlap)
	if err != nil {
		return fmt.Errorf("the successor %s has arrived, and the old token is not ended: %w; run: quench token revoke %s", t.ID, err, id)
	}
	fmt.Fprintf(out, "issued %s for %s, expires %s; ", t.ID, t.Owner, show.Stamp(t.ExpiresAt))
	if old.State == registry.Revoked {
		fmt.Fprintf(out, "%s is revoked\n", old.ID)
	} else {
		fmt.Fprintf(out, "%s is good until %s\n", old.ID, show.Stamp(old.ExpiresAt))
	}
	return nil
}

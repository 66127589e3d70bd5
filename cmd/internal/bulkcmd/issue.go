package bulkcmd

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bulk"
	"github.com/quench-dev/quench/registry/issued"
)

// issuing is how token issue was called.
type issuing struct {
	line                 bulk.Line
	life, rotate         input.TTL
	format, policy, from string
	to                   string
	count                int
	file                 file
}

func (e Env) issue() *cobra.Command {
	var q issuing
	cmd := &cobra.Command{
		Use:   "issue --owner NAME --purpose TEXT [--scope ACTION:RESOURCE]… [--count N | --from FILE|-]",
		Short: "Make a new token and show it this once",
		Long: `Issue makes a token and writes its value to standard output, this once; nobody
can show it again. All else goes to standard error. The registry is created when
there is none.

A scope is action:resource, each side segments joined by '/'. '*' stands for one
whole segment, '**' at the end for one or more. An action alone is meant on each
--resource. A token without scopes can do nothing. It lives for 30 days if
nothing else is said. Section [issue] of the policy file says who may issue
what, and for how long at most (a year without it); a token that never expires
is refused unless it allows one.

--count makes many alike. --from makes one for each line of a file, of CSV with
a header or of JSON objects: owner, purpose, scopes, resources, ttl, never, env,
prefix, tags, networks, countries, max_uses, rotate_within; what a line does not
say is what the flags say. A bad line is named by its number and passed over.
Values are written line by line, to --to-file with mode 0600; a token whose
value could not be written is undone.

Exit codes: 0 done, 2 error, 3 some lines were bad.`,
		Example: `  quench token issue --owner ann --purpose "nightly backup" --scope read:repo/* --ttl 7d
  quench token issue --owner ci --purpose deploy --scope deploy:** --format env > .env
  quench token issue --owner ann --purpose mirror --scope read --scope list --resource repo/quench --resource repo/site
  quench token issue --from teams.csv --to-file issued.csv --format csv`,
		Args: input.NoValue("token issue", 0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			q.line.TTL, q.line.RotateWithin = time.Duration(q.life), time.Duration(q.rotate)
			if cmd.Flags().Changed("count") || q.from != "" {
				return e.issueMany(cmd, &q)
			}
			if name := q.file.named(cmd); name != "" {
				return fmt.Errorf("token issue takes %s with --from", name)
			}
			if q.to != "" {
				return errors.New("token issue takes --to-file with --count or --from")
			}
			return e.issueOne(cmd, &q)
		},
	}
	f := cmd.Flags()
	l := &q.line
	tokenFlags(cmd, l)
	f.Var(&q.life, "ttl", "time until it expires, such as 30d, 720h or 90m (default 30d, or less by policy)")
	f.Lookup("ttl").DefValue = ""
	f.BoolVar(&l.Never, "never", false, "it never expires, where the policy allows that")
	f.StringVar(&q.policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	cmd.MarkFlagsMutuallyExclusive("ttl", "never")
	f.StringVar(&l.Prefix, "prefix", "", `brand the token begins with (default "qnk")`)
	f.Var(&q.rotate, "rotate-within", "time until it should be rotated; later uses are good, and audited")
	f.Lookup("rotate-within").DefValue = ""
	f.StringArrayVar(&l.Networks, "network", nil, "client network it is good from, CIDR or an address; repeat for more (default: all)")
	f.StringArrayVar(&l.Countries, "country", nil, "country it is good from, such as DE; repeat for more (default: all)")
	f.Int64Var(&l.MaxUses, "max-uses", 0, "uses it is good for (default: any number)")
	f.StringVar(&q.format, "format", "text", "of the value: text, uri (secret-token:value), env (QUENCH_TOKEN=value) or json; of many: text, uri, jsonl or csv")
	f.IntVar(&q.count, "count", 1, "make so many alike")
	f.StringVar(&q.from, "from", "", "make one for each line of this file; - is standard input")
	f.StringVar(&q.to, "to-file", "", "write the values of many to this new file instead of standard output")
	cmd.MarkFlagsMutuallyExclusive("count", "from")
	q.file.more(cmd)
	return cmd
}

func (e Env) issueOne(cmd *cobra.Command, q *issuing) (err error) {
	if err := oneOf(q.format, "text", "uri", "env", "json"); err != nil {
		return err
	}
	r, err := e.OpenToIssue(cmd, true, q.policy)
	if err != nil {
		return err
	}
	defer e.Close(r, &err)
	l := q.line
	if err := l.Settle(); err != nil {
		return fmt.Errorf("issuing a token: %w", err)
	}
	t, value, err := r.Issue(cmd.Context(), registry.IssueRequest{Owner: l.Owner, Purpose: l.Purpose, Scopes: l.Scopes, TTL: l.TTL, Never: l.Never, Env: l.Env, Prefix: l.Prefix,
		Tags: l.Tags, Networks: l.Networks, Countries: l.Countries, MaxUses: l.MaxUses, RotateWithin: l.RotateWithin})
	if err != nil {
		return err
	}
	if err := issued.Write(cmd.OutOrStdout(), q.format, t, value); err != nil {
		return err
	}
	w := cmd.ErrOrStderr()
	fmt.Fprintf(w, "issued %s for %s, expires %s; the value is not stored and cannot be shown again\n", t.ID, t.Owner, show.Stamp(t.ExpiresAt))
	if len(t.Scopes) == 0 {
		fmt.Fprintln(w, "note: it has no scope, so it can do nothing; grant some with --scope ACTION:RESOURCE")
	}
	return nil
}

// maxCount bounds --count: what is more is a slip of the hand, and undone slowly.
const maxCount = 10_000_000

func (e Env) issueMany(cmd *cobra.Command, q *issuing) (err error) {
	if err := oneOf(q.format, "text", "uri", "jsonl", "csv"); err != nil {
		return err
	}
	if q.count < 1 || q.count > maxCount {
		return fmt.Errorf("--count %d: must be 1 to %d", q.count, maxCount)
	}
	in := bulk.Repeat(q.count, q.line)
	if q.from != "" {
		var end func()
		if in, end, err = q.file.open(cmd, q.from, q.line); err != nil {
			return err
		}
		defer end()
	}
	r, err := e.OpenToIssue(cmd, !q.file.dry, q.policy)
	if err != nil {
		return q.file.opening(err)
	}
	defer e.Close(r, &err)
	out, err := newOut(cmd, r, q)
	if err != nil {
		return err
	}
	run := bulk.Run{Registry: r, FromLine: q.file.from, DryRun: q.file.dry, Bad: bad(cmd)}
	c, err := run.Issue(cmd.Context(), in, out)
	err = errors.Join(err, out.close(c.Stored > 0 && !q.file.dry))
	w, verb := cmd.ErrOrStderr(), "issued"
	if q.file.dry {
		verb = "would issue"
	}
	fmt.Fprintf(w, "%s %s; the values are not stored and cannot be shown again\n", verb, plural(c.Stored, "token"))
	if c.Idle > 0 {
		fmt.Fprintf(w, "note: %d of them have no scope, so they can do nothing; grant some with --scope ACTION:RESOURCE\n", c.Idle)
	}
	return e.end(c, err)
}

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quench-dev/quench/cmd/internal/deliver"
	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/issued"
)

func newTokenRotateCmd() *cobra.Command {
	var q registry.RotateRequest
	var to deliver.To
	var gh deliver.GitHub
	var ghFile string
	life, overlap := input.TTL(0), input.Overlap{TTL: input.TTL(registry.DefaultOverlap)}
	var now bool
	var format, policy string
	cmd := &cobra.Command{
		Use:   "rotate ID [--overlap 1d|--now] [--to-file FILE | --to-github WHERE | -- COMMAND ARG…]",
		Short: "Issue a token's successor and let the old one run out",
		Long: `Rotate issues a successor with the same owner, purpose and rights (or fewer, by
--scope), and ends the old token after the overlap, or at once with --now. The
successor's value goes to standard output, to a file (mode 0600, whole or not at
all), to a secret of GitHub Actions, or to the standard input of a command,
which is started without a shell and gets no secret of this process.

The secret of GitHub is one of a repository, of its environment, or of an
organisation; it is sealed with the key that GitHub gives for it. The token that
may write it is in GITHUB_TOKEN or GH_TOKEN, or in a file.

The old token ends only when the new one has arrived. If it did not, the
successor is revoked and the old token stays as it was; if nobody can tell, both
stay alive.`,
		Example: `  quench token rotate QF3xP0aYb1 --to-file /etc/app/token
  quench token rotate QF3xP0aYb1 --to-github acme/shop@production --github-secret DEPLOY_TOKEN
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
			if to.Command != nil && (to.File != "" || gh.Where != "") || to.File != "" && gh.Where != "" {
				return errors.New("token rotate delivers to a file, to GitHub or to a command, to one of them")
			}
			if gh.Where != "" {
				if gh.Token, err = input.Credential(cmd.InOrStdin(), ghFile, "GITHUB_TOKEN", "GH_TOKEN"); err != nil {
					return err
				}
				if err := gh.Check(); err != nil {
					return err
				}
				to.GitHub = &gh
			}
			if format != "text" && format != "uri" && format != "env" && format != "json" {
				return fmt.Errorf("--format %q: must be text, uri, env or json", format)
			}
			if q.Overlap, q.TTL = time.Duration(overlap.TTL), time.Duration(life); now {
				q.Overlap = 0
			}
			r, err := openToIssue(cmd, false, policy)
			if err != nil {
				return err
			}
			defer closeRegistry(r, &err)
			return rotate(cmd, r, args[0], q, to, format)
		},
	}
	f := cmd.Flags()
	f.Var(&overlap, "overlap", "how long the old token is good beside the new one; 0 is --now")
	f.BoolVar(&now, "now", false, "end the old token as soon as the new one has arrived")
	f.Var(&life, "ttl", "time until the successor expires (default: as long as the old one was issued for)")
	f.Lookup("ttl").DefValue = ""
	f.StringArrayVar(&q.Scopes, "scope", nil, "what of the old token's rights the successor has; repeat for more (default: all)")
	f.StringVar(&q.Prefix, "prefix", "", "brand the successor begins with (default: the old token's)")
	f.StringVar(&policy, "policy", "", "policy file (default policy.toml in the configuration folder)")
	f.StringVar(&to.File, "to-file", "", "write the value to this file instead of standard output")
	githubFlags(f, &gh, &ghFile)
	f.StringVar(&format, "format", "text", "of the value: text, uri (secret-token:value), env (QUENCH_TOKEN=value) or json")
	cmd.MarkFlagsMutuallyExclusive("overlap", "now")
	return cmd
}

func githubFlags(f *pflag.FlagSet, gh *deliver.GitHub, file *string) {
	f.StringVar(&gh.Where, "to-github", "", "set a secret of GitHub Actions: OWNER/REPO, OWNER/REPO@ENVIRONMENT or ORGANISATION")
	f.StringVar(&gh.Name, "github-secret", "QUENCH_TOKEN", "name of the secret")
	f.StringVar(&gh.API, "github-api", os.Getenv("GITHUB_API_URL"), "address of GitHub's API (default $GITHUB_API_URL or https://api.github.com)")
	f.Lookup("github-api").DefValue = ""
	f.StringVar(file, "github-token-file", "", "read the token for GitHub from this file, - is standard input")
}

func rotate(cmd *cobra.Command, r *registry.Registry, id string, q registry.RotateRequest, to deliver.To, format string) error {
	ctx, out := cmd.Context(), cmd.ErrOrStderr()
	q.Hold = true
	t, value, err := r.Rotate(ctx, id, q)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error { return issued.Write(w, format, t, value) }
	if to.File == "" && to.Command == nil && to.GitHub == nil {
		err = write(cmd.OutOrStdout())
	} else {
		to.Output, to.Env = out, []string{"QUENCH_TOKEN_ID=" + t.ID, "QUENCH_OLD_TOKEN_ID=" + id}
		err = to.Deliver(ctx, write)
	}
	if errors.Is(err, deliver.ErrUnknown) {
		return fmt.Errorf("%w; the successor %s and token %s are both alive: look, and revoke the one that is not used (quench token revoke)", err, t.ID, id)
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

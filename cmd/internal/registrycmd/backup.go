package registrycmd

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/backup"
)

// server reports whether the registry is one of PostgreSQL, which has tools of its
// own for what is done with files.
func (e Env) server(cmd *cobra.Command) bool {
	path := e.Path(cmd)
	return strings.HasPrefix(path, "postgres://") || strings.HasPrefix(path, "postgresql://")
}

// oneFile wants the name of a file.
func oneFile(name, what string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != 1 {
			return fmt.Errorf("%s needs %s", name, what)
		}
		return nil
	}
}

func (e Env) backup() *cobra.Command {
	return &cobra.Command{
		Use:   "backup FILE",
		Short: "Copy the registry to a new file, while it is in use",
		Long: `Backup copies the database as of now to a new file of mode 0600, checked and on
disk when the command returns. Values that are kept, sealed, until a provider
has been told are left out. The pepper is not in it: keep that elsewhere, for
neither is of use without the other.

A registry in PostgreSQL is backed up by PostgreSQL: pg_dump --schema=…, or the
server's own backups; after putting one back, quench registry check tells what
is missing.`,
		Args: oneFile("registry backup", "the name of a new file"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if e.server(cmd) {
				return errors.New("this registry lies in PostgreSQL: back it up with pg_dump, or with the backups of the server")
			}
			r, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			w, err := backup.Write(cmd.Context(), r, args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "backed up to %s: %s, audit log of %d events, head %s\n", w.Path, humanize.IBytes(uint64(w.Size)), w.Audit.N, w.Audit.Hash)
			if err == nil {
				fmt.Fprintln(cmd.ErrOrStderr(), "note: the pepper is not in it; keep that elsewhere")
			}
			return err
		},
	}
}

func (e Env) restore() *cobra.Command {
	var q backup.Request
	var files []string
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Put a backup in the place of a registry that is gone",
		Long: `Restore puts a backup where the registry was, which must not be there any more.
Before that it checks the database, recomputes the audit log and tries the
pepper.

What was done after the backup is lost, and that includes revocations: a token
revoked since is live again. The checkpoint that quench keeps beside the pepper,
and any saved elsewhere (--checkpoint FILE, of quench audit checkpoint), tell
how many events that are. Restore is refused then unless --accept-loss says the
number. --suspend suspends every live token until you have looked.`,
		Example: `  quench registry restore backup.db
  quench registry restore backup.db --checkpoint elsewhere/checkpoint --accept-loss 12 --suspend`,
		Args: oneFile("registry restore", "the file of a backup"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if e.server(cmd) {
				return errors.New("this registry lies in PostgreSQL: restore it with pg_restore or psql, then run quench registry check")
			}
			q.File, q.Options, q.Checkpoints = args[0], e.Options(cmd), map[string][]byte{}
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					return fmt.Errorf("reading a checkpoint: %w", err)
				}
				q.Checkpoints[f] = b
			}
			done, err := backup.Restore(cmd.Context(), q)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored %s: audit log of %d events, the last of %s; %d live tokens\n", e.Path(cmd), done.Audit.N, show.Stamp(done.Newest), done.Live)
			w := cmd.ErrOrStderr()
			if done.Aside != "" {
				fmt.Fprintf(w, "the checkpoint of the registry that is gone is kept as evidence in %s\n", done.Aside)
			}
			switch {
			case q.Suspend:
				fmt.Fprintf(w, "%d tokens are suspended; resume those that you know to be good: quench token resume --owner NAME\n", done.Suspended)
			case done.Lost > 0:
				fmt.Fprintf(w, "warning: %d events are lost; what was revoked after %s is live again: revoke it now, or suspend all: quench token suspend --issued-before %s\n", done.Lost, show.Stamp(done.Newest), done.Newest.Local().Format("2006-01-02T15:04:05Z07:00"))
			default:
				fmt.Fprintf(w, "note: no checkpoint knows of later events; if tokens were revoked after %s they are live again (compare with a checkpoint saved elsewhere: quench audit verify --checkpoint FILE)\n", show.Stamp(done.Newest))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&files, "checkpoint", nil, "compare with this checkpoint too, saved elsewhere; repeat for more")
	f.Int64Var(&q.AcceptLoss, "accept-loss", 0, "number of events that are known to be lost, and may be")
	f.BoolVar(&q.Suspend, "suspend", false, "suspend every live token until you have looked")
	return cmd
}

func (e Env) acceptLoss() *cobra.Command {
	return &cobra.Command{
		Use:   "accept-loss EVENTS",
		Short: "Go on with a database that is older than its last checkpoint",
		Long: `A database that is older than the last checkpoint of its audit log is not used:
it was restored, or an older file was put in its place, and what was revoked
since is live again. Accept-loss goes on with it all the same, when told exactly
how many events are missing. That is an audit event, and the checkpoint is kept
as evidence.`,
		Args: oneFile("registry accept-loss", "the number of events that are missing"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			var n int64
			if _, err := fmt.Sscanf(args[0], "%d", &n); err != nil || n <= 0 || fmt.Sprint(n) != args[0] {
				return errors.New("registry accept-loss needs the number of events that are missing, as registry check tells it")
			}
			o := e.Options(cmd)
			o.Older = true
			r, err := registry.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			aside, err := backup.AcceptLoss(cmd.Context(), r, n)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "going on without %s; the checkpoint that knows of them is kept as evidence in %s\n", show.Count(int(n), "event", "events"), aside)
			return err
		},
	}
}

func (e Env) check() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Look whether the registry is sound",
		Long: `Check looks at the database's pages and references, recomputes the audit log and
compares it with its checkpoint, counts tokens by state and pepper, and looks
who can read the files.

Exit codes: 0 sound, 1 something is wrong, 2 error.`,
		Args: input.NoValue("registry check", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			o := e.Options(cmd)
			o.Older, o.Pepper = true, registry.PepperFrom(os.Getenv)
			r, err := registry.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			p, err := backup.Check(cmd.Context(), r, o)
			if err != nil {
				return err
			}
			if format == "json" {
				err = show.JSON(cmd.OutOrStdout(), p)
			} else {
				err = printReport(cmd, p)
			}
			if err == nil && len(p.Problems) > 0 {
				err = e.Unsound
			}
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

func printReport(cmd *cobra.Command, p backup.Report) error {
	w := cmd.OutOrStdout()
	fmt.Fprintf(w, "schema    version %d\n", p.Schema)
	if p.Audit.N > 0 { // there is none where the log could not be recomputed
		fmt.Fprintf(w, "audit     %s, head %s\n", show.Count(int(p.Audit.N), "event", "events"), p.Audit.Hash)
	}
	fmt.Fprintf(w, "tokens    %d live, %d expired, %d suspended, %d revoked\n", p.States[registry.Live], p.States[registry.Expired], p.States[registry.Suspended], p.States[registry.Revoked])
	for _, c := range p.Peppers {
		fmt.Fprintf(w, "pepper    %s %s: %s, %d live\n", c.ID, c.State, show.Count(int(c.Tokens), "token", "tokens"), c.Live)
	}
	for _, s := range p.Problems {
		fmt.Fprintf(w, "problem   %s\n", s)
	}
	_, err := fmt.Fprintln(w, map[bool]string{true: "sound", false: "not sound"}[len(p.Problems) == 0])
	return err
}

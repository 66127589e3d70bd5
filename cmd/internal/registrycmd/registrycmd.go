// Package registrycmd is the commands of quench registry: what is done with a
// registry as a whole, its peppers, its backups and its soundness.
//
// It is given where the registry is and how it is closed, and does not know exit
// codes. Start reading at New.
package registrycmd

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
)

// Env is what the commands are given.
type Env struct {
	Path    func(*cobra.Command) string           // of the registry, as the user named it
	Options func(*cobra.Command) registry.Options // to open it, when there is one
	Close   func(*registry.Registry, *error)
	Unsound error // returned when a check found something
}

// New makes the command.
func New(e Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "Check, back up and restore the registry, rotate its pepper",
		Args:  input.NoValue("registry", 0),
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(e.check(), e.backup(), e.restore(), e.acceptLoss(), e.pepper())
	return cmd
}

func (e Env) open(cmd *cobra.Command) (*registry.Registry, error) {
	return registry.Open(cmd.Context(), e.Options(cmd))
}

func (e Env) pepper() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "pepper",
		Short: "List, rotate and retire what tokens are hashed with",
		Long: `A pepper is a secret outside the database without which no token can be
recognised. It is read from QUENCH_PEPPER, from the output of the command in
QUENCH_PEPPER_COMMAND (words separated by spaces, or a JSON array; no shell), or
from the file in QUENCH_PEPPER_FILE. Up to three can be in use, in any order;
the newest is the one that tokens are stored under.`,
		Args: input.NoValue("registry pepper", 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(e.pepperList(), e.pepperRotate(), e.pepperRetire())
	return cmd
}

func (e Env) pepperList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the peppers and how many tokens depend on each",
		Args:  input.NoValue("registry pepper list", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			r, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			all, err := r.Peppers(cmd.Context())
			if err != nil {
				return err
			}
			if format == "json" {
				return show.JSON(cmd.OutOrStdout(), all)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "KEY ID\tSTATE\tTOKENS\tLIVE\tSINCE")
			for _, p := range all {
				fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\n", p.ID, p.State, p.Tokens, p.Live, show.Stamp(p.CreatedAt))
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json")
	return cmd
}

func (e Env) pepperRotate() *cobra.Command {
	return &cobra.Command{
		Use:   "rotate",
		Short: "Store new tokens under a new pepper",
		Long: `Rotate makes a new pepper and adds it to the pepper file. Where the pepper comes
from the environment or a command, put the new one there first, beside the old
(openssl rand -hex 32 makes one): rotate takes what it does not know yet.

Tokens move to the new pepper when they are next verified; until then the older
one must stay. When registry pepper list shows that no token depends on it,
retire it and take it out. The audit log's signing key stays as it is.`,
		Args: input.NoValue("registry pepper rotate", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, err := e.open(cmd)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			id, err := r.RotatePepper(cmd.Context())
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "tokens are stored under pepper %s from here on; keep the older one until registry pepper list shows no tokens under it\n", id)
			return err
		},
	}
}

func (e Env) pepperRetire() *cobra.Command {
	var forget int64
	var lost bool
	cmd := &cobra.Command{
		Use:   "retire KEYID",
		Short: "Take a pepper out of use that no token depends on",
		Long: `Retire takes an older pepper out of use; it can be deleted then. While tokens
depend on it, it is refused, unless --forget says exactly how many: these are
unknown to Verify and to scans for good. --lost is for a pepper that is not
there any more.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			o := e.Options(cmd)
			if lost {
				o.WithoutPepper = args[0]
			}
			r, err := registry.Open(cmd.Context(), o)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			if err := r.RetirePepper(cmd.Context(), args[0], forget); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "pepper %s is retired and needed no more\n", args[0])
			return err
		},
	}
	cmd.Flags().Int64Var(&forget, "forget", 0, "give up this number of tokens, which depend on it")
	cmd.Flags().BoolVar(&lost, "lost", false, "the pepper is not there any more")
	return cmd
}

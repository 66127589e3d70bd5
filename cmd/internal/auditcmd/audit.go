// Package auditcmd is the commands of quench audit: list, verify, checkpoint, prove,
// export, seal, erase and key.
//
// It is given how a registry is opened and closed. What a proof is, package audit
// knows. Start reading at New.
package auditcmd

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
)

// Env is what the commands are given.
type Env struct {
	Open  func(*cobra.Command, bool) (*registry.Registry, error)
	Close func(*registry.Registry, *error)
}

// New makes the command audit.
func New(e Env) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "List, verify, prove and export the registry's audit log",
		Long: `Audit reads the log of all that was done with tokens: a transparency log, so
that a changed, removed or reordered event is found by verify. A log that was
cut at its end is found by comparing with a checkpoint; every command that
writes leaves one beside the pepper when it ends, serve, watch and worker every
ten minutes, too, and audit checkpoint prints one to keep elsewhere.`,
		Args: input.NoValue("audit", 0),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(e.list(), e.verify(), e.checkpoint(), e.prove(), e.export(), e.seal(), e.erase(), e.key())
	return cmd
}

func (e Env) list() *cobra.Command {
	var token, format, segment string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List audit events, oldest first",
		Args:  input.NoValue("audit list", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if format != "text" && format != "json" {
				return fmt.Errorf("--format %q: must be text or json", format)
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			w := bufio.NewWriter(cmd.OutOrStdout())
			write := func(x audit.Entry) error { return event(w, x) }
			if format == "json" {
				write = func(x audit.Entry) error { return json.NewEncoder(w).Encode(x) }
			}
			if segment != "" {
				err = withFile(segment, func(f io.Reader) error {
					_, err := audit.ReadSegment(r.Audit().Key(), f, func(x audit.Entry) error {
						if token != "" && x.TokenID != token {
							return nil
						}
						return write(x)
					})
					return err
				})
			} else {
				err = r.Audit().Each(cmd.Context(), 0, token, write)
			}
			if err != nil {
				return err
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&token, "token", "", "only events of the token with this id")
	cmd.Flags().StringVar(&segment, "segment", "", "those of a file that audit seal wrote")
	cmd.Flags().StringVar(&format, "format", "text", "of standard output: text or json (one object a line)")
	return cmd
}

func (e Env) verify() *cobra.Command {
	var files, sealed []string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Recompute the audit log and compare it with its checkpoints",
		Long: `Verify hashes every event anew and compares all stored hashes with that, then
the checkpoint beside the pepper, and those given by --checkpoint. It names the
first event that is not as it was written, or how many were removed at the end.

Exit codes: 0 sound, 2 not, or not readable.`,
		Example: `  quench audit verify --checkpoint saved.checkpoint`,
		Args:    input.NoValue("audit verify", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			var saved [][]byte
			for _, f := range files {
				b, err := os.ReadFile(f)
				if err != nil {
					return fmt.Errorf("reading a checkpoint: %w", err)
				}
				saved = append(saved, b)
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			t, err := r.Audit().Verify(cmd.Context(), saved...)
			if err != nil {
				return err
			}
			if err := sound(cmd.OutOrStdout(), t); err != nil {
				return err
			}
			return segments(cmd, r.Audit(), sealed)
		},
	}
	cmd.Flags().StringArrayVar(&files, "checkpoint", nil, "compare with this checkpoint too, saved elsewhere; repeat for more")
	cmd.Flags().StringArrayVar(&sealed, "segment", nil, "check this file that audit seal wrote, too; repeat for more")
	return cmd
}

func (e Env) checkpoint() *cobra.Command {
	return &cobra.Command{
		Use:   "checkpoint",
		Short: "Print a signed checkpoint to keep elsewhere",
		Long: `Checkpoint prints the size of the log and the hash over all of it, signed. Who
has rewritten or cut the log later cannot hide it from audit verify
--checkpoint. Keep it where those who can change the database cannot.`,
		Example: `  quench audit checkpoint > saved.checkpoint`,
		Args:    input.NoValue("audit checkpoint", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			t, err := r.Audit().Head(cmd.Context())
			if err != nil {
				return err
			}
			msg, err := r.Audit().Sign(t)
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(msg)
			return err
		},
	}
}

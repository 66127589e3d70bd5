package auditcmd

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry/audit"
)

// maxProof bounds a proof in bytes: an event of a few kilobytes and sixty hashes.
const maxProof = 1 << 20

func (e Env) prove() *cobra.Command {
	var check, key, segment string
	cmd := &cobra.Command{
		Use:   "prove INDEX | prove --check FILE --key KEY",
		Short: "Prove that an event is in the log, or check such a proof",
		Long: `Prove prints a proof, as JSON, that the event with this index (see audit list)
is in the log as a signed checkpoint has it. Whoever has the log's public key
(audit key) checks it with --check, without this registry.`,
		Example: `  quench audit prove 12 > proof.json
  quench audit prove --check proof.json --key "$(cat audit.key)"`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if check != "" {
				if len(args) > 0 || key == "" {
					return errors.New("audit prove --check FILE needs the log's public key by --key, and nothing else")
				}
				return checkProof(cmd, check, key)
			}
			if err := input.NoValue("audit prove", 1)(cmd, args); err != nil {
				return err
			}
			index, err := strconv.ParseInt(args[0], 10, 64)
			if err != nil {
				return errors.New("audit prove wants the index of an event, a number; see quench audit list")
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			var p audit.Proof
			if segment != "" {
				err = withFile(segment, func(f io.Reader) (err error) {
					p, err = r.Audit().ProveFrom(cmd.Context(), index, f)
					return err
				})
			} else {
				p, err = r.Audit().Prove(cmd.Context(), index)
			}
			if err != nil {
				return err
			}
			return show.JSON(cmd.OutOrStdout(), p)
		},
	}
	cmd.Flags().StringVar(&segment, "segment", "", "the event is in this file that audit seal wrote")
	cmd.Flags().StringVar(&check, "check", "", "check the proof in this file")
	cmd.Flags().StringVar(&key, "key", "", "the log's public key, as audit key prints it")
	return cmd
}

func checkProof(cmd *cobra.Command, file, key string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the proof: %w", err)
	}
	defer f.Close()
	var p audit.Proof
	if err := json.NewDecoder(io.LimitReader(f, maxProof)).Decode(&p); err != nil {
		return fmt.Errorf("reading the proof %q: %w", file, err)
	}
	e, err := audit.CheckProof(key, p)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "proven: %d  %s  %s  %s\n", e.Index, show.Stamp(e.At), e.Kind, show.Event(e))
	return err
}

func (e Env) key() *cobra.Command {
	return &cobra.Command{
		Use:   "key",
		Short: "Print the public key that checkpoints are signed with",
		Args:  input.NoValue("audit key", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			_, err = fmt.Fprintln(cmd.OutOrStdout(), r.Audit().Key())
			return err
		},
	}
}

func (e Env) export() *cobra.Command {
	var check, key string
	cmd := &cobra.Command{
		Use:   "export | export --check FILE --key KEY",
		Short: "Write the whole log as lines that prove themselves, or check them",
		Long: `Export writes an event a line as it was hashed, and a signed checkpoint last.
Whoever has the log's public key (audit key) proves with --check, without this
registry, that no event was changed, removed, added or moved.`,
		Example: `  quench audit export > audit.jsonl
  quench audit export --check audit.jsonl --key "$(cat audit.key)"`,
		Args: input.NoValue("audit export", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if check != "" {
				if key == "" {
					return errors.New("audit export --check FILE needs the log's public key by --key")
				}
				return checkExport(cmd, check, key)
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			w := bufio.NewWriter(cmd.OutOrStdout())
			if err := r.Audit().Export(cmd.Context(), w); err != nil {
				return err
			}
			return w.Flush()
		},
	}
	cmd.Flags().StringVar(&check, "check", "", "check the export in this file")
	cmd.Flags().StringVar(&key, "key", "", "the log's public key, as audit key prints it")
	return cmd
}

func checkExport(cmd *cobra.Command, file, key string) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("opening the export: %w", err)
	}
	defer f.Close()
	t, err := audit.CheckExport(key, bufio.NewReader(f))
	if err != nil {
		return fmt.Errorf("checking %q: %w", file, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "proven: %d events, head %s\n", t.N, t.Hash)
	return err
}

package auditcmd

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/erasure"
)

func (e Env) erase() *cobra.Command {
	var owner string
	var dry bool
	cmd := &cobra.Command{
		Use:   "erase --owner NAME",
		Short: "Erase what is kept of an owner whose tokens are dead",
		Long: `Erase takes an owner out of the audit log, dead tokens, alerts and usage, for
good. The log's proofs hold all the same: what may name persons is in it as a
salted hash only, and erase removes text and salt. An event tells how much was
erased and does not repeat it; audit verify finds what is missing without one.

Backups, exports and segments keep what they hold, checkpoints hold nothing of
anybody.`,
		Args: input.NoValue("audit erase", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if owner == "" {
				return errors.New("audit erase needs the owner by --owner")
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			res, err := erasure.Owner(cmd.Context(), r, owner, dry)
			if err != nil {
				return err
			}
			verb := "erased"
			if dry {
				verb = "would erase"
			}
			if res.Sealed > 0 {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s are in segments and not looked at\n", input.Count(int(res.Sealed), "event"))
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s %s of the audit log, %s, %s\n", verb, input.Count(res.Events, "field"), input.Count(res.Tokens, "token"), input.Count(res.Alerts, "alert"))
			return err
		},
	}
	cmd.Flags().StringVar(&owner, "owner", "", "whom to erase")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "show how much there is, and do nothing")
	return cmd
}

func (e Env) seal() *cobra.Command {
	var keep input.TTL
	var file string
	cmd := &cobra.Command{
		Use:   "seal --older-than 365d --to FILE",
		Short: "Move old events out of the database into a signed file",
		Long: `Seal writes the events that are older than a time into a file, a segment, checks
it, and takes them out of the database. Their hashes stay, so that audit verify,
checkpoints and proofs go on as before. The segment proves itself with the log's
public key (audit export --check); audit list, prove and verify read it with
--segment. Keep it as long as the events are to be kept: nothing makes it again.`,
		Example: `  quench audit seal --older-than 365d --to audit-2025.jsonl`,
		Args:    input.NoValue("audit seal", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if file == "" || keep == 0 {
				return errors.New("audit seal needs an age by --older-than and a file by --to")
			}
			if _, err := os.Lstat(file); err == nil {
				return fmt.Errorf("%q exists: a segment replaces nothing", file)
			}
			r, err := e.Open(cmd, false)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			return seal(cmd, r, time.Duration(keep), file)
		},
	}
	cmd.Flags().Var(&keep, "older-than", "age of the events, such as 365d")
	cmd.Flags().Lookup("older-than").DefValue = ""
	cmd.Flags().StringVar(&file, "to", "", "write the segment to this file, which must not exist")
	return cmd
}

func seal(cmd *cobra.Command, r *registry.Registry, keep time.Duration, file string) error {
	ctx, log := cmd.Context(), r.Audit()
	from, err := log.First(ctx)
	if err != nil {
		return err
	}
	to, err := log.Before(ctx, r.Now().Add(-keep))
	if err != nil {
		return err
	}
	if to == from {
		_, err := fmt.Fprintln(cmd.OutOrStdout(), "no event is that old")
		return err
	}
	if err := write(ctx, log, file, to); err != nil {
		return fmt.Errorf("writing the segment %q: %w", file, err)
	}
	var n int64
	err = withFile(file, func(f io.Reader) error {
		_, t, err := log.VerifySegment(ctx, f)
		if err != nil {
			return err
		}
		return r.Store().InTx(ctx, func(tx *sql.Tx) (err error) {
			n, err = log.Drop(ctx, tx, r.Now(), r.Actor(), t)
			return err
		})
	})
	if err != nil {
		return fmt.Errorf("%w; no event was taken out, and %q can be removed", err, file)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "sealed %s, %d to %d, in %s\n", input.Count(int(n), "event"), from, to-1, file)
	return err
}

func write(ctx context.Context, log *audit.Log, file string, to int64) error {
	f, err := atomicfile.Create(file)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err := errors.Join(log.Segment(ctx, w, to), w.Flush()); err != nil {
		return errors.Join(err, f.Discard())
	}
	return f.Commit()
}

// withFile gives f the file, buffered.
func withFile(name string, f func(io.Reader) error) error {
	r, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("opening the segment: %w", err)
	}
	defer r.Close()
	if err := f(bufio.NewReader(r)); err != nil {
		return fmt.Errorf("segment %q: %w", name, err)
	}
	return nil
}

// segments checks segment files and says what they hold.
func segments(cmd *cobra.Command, log *audit.Log, files []string) error {
	for _, name := range files {
		err := withFile(name, func(f io.Reader) error {
			from, t, err := log.VerifySegment(cmd.Context(), f)
			if err == nil {
				_, err = fmt.Fprintf(cmd.OutOrStdout(), "sound: events %d to %d in %s\n", from, t.N-1, name)
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// sound says what verify found.
func sound(w io.Writer, t audit.Sound) error {
	s := fmt.Sprintf("sound: %d events, head %s\n", t.N, t.Hash)
	if t.Dropped > 0 {
		s += fmt.Sprintf("%s, 0 to %d, are in segments: their hashes hold, --segment FILE checks what they say\n", input.Count(int(t.Dropped), "event"), t.Dropped-1)
	}
	if t.Erased > 0 {
		s += fmt.Sprintf("erased fields of events: %d, as events of kind %s tell\n", t.Erased, audit.EraseKind)
	}
	_, err := io.WriteString(w, s)
	return err
}

// event prints an event in a line.
func event(w io.Writer, x audit.Entry) error {
	_, err := fmt.Fprintf(w, "%6d  %s  %-16s  %s\n", x.Index, show.Stamp(x.At), x.Kind, show.Event(x))
	return err
}

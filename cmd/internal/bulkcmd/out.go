package bulkcmd

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bulk"
	"github.com/quench-dev/quench/registry/issued"
)

// out is a bulk.Out that ends.
type out interface {
	bulk.Out
	// close ends the writing; keep is false when nothing came of it.
	close(keep bool) error
}

func newOut(cmd *cobra.Command, r *registry.Registry, q *issuing) (out, error) {
	if q.to == "" {
		return &stream{w: cmd.OutOrStdout(), r: r, format: q.format}, nil
	}
	if _, err := os.Lstat(q.to); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("--to-file %q: there is such a file already, and the values in it may be the only ones; name a new one", q.to)
	}
	f, err := atomicfile.Create(q.to)
	if err != nil {
		return nil, fmt.Errorf("--to-file: %w", err)
	}
	return &toFile{f: f, format: q.format}, nil
}

// render writes the values of a batch.
func render(b *bytes.Buffer, format string, header bool, all []registry.Entry) error {
	if header && format == "csv" {
		b.WriteString(issued.Header)
	}
	for i := range all {
		if all[i].Err != nil {
			continue
		}
		if err := issued.Write(b, format, all[i].Token, all[i].Value); err != nil {
			return err
		}
	}
	return nil
}

// stream writes to standard output what is committed.
type stream struct {
	w      io.Writer
	r      *registry.Registry
	format string
	begun  bool
	text   bytes.Buffer
	ids    []string
}

func (s *stream) Put(all []registry.Entry) error {
	s.drop()
	for i := range all {
		if all[i].Err == nil {
			s.ids = append(s.ids, all[i].Token.ID)
		}
	}
	return render(&s.text, s.format, !s.begun, all)
}

// Done writes the values. A batch of which that fails is revoked: nobody may have
// its values.
func (s *stream) Done() error {
	defer s.drop()
	s.begun = true
	_, err := s.w.Write(s.text.Bytes())
	if err == nil {
		return nil
	}
	undo := s.r.Store().InTx(context.Background(), func(tx *sql.Tx) error {
		for _, id := range s.ids {
			if _, _, err := s.r.DoTx(context.Background(), tx, registry.Revoke, id, registry.Change{Reason: "not delivered"}); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(fmt.Errorf("writing the values of %d tokens, which are revoked: %w", len(s.ids), err), undo)
}

func (s *stream) Undo() error      { s.drop(); return nil }
func (s *stream) close(bool) error { return nil }

// drop forgets the values.
func (s *stream) drop() {
	clear(s.text.Bytes())
	s.text.Reset()
	s.ids = s.ids[:0]
}

// toFile writes to a file what is about to be committed: a value is on disk before
// its token is. What was not committed is taken out again.
type toFile struct {
	f      *atomicfile.File
	format string
	kept   int64 // bytes of what is committed
	size   int64
}

func (t *toFile) Put(all []registry.Entry) error {
	if err := t.Undo(); err != nil { // of a transaction that is tried again
		return err
	}
	var b bytes.Buffer
	if err := render(&b, t.format, t.kept == 0, all); err != nil {
		return err
	}
	n, err := t.f.Write(b.Bytes())
	clear(b.Bytes())
	t.size = t.kept + int64(n)
	if err = errors.Join(err, t.f.Sync()); err != nil {
		return fmt.Errorf("writing the values of tokens, which are not issued: %w", err)
	}
	return nil
}

func (t *toFile) Done() error { t.kept = t.size; return nil }

func (t *toFile) Undo() error {
	_, err := t.f.Seek(t.kept, io.SeekStart)
	return errors.Join(err, t.f.Truncate(t.kept))
}

func (t *toFile) close(keep bool) error {
	if !keep {
		return t.f.Discard()
	}
	return t.f.Commit()
}

package watch

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/quench-dev/quench/cmd/internal/atomicfile"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/sources"
)

func (w *watcher) openPositions() error {
	if w.o.Registry != nil {
		w.positions = inStore{w.o.Registry.Store(), w.o.Now}
		return nil
	}
	if w.o.State == "" {
		return errors.New("no registry and no state file to keep positions in")
	}
	if err := os.MkdirAll(filepath.Dir(w.o.State), 0o700); err != nil {
		return fmt.Errorf("making the folder for positions: %w", err)
	}
	w.positions = &inFile{path: w.o.State, all: map[string]sources.TailPosition{}}
	return nil
}

// inStore keeps positions in the registry's database.
type inStore struct {
	s   *store.Store
	now func() time.Time
}

func (p inStore) load(ctx context.Context) ([]sources.TailPosition, error) {
	list, err := p.s.Positions(ctx)
	if err != nil {
		return nil, err
	}
	var out []sources.TailPosition
	for _, x := range list {
		out = append(out, sources.TailPosition{File: x.File, Path: x.Path, Offset: x.Offset, Line: x.Line,
			Identity: sources.TailIdentity{Dev: x.Dev, Ino: x.Ino, Head: x.HeadHash}})
	}
	return out, nil
}

func (p inStore) inTx(ctx context.Context, all map[string]sources.TailPosition, forget []string) func(*sql.Tx) error {
	return func(tx *sql.Tx) error {
		now := p.now()
		for _, f := range sorted(all) {
			x := all[f]
			if err := store.SavePosition(ctx, tx, store.Position{File: f, Path: x.Path, Dev: x.Dev, Ino: x.Ino, HeadHash: x.Head, Offset: x.Offset, Line: x.Line, Updated: now}); err != nil {
				return err
			}
		}
		for _, f := range forget {
			if err := store.ForgetPosition(ctx, tx, f); err != nil {
				return err
			}
		}
		return nil
	}
}

func (inStore) after(map[string]sources.TailPosition, []string) error { return nil }
func (inStore) every() time.Duration                                  { return saveEvery }

// inFile keeps them in a JSON file that is replaced whole.
type inFile struct {
	path string
	all  map[string]sources.TailPosition // by file; by path in files of older versions
}

func (p *inFile) load(context.Context) ([]sources.TailPosition, error) {
	b, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading positions: %w", err)
	}
	read := map[string]sources.TailPosition{}
	if err := json.Unmarshal(b, &read); err != nil {
		return nil, fmt.Errorf("the positions in %q do not parse; delete the file to read all logs from their start: %w", p.path, err)
	}
	var out []sources.TailPosition
	for _, x := range read {
		if x.File == "" {
			x.File = fmt.Sprintf("%d:%d", x.Dev, x.Ino)
		}
		p.all[x.File] = x
		out = append(out, x)
	}
	return out, nil
}

func (p *inFile) inTx(context.Context, map[string]sources.TailPosition, []string) func(*sql.Tx) error {
	return nil
}

func (p *inFile) after(all map[string]sources.TailPosition, forget []string) error {
	for f, x := range all {
		p.all[f] = x
	}
	for _, f := range forget {
		delete(p.all, f)
	}
	b, err := json.Marshal(p.all)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(p.path, b); err != nil {
		return fmt.Errorf("saving positions: %w", err)
	}
	return nil
}

// every is a second, and one more for each thousand files, since all are written anew.
func (p *inFile) every() time.Duration {
	return saveEvery + time.Duration(len(p.all)/1000)*time.Second
}

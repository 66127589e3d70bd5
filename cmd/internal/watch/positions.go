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

// positions keeps how far files were read, durably.
type positions interface {
	load(context.Context) ([]sources.TailPosition, error)
	save(context.Context, sources.TailPosition) error
}

func (w *watcher) openPositions(context.Context) error {
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
		out = append(out, sources.TailPosition{Path: x.Path, Offset: x.Offset, Line: x.Line,
			Identity: sources.TailIdentity{Dev: x.Dev, Ino: x.Ino, Head: x.HeadHash}})
	}
	return out, nil
}

func (p inStore) save(ctx context.Context, x sources.TailPosition) error {
	return p.s.InTx(ctx, func(tx *sql.Tx) error {
		return store.SavePosition(ctx, tx, store.Position{Path: x.Path, Dev: x.Dev, Ino: x.Ino, HeadHash: x.Head, Offset: x.Offset, Line: x.Line, Updated: p.now()})
	})
}

// inFile keeps them in a JSON file that is replaced whole.
type inFile struct {
	path string
	all  map[string]sources.TailPosition
}

func (p *inFile) load(context.Context) ([]sources.TailPosition, error) {
	b, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading positions: %w", err)
	}
	if err := json.Unmarshal(b, &p.all); err != nil {
		return nil, fmt.Errorf("the positions in %q do not parse; delete the file to read all logs from their start: %w", p.path, err)
	}
	var out []sources.TailPosition
	for _, x := range p.all {
		out = append(out, x)
	}
	return out, nil
}

func (p *inFile) save(_ context.Context, x sources.TailPosition) error {
	p.all[x.Path] = x
	b, err := json.Marshal(p.all)
	if err != nil {
		return err
	}
	if err := atomicfile.Write(p.path, b); err != nil {
		return fmt.Errorf("saving positions: %w", err)
	}
	return nil
}

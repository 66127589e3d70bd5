package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/store"
)

// Report is what Check found.
type Report struct {
	Schema  int64            `json:"schema"`
	Audit   tlog.Tree        `json:"audit"`
	Peppers []pepper.Count   `json:"peppers"`
	States  map[string]int64 `json:"states"` // tokens; expired ones are not live
	// Orphans are tokens under a pepper that is in use no more: neither Verify nor
	// a scan knows them.
	Orphans int64 `json:"orphans"`
	// Problems say each in a line what is wrong and what to do; none is sound.
	Problems []string `json:"problems"`
}

func (p *Report) problem(format string, args ...any) {
	p.Problems = append(p.Problems, fmt.Sprintf(format, args...))
}

// Check looks whether all of r is as it must be: the database's pages and
// references, the audit log and its checkpoint, the peppers, the files' modes. r is
// opened with Options.Older, so that one that is not can be looked at.
func Check(ctx context.Context, r *registry.Registry, o registry.Options) (p Report, err error) {
	p.Problems = []string{}
	if err := r.Store().Sound(ctx); errors.Is(err, store.ErrUnsound) || errors.Is(err, store.ErrCorrupt) {
		p.problem("%v; restore a backup (quench registry restore)", err)
	} else if err != nil {
		return p, err
	}
	if p.Schema, err = r.Store().Version(ctx); err != nil {
		return p, err
	}
	p.Audit, err = r.Audit().Recompute(ctx)
	if errors.Is(err, audit.ErrTampered) {
		p.problem("%v; keep a copy as evidence", err)
	} else if err != nil {
		return p, err
	} else if err := r.Audit().Anchored(ctx); errors.Is(err, audit.ErrBehind) {
		p.problem("%v; restore the newest backup, or go on without them (quench registry accept-loss)", err)
	} else if err != nil {
		p.problem("%v", err)
	}
	if p.Peppers, err = r.Peppers(ctx); err != nil {
		return p, err
	}
	if p.States, err = States(ctx, r); err != nil {
		return p, err
	}
	total, known := int64(0), int64(0)
	for _, n := range p.States {
		total += n
	}
	for _, c := range p.Peppers {
		if c.State != pepper.Retired {
			known += c.Tokens
		}
	}
	if p.Orphans = total - known; p.Orphans > 0 {
		p.problem("%d tokens are under a pepper that is in use no more: neither verify nor a scan knows them; issue or import them again", p.Orphans)
	}
	p.modes(r, o)
	return p, nil
}

// modes looks who else can read the files. Windows has no such bits.
func (p *Report) modes(r *registry.Registry, o registry.Options) {
	if runtime.GOOS == "windows" {
		return
	}
	var files []string
	if db := r.Store().Path(); db != "" {
		files = append(files, db, db+"-wal", db+"-shm")
		if fi, err := os.Stat(filepath.Dir(db)); err == nil && fi.Mode().Perm()&0o022 != 0 && fi.Mode()&fs.ModeSticky == 0 {
			p.problem("others can put files in the folder of the registry, %q (mode %04o); run: chmod go-w %[1]s", filepath.Dir(db), fi.Mode().Perm())
		}
	}
	if o.Pepper.Writable() {
		files = append(files, o.Pepper.File)
	}
	for _, f := range files {
		if fi, err := os.Stat(f); err == nil && fi.Mode().Perm()&0o077 != 0 {
			p.problem("%q can be read by others (mode %04o); run: chmod 600 %[1]s", f, fi.Mode().Perm())
		}
	}
}

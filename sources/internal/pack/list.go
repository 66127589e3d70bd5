package pack

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
)

// Own calls f with every object in the first of the store's folders, which is the
// repository's own, in no particular order and once for each place it lies in.
// Kind 0 is one that only KindOf can tell. The errors are f's and ctx's, and those
// of folders that cannot be listed, with the rest given all the same.
func (s *Store) Own(ctx context.Context, f func(ID, Kind) error) error {
	defer runtime.KeepAlive(s)
	if len(s.dirs) == 0 {
		return nil
	}
	own := filepath.Join(s.dirs[0], "pack")
	for _, p := range s.all() {
		if p.dir != own {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		var ids []ID
		var kinds []Kind
		fault := guarded(func() error {
			l, err := s.layoutOf(p)
			for i := range p.x.n {
				k := Kind(0)
				if err == nil {
					k = l.kind[l.in[i]]
				}
				ids, kinds = append(ids, p.x.id(i)), append(kinds, k)
			}
			return nil
		})
		for i, id := range ids {
			if err := f(id, kinds[i]); err != nil {
				return err
			}
		}
		if fault != nil {
			return fault
		}
	}
	return s.loose(ctx, f)
}

// loose calls f with the loose objects of the first folder.
func (s *Store) loose(ctx context.Context, f func(ID, Kind) error) (failed error) {
	for i := range 256 {
		if err := ctx.Err(); err != nil {
			return err
		}
		fan := fmt.Sprintf("%02x", i)
		entries, err := os.ReadDir(filepath.Join(s.dirs[0], fan))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			failed = errors.Join(failed, fmt.Errorf("listing the objects %s…: %w", fan, cause(err)))
		}
		for _, e := range entries {
			var id ID
			if n, err := hex.Decode(id[:], []byte(fan + e.Name())[:min(40, 2+len(e.Name()))]); err != nil || n != len(id) || len(e.Name()) != 38 {
				continue // a temporary file
			}
			if err := f(id, 0); err != nil {
				return err
			}
		}
	}
	return failed
}

// KindOf gives an object's kind, of a loose one without reading more than its
// header.
func (s *Store) KindOf(id ID) (Kind, error) {
	for _, d := range s.dirs {
		if k, _, rc, err := openLoose(loosePath(d, id), id); err == nil {
			rc.Close()
			return k, nil
		}
	}
	k, _, err := s.Read(id)
	return k, err
}

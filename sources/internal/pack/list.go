package pack

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sort"
	"strings"
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
			id, ok := looseID(fan, e.Name())
			if !ok {
				continue
			}
			if err := f(id, 0); err != nil {
				return err
			}
		}
	}
	return failed
}

// WithPrefix gives the objects whose ids begin with so many lower-case hex digits, at
// least two, each once and ascending.
func (s *Store) WithPrefix(digits string) (ids []ID) {
	defer runtime.KeepAlive(s)
	if len(digits) < 2 || len(digits) > 2*len(ID{}) {
		return nil
	}
	var first ID
	if _, err := hex.Decode(first[:], []byte(digits+strings.Repeat("0", 2*len(first)-len(digits)))); err != nil {
		return nil
	}
	for _, p := range s.all() {
		guarded(func() error {
			x := p.x
			from := sort.Search(x.n, func(i int) bool { return x.compare(i, &first) >= 0 })
			for i := from; i < x.n && strings.HasPrefix(x.id(i).String(), digits); i++ {
				ids = append(ids, x.id(i))
			}
			return nil
		})
	}
	for _, d := range s.dirs {
		entries, _ := os.ReadDir(filepath.Join(d, digits[:2])) // none, where there is no such folder
		for _, e := range entries {
			if id, ok := looseID(digits[:2], e.Name()); ok && strings.HasPrefix(id.String(), digits) {
				ids = append(ids, id)
			}
		}
	}
	slices.SortFunc(ids, func(a, b ID) int { return bytes.Compare(a[:], b[:]) })
	return slices.Compact(ids)
}

// looseID gives the id of a loose object's file; false for a temporary one.
func looseID(fan, name string) (id ID, ok bool) {
	if len(name) != 38 {
		return id, false
	}
	_, err := hex.Decode(id[:], []byte(fan+name))
	return id, err == nil
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

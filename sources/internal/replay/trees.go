package replay

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/gitrepo"
	"github.com/quench-dev/quench/sources/internal/pack"
	"github.com/quench-dev/quench/sources/internal/record"
)

// kept is the forest of a repository, as far as it is kept from scan to scan.
//
// A walk depends on all that the repository is; a tree depends on its id alone. So
// what a history that grew needs again, and what costs most to read, is kept by
// itself: the names and ids in trees. They are sealed with a key made of what all
// the commits say that were there: a repository that grew still has these, and one
// from which something was purged does not.
type kept struct {
	commits []pack.ID // in packs, ascending
	key     [sha256.Size]byte
	forest  *forest.Forest // to be saved; nil for nothing new
	grown   bool
}

// fewNew says how many trees are so few that they are not worth writing all down again:
// one of so many. Until there are more, each scan reads these again, which costs less
// than the sealing and writing.
const fewNew = 50

// Forest is gitrepo.Store.Forest, with the trees that an earlier scan has kept.
func (p *Replay) Forest(ctx context.Context, store *gitrepo.Store, workers int) (f *forest.Forest, err error) {
	if p == nil {
		return store.Forest(ctx, workers)
	}
	data, ok := p.memory.Load(p.treesName())
	if ok {
		f, err = p.known(ctx, store, data, workers)
		if err != nil {
			return nil, err
		}
	}
	if f == nil {
		if f, err = store.Forest(ctx, workers); err != nil {
			return nil, err
		}
		p.kept.grown = true
	}
	if p.kept.grown {
		if p.kept.grown = f.Whole(); p.kept.grown {
			p.kept.commits = store.Packed(pack.Commit)
			p.kept.key, p.kept.grown = keyOf(f, p.kept.commits)
		}
	}
	return f, nil
}

func (p *Replay) treesName() string { return fmt.Sprintf("trees of %q", p.repo.CommonDir) }

// known gives the forest of which most is kept, or nil where that is of no use: some
// of the commits are gone that the key is made of, or some of its trees are.
func (p *Replay) known(ctx context.Context, store *gitrepo.Store, data []byte, workers int) (*forest.Forest, error) {
	f := forest.New()
	commits := store.Packed(pack.Commit)
	if err := store.Plant(ctx, f, commits, workers); err != nil {
		return nil, err
	}
	head, old, ok := cutIDs(data)
	if !ok {
		return nil, nil
	}
	key, ok := keyOf(f, old)
	if !ok {
		return nil, nil
	}
	trees, err := record.OpenBox(head, data[len(head):], key)
	if err != nil || f.Restore(trees) != nil {
		return nil, nil
	}
	all := store.Packed(pack.Tree)
	fresh := slices.DeleteFunc(slices.Clone(all), f.Has)
	if len(all)-len(fresh) != f.Len() {
		return nil, nil
	}
	p.kept.grown = fewNew*len(fresh) > len(all)
	return f, store.Plant(ctx, f, fresh, workers)
}

// keyOf hashes what commits say; ok is false when the forest does not have them all.
func keyOf(f *forest.Forest, commits []pack.ID) (key [sha256.Size]byte, ok bool) {
	slices.SortFunc(commits, func(a, b pack.ID) int { return bytes.Compare(a[:], b[:]) })
	h := sha256.New()
	fmt.Fprintf(h, "trees of %d commits\n", len(commits))
	for _, id := range commits {
		data, ok := f.Commit(id)
		if !ok {
			return key, false
		}
		fmt.Fprintf(h, "%d\n", len(data))
		h.Write(data)
	}
	return [sha256.Size]byte(h.Sum(nil)), true
}

// Hold has the trees of a forest kept that Forest gave, when something in it is new.
func (p *Replay) Hold(f *forest.Forest) {
	if p != nil && p.kept.grown && f.Whole() {
		p.kept.forest = f
	}
}

func (p *Replay) saveTrees() {
	if p.kept.forest == nil {
		return
	}
	sealed, err := record.SealBox(joinIDs(p.kept.commits), p.kept.forest.Trees(), p.kept.key)
	if p.kept.forest = nil; err == nil {
		p.memory.Save(p.treesName(), sealed)
	}
}

// joinIDs writes ids and how many they are, and cutIDs gives them, and what part of
// data that is.
func joinIDs(ids []pack.ID) []byte {
	b := binary.LittleEndian.AppendUint32(make([]byte, 0, 4+len(pack.ID{})*len(ids)), uint32(len(ids)))
	for _, id := range ids {
		b = append(b, id[:]...)
	}
	return b
}

func cutIDs(data []byte) (head []byte, ids []pack.ID, ok bool) {
	if len(data) < 4 {
		return nil, nil, false
	}
	n := int64(binary.LittleEndian.Uint32(data))
	size := 4 + int64(len(pack.ID{}))*n
	if n == 0 || size > int64(len(data)) {
		return nil, nil, false
	}
	head = data[:size]
	for ids = make([]pack.ID, 0, n); int64(len(ids)) < n; {
		ids = append(ids, pack.ID(head[4+len(pack.ID{})*len(ids):][:len(pack.ID{})]))
	}
	return head, ids, true
}

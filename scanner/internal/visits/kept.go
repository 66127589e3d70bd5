package visits

import (
	"context"
	"encoding/hex"
	"io"

	"github.com/quench-dev/quench/sources"
)

// kept is an item that waits, in a quarter of the memory: blobs of one commit share
// what is told of the commit, and a blob's name is its object's.
type kept struct {
	seq    int
	shared *sources.Item // all that is not below
	path   string
	inHead *bool
	object sources.ObjectID
	open   func(context.Context) (io.ReadCloser, error)
	whole  bool // shared is the item
}

// keep makes an item one that waits.
func (s *Set[M]) keep(seq int, it sources.Item) kept {
	k := kept{seq: seq, path: it.Origin.Path, inHead: it.Origin.InHead, object: it.Object, open: it.Open}
	if it.Origin.Blob != hex.EncodeToString(it.Object[:]) {
		k.shared, k.whole = &it, true
		return k
	}
	if s.last == nil || !sameCommit(s.last, &it) {
		it.Origin.Path, it.Origin.Blob, it.Origin.InHead, it.Object, it.Open = "", "", nil, sources.ObjectID{}, nil
		s.last = &it
	}
	k.shared = s.last
	return k
}

// sameCommit reports whether two items differ in what kept holds alone.
func sameCommit(a, b *sources.Item) bool {
	o, p := &a.Origin, &b.Origin
	return a.Size == b.Size && a.Skip == nil && b.Skip == nil && a.Of == b.Of &&
		o.Commit == p.Commit && o.Source == p.Source && o.Root == p.Root && o.Author == p.Author && o.Email == p.Email && o.Date == p.Date &&
		sameList(o.Labels, p.Labels) && sameList(o.Refs, p.Refs) && o.RefCount == p.RefCount &&
		o.Entry == p.Entry && o.Before == p.Before && o.Line == p.Line && o.Offset == p.Offset && o.Time == p.Time
}

// sameList reports whether two slices are the same memory: those of one commit are.
func sameList(a, b []string) bool {
	return len(a) == len(b) && (len(a) == 0 || &a[0] == &b[0])
}

// item gives an item that was kept, as it was.
func (k *kept) item() sources.Item {
	it := *k.shared
	if !k.whole {
		it.Origin.Path, it.Origin.Blob, it.Origin.InHead, it.Object, it.Open = k.path, hex.EncodeToString(k.object[:]), k.inHead, k.object, k.open
	}
	return it
}

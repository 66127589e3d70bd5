package gitrepo

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/quench-dev/quench/sources/internal/forest"
	"github.com/quench-dev/quench/sources/internal/pack"
)

var (
	// ErrMissing and ErrCorrupt tell an object that is not there from one that is
	// there and cannot be what its name says; ErrTooLarge is one that would have
	// to be held in memory and is larger than what is.
	ErrMissing  = pack.ErrMissing
	ErrCorrupt  = pack.ErrCorrupt
	ErrTooLarge = pack.ErrTooLarge
)

// Store reads objects by name. Safe for concurrent use.
type Store struct{ objects *pack.Store }

func newStore(dirs []string, memory int64) (s *Store, bad []error) {
	objects, bad := pack.Open(dirs, pack.Within(memory))
	return &Store{objects}, bad
}

// Close closes the packs. The store stays usable: they are opened again when
// needed.
func (s *Store) Close() { s.objects.Close() }

// Has reports whether the object is there, not whether it can be read.
func (s *Store) Has(h plumbing.Hash) bool { return s.objects.Has(pack.ID(h)) }

// WithPrefix gives the objects whose ids begin with lower-case hex digits.
func (s *Store) WithPrefix(digits string) (out []plumbing.Hash) {
	for _, id := range s.objects.WithPrefix(digits) {
		out = append(out, plumbing.Hash(id))
	}
	return out
}

// Read gives a whole object of the wanted type; its bytes are shared and not to
// be written to. Every object's hash is checked.
func (s *Store) Read(want plumbing.ObjectType, h plumbing.Hash) ([]byte, error) {
	t, data, err := s.ReadAny(h)
	if err == nil && t != want {
		err = fmt.Errorf("%w: %s is a %s, not a %s", ErrCorrupt, h, t, want)
	}
	return data, err
}

// ReadAny is Read for an object of any type.
func (s *Store) ReadAny(h plumbing.Hash) (plumbing.ObjectType, []byte, error) {
	k, data, err := s.objects.Read(pack.ID(h))
	if err != nil {
		return plumbing.InvalidObject, nil, err
	}
	return plumbing.ObjectType(k), data, nil
}

// OpenBlob gives a blob's bytes: streamed when it is loose or big, from memory
// otherwise. A read of bytes that are not the blob ends in ErrCorrupt.
func (s *Store) OpenBlob(h plumbing.Hash) (io.ReadCloser, error) {
	return s.objects.OpenBlob(pack.ID(h))
}

// Walk is pack.Store.WalkBeside.
func (s *Store) Walk(ctx context.Context, want []plumbing.Hash, workers int, busy <-chan struct{}, visit func(*pack.Visit) any) (left []int, err error) {
	ids := make([]pack.ID, len(want))
	for i, h := range want {
		ids[i] = pack.ID(h)
	}
	return s.objects.WalkBeside(ctx, ids, workers, busy, visit)
}

// guard turns a panic of go-git on hostile bytes into corruption. Its value may
// quote content, so only its type is told.
func guard(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w (%T)", ErrCorrupt, p)
	}
}

// Forest reads the commits and trees that lie in packs, all at once.
func (s *Store) Forest(ctx context.Context, workers int) (*forest.Forest, error) {
	f := forest.New()
	return f, s.Plant(ctx, f, s.objects.IDs(pack.Commit, pack.Tree), workers)
}

// Packed are the objects of some kinds that Forest reads.
func (s *Store) Packed(kinds ...pack.Kind) []pack.ID { return s.objects.IDs(kinds...) }

// Plant reads some of what lies in packs into a forest.
func (s *Store) Plant(ctx context.Context, f *forest.Forest, ids []pack.ID, workers int) error {
	_, err := s.objects.Walk(ctx, ids, workers, func(v *pack.Visit) any { return f.Visit(ids[v.Index], v) })
	return err
}

// Blobs are those in packs that are wanted, in the order they are stored in.
func (s *Store) Blobs(wanted func(plumbing.Hash) bool) (out []plumbing.Hash) {
	for _, id := range s.objects.IDs(pack.Blob) {
		if wanted(plumbing.Hash(id)) {
			out = append(out, plumbing.Hash(id))
		}
	}
	return out
}

// Own calls f with every object of the repository's own folder, not of its
// alternates, and its type: see pack.Store.Own.
func (s *Store) Own(ctx context.Context, f func(plumbing.Hash, plumbing.ObjectType) error) error {
	return s.objects.Own(ctx, func(id pack.ID, k pack.Kind) error {
		return f(plumbing.Hash(id), plumbing.ObjectType(k))
	})
}

// KindOf gives an object's type.
func (s *Store) KindOf(h plumbing.Hash) (plumbing.ObjectType, error) {
	k, err := s.objects.KindOf(pack.ID(h))
	return plumbing.ObjectType(k), err
}

// Message reads the message of a commit or tag.
func (s *Store) Message(h plumbing.Hash) (msg []byte, err error) {
	t, data, err := s.ReadAny(h)
	switch {
	case err != nil:
	case t == plumbing.CommitObject:
		_, msg, err = ParseCommit(data)
	case t == plumbing.TagObject:
		_, msg, err = ParseTag(data)
	default:
		err = fmt.Errorf("%w: %s is a %s", ErrCorrupt, h, t)
	}
	return msg, err
}

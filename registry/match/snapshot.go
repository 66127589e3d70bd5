package match

import (
	"crypto/rand"

	"github.com/quench-dev/quench/scanner/cache"
)

// ID names a key without telling it: the fingerprint of a text that is no token.
// Sets with other keys have other fingerprints.
func (k Key) ID() []byte {
	var id []byte
	for _, text := range []string{"quench match key id, first half", "quench match key id, second half"} {
		fp := Fingerprint(k, []byte(text))
		for range 8 {
			id, fp = append(id, byte(fp)), fp>>8
		}
	}
	return id
}

// Fingerprint implements scanner.Keyed, by the key of new tokens.
func (s *Set) Fingerprint(candidate []byte) uint64 {
	return Fingerprint(s.snap.Load().keys[0], candidate)
}

// Snapshot implements scanner.Keyed. It is as new as the last Refresh. While there
// are several keys it is like no other: a run that was remembered by one of them
// may become a token under another.
func (s *Set) Snapshot() cache.Registry {
	snap := s.snap.Load()
	if len(snap.keys) > 1 {
		return &view{snap, []byte(rand.Text())}
	}
	return &view{snap, snap.keys[0].ID()}
}

// view is a Set as it was.
type view struct {
	*snapshot
	key []byte
}

func (v *view) Key() []byte { return v.key }

func (v *view) Shapes() []cache.Shape { return v.shapes }

func (v *view) Has(fp uint64) bool { return v.has(fp) }

func (v *view) Len() int { return v.base.len() + len(v.fresh) }

func (v *view) All(f func(fp uint64) bool) {
	for i := range v.base.parts {
		for _, fp := range v.base.parts[i].sorted {
			if !f(fp) {
				return
			}
		}
	}
	for fp := range v.fresh {
		if !f(fp) {
			return
		}
	}
}

// Package held keeps what is found in a repository until all of it is seen, when
// the first commit of each finding is known, and joins what is one.
//
// It knows where findings were and what a source can tell of that, and nothing of
// what a finding is beyond the key it is given. Start reading at Set.
package held

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/quench-dev/quench/sources"
)

// Key names a finding of a repository: one rule and secret at one path.
type Key struct {
	Secret
	Path string
}

// Secret is a rule and a secret, by a MAC of it.
type Secret struct {
	Rule, Root string
	MAC        [32]byte
}

// Value is what is held: those of one item have an order.
type Value[F any] interface{ Compare(F) int }

// Finding is what was found under one key, or under several that are one.
type Finding[F Value[F]] struct {
	Secret
	// First is the earliest, and Origin where it was, with what its source
	// tells beyond that.
	First  F
	Origin sources.Origin
	// Seq is the place of its item among all: history comes oldest first.
	Seq int
	// Blobs is how many objects hold it, MovedTo the paths it was moved to since.
	Blobs   int
	MovedTo []string
	// Marked says that every place in the newest item that holds it is marked; IDs
	// are what it is called in each, at most maxIDs.
	Marked bool
	IDs    []string
	// Loose says that it is at no path and in no commit: a blob that was dropped, or
	// the message of a tag.
	Loose bool
	last  int // the number of that item

	// blobs hold it; commits are those of messages that do.
	blobs, commits map[string]struct{}
}

// Set is the findings of one run. It is not safe for concurrent use.
type Set[F Value[F]] struct {
	all map[Key]*Finding[F]
	// before are the keys that earlier versions hold.
	before map[Key]struct{}
}

// Before says that an earlier version holds what k names: it is no news.
func (s *Set[F]) Before(k Key) {
	if s.before == nil {
		s.before = map[Key]struct{}{}
	}
	s.before[k] = struct{}{}
}

// maxIDs bounds the names kept of one finding: each is a line that was changed around
// a secret that stayed.
const maxIDs = 64

// Add adds what was found in the item of number seq.
func (s *Set[F]) Add(k Key, seq int, o sources.Origin, f F, marked bool, id string) {
	if s.all == nil {
		s.all = map[Key]*Finding[F]{}
	}
	h := s.all[k]
	if h == nil {
		h = &Finding[F]{Secret: k.Secret, First: f, Origin: o, Seq: seq, last: seq, Marked: marked, blobs: map[string]struct{}{}, commits: map[string]struct{}{}}
		s.all[k] = h
	}
	if o.Blob != "" {
		h.blobs[o.Blob] = struct{}{}
	} else if o.Commit != "" {
		h.commits[o.Commit] = struct{}{}
	}
	switch {
	case seq > h.last:
		h.last, h.Marked = seq, marked
	case seq == h.last:
		h.Marked = h.Marked && marked
	}
	if id != "" && len(h.IDs) < maxIDs && !slices.Contains(h.IDs, id) {
		h.IDs = append(h.IDs, id)
	}
	inHead := mergeInHead(h.Origin.InHead, o.InHead)
	if seq < h.Seq || seq == h.Seq && f.Compare(h.First) < 0 {
		h.First, h.Origin, h.Seq = f, o, seq
	}
	h.Origin.InHead = inHead
}

func mergeInHead(a, b *bool) *bool {
	if a == nil || b != nil && *b {
		return b
	}
	return a
}

// Settle gives the findings, those that are one joined, in the order of the history.
// earlier is how many are no news.
func (s *Set[F]) Settle(ctx context.Context, src sources.Source) (list []*Finding[F], earlier int64) {
	keys, earlier := s.news(s.before)
	list = s.attribute(ctx, src, keys)
	for _, h := range list {
		h.Blobs, h.Loose = len(h.blobs), h.Origin.Path == "" && len(h.commits) == 0
	}
	return list, earlier
}

// news gives the keys in the order of their findings, without those that are in before.
func (s *Set[F]) news(before map[Key]struct{}) (keys []Key, earlier int64) {
	for k := range s.all {
		if _, old := before[k]; old {
			earlier++
			continue
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b Key) int {
		x, y := s.all[a], s.all[b]
		return cmp.Or(cmp.Compare(x.Seq, y.Seq), x.First.Compare(y.First), slices.Compare(a.MAC[:], b.MAC[:]))
	})
	return keys, earlier
}

// Join gives what Settle gave of a history together with what the files of its working
// tree hold, which come after all of it: the list may be of another Set. A secret that
// stands at its path in a file is the finding of the history, and so is one that the
// history knows at no path. earlier is how many others are no news.
func (s *Set[F]) Join(history []*Finding[F], files *Set[F]) (list []*Finding[F], earlier int64) {
	at := map[Key]*Finding[F]{}
	for _, h := range history {
		for _, p := range append([]string{h.Origin.Path}, h.MovedTo...) {
			at[Key{h.Secret, p}] = h
		}
	}
	keys, earlier := files.news(s.before)
	first := map[Secret]*Finding[F]{}
	var fresh []*Finding[F]
	for _, k := range keys {
		f := files.all[k]
		if h := at[k]; h != nil {
			h.take(f)
			continue
		}
		if fresh = append(fresh, f); first[k.Secret] == nil {
			first[k.Secret] = f
		}
	}
	for _, h := range history {
		if f := first[h.Secret]; h.Loose && f != nil { // it has something to show
			f.take(h)
			f.Blobs += h.Blobs
		} else {
			list = append(list, h)
		}
	}
	return append(list, fresh...), earlier
}

// take takes over what is known of another that is the same.
func (h *Finding[F]) take(of *Finding[F]) {
	h.IDs = slices.Concat(h.IDs, of.IDs)
	if of.last > h.last {
		h.last, h.Marked = of.last, of.Marked
	}
	h.Origin.InHead = mergeInHead(h.Origin.InHead, of.Origin.InHead)
}

// attribute asks the source what more it knows of the findings. One that cannot
// tell, or no more since ctx has ended, leaves them as they are.
func (s *Set[F]) attribute(ctx context.Context, src sources.Source, keys []Key) []*Finding[F] {
	list := make([]*Finding[F], len(keys))
	seen := make([]sources.Sighting, len(keys))
	secrets := map[Secret]int{}
	for i, k := range keys {
		h := s.all[k]
		n, known := secrets[k.Secret]
		if !known {
			n = len(secrets)
			secrets[k.Secret] = n
		}
		list[i] = h
		seen[i] = sources.Sighting{
			Same: n, Path: strings.TrimSuffix(h.Origin.Path, "!/"+h.Origin.Entry), Commit: h.Origin.Commit,
			Blobs: slices.Sorted(maps.Keys(h.blobs)), Commits: slices.Sorted(maps.Keys(h.commits)),
		}
	}
	a, ok := src.(sources.Attributor)
	if !ok {
		return list
	}
	told, err := a.Attribute(ctx, seen)
	if err != nil {
		return list
	}
	var out []*Finding[F]
	for i, h := range list {
		t := told[i]
		if t.Of == i {
			if len(h.Origin.Refs) == 0 {
				h.Origin.Refs, h.Origin.RefCount = t.Refs, t.RefCount
			}
			out = append(out, h)
			continue
		}
		of := list[t.Of]
		maps.Copy(of.blobs, h.blobs)
		of.take(h)
		if h.Origin.Path != "" {
			of.MovedTo = append(of.MovedTo, h.Origin.Path)
		}
	}
	return out
}

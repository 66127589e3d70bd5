// Package recall rebuilds the matches of objects that need not be read again.
//
// Of each match it knows where which rule found it, and which others of its segment
// have the same secret. A finding is shown from the earliest object that holds it:
// that one is read again, which tells the secret of all the others. What it finds
// must be what was remembered.
//
// It knows nothing of rules and of what a match is beyond that. Start reading at
// Set.
package recall

import (
	"cmp"
	"slices"

	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Set is the matches that one scan recalls, of items J and, when these are read
// again, with matches M.
type Set[J, M any] struct {
	// Key says what a match is, but for the number of its secret.
	Key   func(M) (cache.Match, secret.Secret)
	items []*item[J, M] // that have matches
	hits  []hit
	// again are the items to be read, by number.
	again  []*item[J, M]
	secret map[[2]int]secret.Secret
}

// item is large, and may have many matches.
type item[J, M any] struct {
	item  J
	seq   int
	where string
	// Of one that is read again: the matches it had, and those found now.
	again bool
	want  []cache.Match
	found []M
}

type hit struct {
	cache.Match
	of      int // in items
	segment int
	found   int // in those of an item that is read again
}

// Add takes the matches of an item: the seq-th, in the place that makes equal
// secrets one finding.
func (s *Set[J, M]) Add(it J, seq int, where string, segment int, ms []cache.Match) {
	s.items = append(s.items, &item[J, M]{item: it, seq: seq, where: where})
	for _, m := range ms {
		s.hits = append(s.hits, hit{Match: m, of: len(s.items) - 1, segment: segment})
	}
}

// Again gives the items that are to be read, once all are added, and their numbers.
func (s *Set[J, M]) Again(read func(n int, it J)) {
	type finding struct {
		segment, secret int
		rule, where     string
	}
	first := map[finding]*item[J, M]{}
	for _, h := range s.hits {
		it := s.items[h.of]
		k := finding{h.segment, h.Secret, h.Rule, it.where}
		if f, ok := first[k]; !ok || it.seq < f.seq {
			first[k] = it
		}
	}
	for _, it := range first {
		if !it.again {
			it.again = true
			s.again = append(s.again, it)
		}
	}
	slices.SortFunc(s.again, func(a, b *item[J, M]) int { return cmp.Compare(a.seq, b.seq) })
	for _, h := range s.hits {
		if it := s.items[h.of]; it.again {
			it.want = append(it.want, h.Match)
		}
	}
	for n, a := range s.again {
		read(n, a.item)
	}
}

// Rest gives the stretches of the n-th item, of size bytes, that hold no match, as
// copies of themselves. lead is how much before a match is part of it.
func (s *Set[J, M]) Rest(n, size int, lead func(cache.Match) int64) (rest []sources.Copy) {
	want := slices.SortedFunc(slices.Values(s.again[n].want), func(a, b cache.Match) int { return cmp.Compare(a.Start-lead(a), b.Start-lead(b)) })
	at := 0
	for _, m := range want {
		if from := min(int(max(0, m.Start-lead(m))), size); from > at {
			rest = append(rest, sources.Copy{Dst: at, Src: at, Len: from - at})
		}
		at = max(at, min(int(m.End), size))
	}
	if at < size {
		rest = append(rest, sources.Copy{Dst: at, Src: at, Len: size - at})
	}
	return rest
}

// Found takes a match of the n-th item. Calls with the same n come one at a time.
func (s *Set[J, M]) Found(n int, m M) { s.again[n].found = append(s.again[n].found, m) }

// Proven reports whether the items that were read again are what was remembered.
func (s *Set[J, M]) Proven() bool {
	s.secret = map[[2]int]secret.Secret{}
	for i := range s.hits {
		h := &s.hits[i]
		it := s.items[h.of]
		if !it.again {
			continue
		}
		if h.found = s.index(it.found, h.Match); h.found < 0 || len(it.found) != len(it.want) {
			return false
		}
		_, sec := s.Key(it.found[h.found])
		at := [2]int{h.segment, h.Secret}
		if known, ok := s.secret[at]; ok && !known.Equal(sec) {
			return false
		}
		s.secret[at] = sec
	}
	return true
}

func (s *Set[J, M]) index(found []M, want cache.Match) int {
	return slices.IndexFunc(found, func(m M) bool {
		k, _ := s.Key(m)
		return k.Start == want.Start && k.End == want.End && k.Rule == want.Rule && slices.Equal(k.Via, want.Via)
	})
}

// Each gives all matches once they are proven: whole ones of what was read, and of
// the others what is remembered, with the secret.
func (s *Set[J, M]) Each(whole func(J, M, bool), rest func(J, cache.Match, secret.Secret)) {
	for _, h := range s.hits {
		if it := s.items[h.of]; it.again {
			whole(it.item, it.found[h.found], h.Marked)
		} else {
			rest(it.item, h.Match, s.secret[[2]int{h.segment, h.Secret}])
		}
	}
}

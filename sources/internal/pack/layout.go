package pack

import (
	"cmp"
	"fmt"
	"slices"
)

// layout is a pack in the order of its bytes: where each entry lies and which
// others are made of it.
type layout struct {
	p     *packFile
	offs  []int64 // where entries begin, ascending, and at last where they end
	at    []int32 // their places in the index
	in    []int32 // of each place in the index, the entry
	base  []int32 // the entry each is a delta of; none, outside, or broken
	kind  []Kind  // of the object each makes; 0 when its base is not in the pack
	first []int32 // the first of the entries made of it, and
	next  []int32 // of two made of the same one, the next

	// Of one walk:
	want []int32 // what the walk calls the entry, or none
	size []int64 // of what is needed: bytes below it and its own, as stored
}

// layoutOf gives a pack's layout, read once, without what is one walk's.
func (s *Store) layoutOf(p *packFile) (*layout, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.layout == nil {
		l, err := newLayout(p)
		if err != nil {
			return nil, err
		}
		p.layout = l
	}
	l := *p.layout
	return &l, nil
}

const (
	none    = -1
	outside = -2 // its base lies in another pack, or loose
	broken  = -3
)

// newLayout reads where all entries lie and what they are made of.
func newLayout(p *packFile) (*layout, error) {
	n := p.x.n
	l := &layout{p: p, offs: make([]int64, n, n+1), at: make([]int32, n), in: make([]int32, n), base: make([]int32, n),
		kind: make([]Kind, n), first: make([]int32, n), next: make([]int32, n)}
	for i := range l.at {
		l.at[i] = int32(i)
		l.offs[i] = p.x.offset(i)
	}
	byIndex := slices.Clone(l.offs)
	slices.SortFunc(l.at, func(a, b int32) int { return cmp.Compare(byIndex[a], byIndex[b]) })
	for k, i := range l.at {
		l.offs[k] = byIndex[i]
		l.in[i] = int32(k)
		l.first[k], l.next[k] = none, none
	}
	l.offs = append(l.offs, p.f.size-packTrailer)
	for k := range n {
		if l.offs[k] < packHeader || l.offs[k] >= l.offs[k+1] {
			return nil, fmt.Errorf("%w: the index of the pack %s tells impossible offsets", ErrCorrupt, p.name)
		}
	}
	for k := range n {
		l.base[k], l.kind[k] = l.baseOf(k)
		if b := l.base[k]; b >= 0 {
			l.next[k] = l.first[b]
			l.first[b] = int32(k)
		}
	}
	l.kinds()
	p.f.release(0, p.f.size) // one in some hundred bytes of it was looked at
	return l, nil
}

// baseOf gives the entry that one is a delta of, and the kind of one that is none.
func (l *layout) baseOf(k int) (int32, Kind) {
	e, err := l.p.entryAt(l.offs[k])
	if err != nil {
		return broken, 0
	}
	switch e.kind {
	case ofsDelta:
		if b, ok := slices.BinarySearch(l.offs[:k], e.base); ok {
			return int32(b), 0
		}
		// An entry that the index does not list, as an object in several packs
		// of a multi-pack-index is listed in one.
		return outside, 0
	case refDelta:
		if i, ok := l.p.x.find(e.ref); ok {
			return l.in[i], 0
		}
		return outside, 0
	}
	return none, e.kind
}

// kinds gives deltas the kind of what they are made of, in the end. Those on a
// circle get none.
func (l *layout) kinds() {
	var chain []int32
	seen := make([]bool, len(l.kind))
	for k := range l.kind {
		chain = chain[:0]
		b := int32(k)
		for l.base[b] >= 0 && !seen[b] {
			seen[b] = true
			chain = append(chain, b)
			b = l.base[b]
		}
		for _, c := range chain {
			l.kind[c] = l.kind[b]
		}
	}
}

// need marks what must be read to get the wanted entries, by a size above zero,
// and gives the roots among them: entries that need no other entry of the pack.
// What lies on a circle, which only ids can make, has no root and is not reached.
func (l *layout) need() (roots []int32) {
	n := len(l.want)
	needed := make([]bool, n)
	for k := range n {
		if l.want[k] == none {
			continue
		}
		for b := int32(k); b >= 0 && !needed[b]; b = l.base[b] {
			needed[b] = true
		}
	}
	for k := range n {
		if needed[k] && l.base[k] < 0 && l.base[k] != broken {
			roots = append(roots, int32(k))
		}
	}
	l.weigh(roots, needed)
	return roots
}

// weigh adds the stored sizes up from the leaves. Entries that are not needed
// keep 0.
func (l *layout) weigh(roots []int32, needed []bool) {
	var order []int32
	for _, r := range roots {
		order = append(order[:0], r)
		for i := 0; i < len(order); i++ {
			for c := l.first[order[i]]; c >= 0; c = l.next[c] {
				if needed[c] {
					order = append(order, c)
				}
			}
		}
		for _, k := range slices.Backward(order) {
			l.size[k] += l.offs[k+1] - l.offs[k]
			if b := l.base[k]; b >= 0 && k != r {
				l.size[b] += l.size[k]
			}
		}
	}
}

// children gives the needed entries made of k, the largest subtree first.
func (l *layout) children(k int32, buf []int32) []int32 {
	buf = buf[:0]
	for c := l.first[k]; c >= 0; c = l.next[c] {
		if l.size[c] > 0 {
			buf = append(buf, c)
		}
	}
	slices.SortFunc(buf, func(a, b int32) int { return cmp.Or(cmp.Compare(l.size[b], l.size[a]), cmp.Compare(a, b)) })
	return buf
}

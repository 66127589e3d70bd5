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
	base  []int32 // the entry each is a delta of; none, outside, or broken
	first []int32 // the first of the entries made of it, and
	next  []int32 // of two made of the same one, the next
	want  []int32 // what the walk calls the entry, or none
	size  []int64 // of what is needed: bytes below it and its own, as stored
}

const (
	none    = -1
	outside = -2 // its base lies in another pack, or loose
	broken  = -3
)

// newLayout reads where all entries lie and what they are made of.
func newLayout(p *packFile) (*layout, error) {
	n := p.x.n
	l := &layout{p: p, offs: make([]int64, n, n+1), at: make([]int32, n), base: make([]int32, n),
		first: make([]int32, n), next: make([]int32, n), want: make([]int32, n), size: make([]int64, n)}
	for i := range l.at {
		l.at[i] = int32(i)
		l.offs[i] = p.x.offset(i)
	}
	byIndex := slices.Clone(l.offs)
	slices.SortFunc(l.at, func(a, b int32) int { return cmp.Compare(byIndex[a], byIndex[b]) })
	inOrder := make([]int32, n) // of the index, to places here
	for k, i := range l.at {
		l.offs[k] = byIndex[i]
		inOrder[i] = int32(k)
		l.first[k], l.next[k], l.want[k] = none, none, none
	}
	l.offs = append(l.offs, p.f.size-packTrailer)
	for k := range n {
		if l.offs[k] < packHeader || l.offs[k] >= l.offs[k+1] {
			return nil, fmt.Errorf("%w: the index of the pack %s tells impossible offsets", ErrCorrupt, p.name)
		}
	}
	for k := range n {
		l.base[k] = l.baseOf(k, inOrder)
		if b := l.base[k]; b >= 0 {
			l.next[k] = l.first[b]
			l.first[b] = int32(k)
		}
	}
	return l, nil
}

func (l *layout) baseOf(k int, inOrder []int32) int32 {
	e, err := l.p.entryAt(l.offs[k])
	if err != nil {
		return broken
	}
	switch e.kind {
	case ofsDelta:
		if b, ok := slices.BinarySearch(l.offs[:k], e.base); ok {
			return int32(b)
		}
		// An entry that the index does not list, as an object in several packs
		// of a multi-pack-index is listed in one.
		return outside
	case refDelta:
		if i, ok := l.p.x.find(e.ref); ok {
			return inOrder[i]
		}
		return outside
	}
	return none
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

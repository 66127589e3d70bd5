package match

import (
	"runtime"
	"slices"
)

// A table is a set of fingerprints: sorted, in parts that are built one at a time.
//
// The design had a fuse filter, an HMAC and a list of MAC prefixes. Fingerprints
// are 64 bits of a keyed hash and lie evenly, so that their sorted list with a
// directory of its buckets answers as fast as a filter, needs no more memory than
// the prefixes, and is exact: what it says yes to is a token but for one in 2^64/n.
type table struct {
	parts [parts]buckets
}

// parts are how many a table falls into: while one of ten million tokens is built
// anew, 64 parts of it take a megabyte beside it, and publishing one copies two
// kilobytes.
const (
	partBits = 6
	parts    = 1 << partBits
)

func part(f uint64) int { return int(f >> (64 - partBits)) }

func (t *table) has(f uint64) bool { return t.parts[part(f)].has(f) }

func (t *table) len() (n int) {
	for i := range t.parts {
		n += len(t.parts[i].sorted)
	}
	return n
}

// buckets is a sorted list and where each of its buckets begins, by the bits after
// those that name the part.
type buckets struct {
	sorted []uint64
	dir    []uint32 // one more than there are buckets
	shift  uint8
}

// perBucket fingerprints lie in a bucket on average: two cache lines, and a quarter
// of a byte of directory for each.
const perBucket = 16

func newBuckets(sorted []uint64) buckets {
	bits := uint8(0)
	for len(sorted)>>bits > perBucket {
		bits++
	}
	b := buckets{sorted: sorted, shift: 64 - bits, dir: make([]uint32, 1<<bits+1)}
	next := 0
	for i, f := range sorted {
		for k := b.bucket(f); next <= k; next++ {
			b.dir[next] = uint32(i)
		}
	}
	for ; next < len(b.dir); next++ {
		b.dir[next] = uint32(len(sorted))
	}
	return b
}

func (b *buckets) bucket(f uint64) int { return int(f << partBits >> b.shift) }

func (b *buckets) has(f uint64) bool {
	if len(b.sorted) == 0 {
		return false
	}
	k := b.bucket(f)
	for _, g := range b.sorted[b.dir[k]:b.dir[k+1]] {
		if g >= f {
			return g == f
		}
	}
	return false
}

// loading collects fingerprints in blocks, which need not be copied to grow.
type loading struct {
	blocks [parts][][]uint64
	n      int
	beside int // fingerprints of the table that they go to
	litter int // fingerprints dealt with since garbage was collected
}

// block is 32 KB, so that 64 half empty ones are a megabyte; the first of a part has
// room for few, since most refreshes bring few.
const block, firstBlock = 4096, 8

func (l *loading) add(f uint64) {
	p := &l.blocks[part(f)]
	switch n := len(*p); {
	case n == 0:
		*p = append(*p, make([]uint64, 0, firstBlock))
	case len((*p)[n-1]) == cap((*p)[n-1]):
		*p = append(*p, make([]uint64, 0, min(2*cap((*p)[n-1]), block)))
	}
	last := &(*p)[len(*p)-1]
	*last = append(*last, f)
	l.n++
	l.collect(1)
}

// collect is called with the number of fingerprints that were read or copied. The runtime
// collects garbage when there is as much of it as there is in use, which would be a second
// table, and what is read from a database leaves several times its size; so of a large
// table it is collected after each 16 MB of copies or so. A collection costs a few
// milliseconds: tables hold no pointers.
func (l *loading) collect(n int) {
	if l.litter += n; l.litter >= litter && l.beside+l.n >= large {
		l.litter = 0
		runtime.GC()
	}
}

const litter = 1 << 21

func (l *loading) each(f func(uint64)) {
	for i := range l.blocks {
		for _, b := range l.blocks[i] {
			for _, fp := range b {
				f(fp)
			}
		}
	}
}

// take is a part of what was collected, sorted and each once, and lets go of its blocks.
func (l *loading) take(i int) []uint64 {
	all := slices.Concat(l.blocks[i]...)
	l.blocks[i] = nil
	slices.Sort(all)
	return slices.Compact(all)
}

// union merges two sorted lists without repetition.
func union(a, b []uint64) []uint64 {
	if len(a) == 0 {
		return b
	}
	out := make([]uint64, 0, len(a)+len(b))
	for len(a) > 0 && len(b) > 0 {
		switch {
		case a[0] < b[0]:
			out, a = append(out, a[0]), a[1:]
		case a[0] > b[0]:
			out, b = append(out, b[0]), b[1:]
		default:
			out, a, b = append(out, a[0]), a[1:], b[1:]
		}
	}
	return append(append(out, a...), b...)
}

package prefilter

import "math"

// deal chooses each literal's window and bucket so that the first stage lets
// little through: one literal after the other takes the window and the bucket
// that together cost least, and then each is dealt once more, now that it knows
// the others. Further rounds gain a tenth and cost a millisecond each.
func (s *Set) deal() {
	const rounds = 2
	var bs [buckets]bucket
	for round := range rounds {
		for i := range s.lits {
			c := &s.lits[i]
			if round > 0 {
				bs[c.bucket].remove(c)
			}
			best := math.Inf(1)
			for b := range bs {
				now := bs[b].share()
				for off := 0; off+c.n <= len(c.low); off++ {
					if d := bs[b].with(c, off) - now; d < best {
						best, c.bucket, c.off = d, b, off
					}
				}
			}
			bs[c.bucket].add(c)
		}
	}
}

// dealPairs chooses windows for the portable search, one literal after the
// other: the one whose pairs of bytes add least to those entered already.
func (s *Set) dealPairs() {
	for i := range s.lits {
		c := &s.lits[i]
		best, at := math.Inf(1), 0
		for off := 0; off+c.n <= len(c.low); off++ {
			share := 0.0
			for p := range c.pairs(off) {
				if s.pairs[p>>6]>>(p&63)&1 == 0 {
					share += frequency[byte(p)] * frequency[byte(p>>8)]
				}
			}
			if share < best {
				best, at = share, off
			}
		}
		c.off = at
		s.pair(c)
	}
}

// bucket counts which bytes its windows hold at each position.
type bucket struct {
	windows int
	open    [window]int         // windows that end before the position: any byte will do
	count   [window][256]uint16 // windows that hold the byte there
	p       [window]float64     // the share of typical text's bytes accepted there
}

// share is how much of typical text the bucket lets through, if its bytes
// came independently of each other.
func (b *bucket) share() float64 {
	if b.windows == 0 {
		return 0
	}
	return b.product(b.p)
}

func (b *bucket) product(p [window]float64) float64 {
	share := 1.0
	for i := range window {
		if b.open[i] == 0 {
			share *= p[i]
		}
	}
	return share
}

// with is what share would be with a window of c at off.
func (b *bucket) with(c *compiled, off int) float64 {
	p := b.p
	for i := range window {
		if i >= c.n {
			p[i] = 1
			continue
		}
		for _, x := range c.bytesAt(off + i) {
			if b.count[i][x] == 0 {
				p[i] += frequency[x]
			}
		}
	}
	return b.product(p)
}

func (b *bucket) add(c *compiled) {
	b.windows++
	for i := range window {
		if i >= c.n {
			b.open[i]++
			continue
		}
		for _, x := range c.bytesAt(c.off + i) {
			if b.count[i][x]++; b.count[i][x] == 1 {
				b.p[i] += frequency[x]
			}
		}
	}
}

func (b *bucket) remove(c *compiled) {
	b.windows--
	for i := range window {
		if i >= c.n {
			b.open[i]--
			continue
		}
		for _, x := range c.bytesAt(c.off + i) {
			if b.count[i][x]--; b.count[i][x] == 0 {
				b.p[i] -= frequency[x]
			}
		}
	}
}

// bytesAt are the bytes that can stand at i of the literal.
func (c *compiled) bytesAt(i int) []byte {
	low := c.low[i]
	if c.Fold && 'a' <= low && low <= 'z' {
		return []byte{low, low - 'a' + 'A'}
	}
	return []byte{c.Text[i]}
}

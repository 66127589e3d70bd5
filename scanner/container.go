package scanner

import (
	"context"

	"github.com/quench-dev/quench/sources"
)

// part is what was read of an item.
type part int

const (
	text    part = iota // its bytes
	entries             // what lies in it
	itself              // nothing but the item again, now that it is known to be a text
)

// container reads what lies in an archive, one thing after the other. Its findings
// are those of its item: the seq is one, and paths tell them apart.
func (r *run) container(ctx context.Context, it job, c sources.Container, s *Stream, g *itemGate) (part, error) {
	inner := &run{engine: r.engine, o: r.o, outer: r}
	archives, err := c.Unpack(ctx, it.Origin, func(in sources.Item) error {
		if in.Skip != nil {
			inner.skip(in.Origin, in.Skip)
			return ctx.Err()
		}
		if in.Origin.Entry != "" {
			r.o.Progress.Listed.Add(1)
		}
		in.Object, in.Of = it.Object, it.Of // what it lies in
		inner.item(ctx, job{it.seq, in}, s, g)
		return ctx.Err()
	})
	if !it.Origin.Before {
		inner.cov.Archives = int64(archives)
	}
	if err == nil && archives > 0 {
		r.noteArchive(it, inner)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covOf(it.Origin).Add(inner.cov)
	if archives == 0 && err == nil {
		return itself, nil
	}
	return entries, err
}

package scanner

import (
	"fmt"
	"sync"

	"github.com/quench-dev/quench/scanner/internal/visits"
	"github.com/quench-dev/quench/sources"
)

type seen = visits.Seen[Match]

// visits gives who has items of a Visitor visited, nil for sources that are read item
// by item.
func (r *run) visits(src sources.Source, workers int, open func(job)) *visits.Set[Match] {
	v, ok := src.(sources.Visitor)
	if !ok || r.engine.plain || r.o.Full {
		return nil
	}
	scans := sync.Pool{New: func() any {
		d := newDeltaScan(r.engine)
		r.mem.ask(d.s, d.lines)
		return d
	}}
	gates := sync.Pool{New: func() any { return r.gated() }}
	return &visits.Set[Match]{
		Source: v, Workers: workers, Open: func(seq int, it sources.Item) { open(job{seq, it}) }, Narrow: r.narrow,
		Scan: func(c *sources.Content) (s seen, state any) {
			r.o.Progress.Bytes.Add(int64(len(c.Data)))
			r.o.Progress.Packed.Add(c.Stored)
			if c.Skip != nil {
				return seen{Skip: c.Skip}, nil
			}
			defer func() {
				if p := recover(); p != nil {
					s, state = seen{Skip: panicked(p)}, nil
				}
			}()
			s.Len = int64(len(c.Data))
			d := scans.Get().(*deltaScan)
			state = d.scan(c, func(m Match) { s.Found = append(s.Found, m) })
			scans.Put(d) // not after a panic
			return s, state
		},
		Deliver: func(seq int, it sources.Item, s seen) {
			j := job{seq, it}
			r.o.Progress.Done.Add(1)
			defer func() {
				if p := recover(); p != nil {
					r.skip(j.Origin, panicked(p))
				}
			}()
			if s.Skip != nil {
				r.noting(j, nil)(0, s.Skip)
				r.skip(j.Origin, s.Skip)
				return
			}
			g := gates.Get().(*itemGate)
			end := r.noting(j, g)
			for _, m := range s.Found {
				g.match(m)
			}
			g.Close()
			end(s.Len, nil)
			gates.Put(g)
			r.count(j, s.Len, text)
		},
	}
}

// panicked tells of a panic, whose value may quote content; its type may not.
func panicked(p any) *sources.Skip {
	return &sources.Skip{Reason: sources.SkipUnreadable, Err: fmt.Errorf("internal error (%T) while scanning it; please report", p)}
}

package scanner

import (
	"context"
	"fmt"
	"sync"

	"github.com/quench-dev/quench/sources"
)

// maxBatch bounds the items that are collected to be visited together. Packs are
// read once per batch, and an item waits in some 400 bytes: 100 MB at most, and
// histories of fewer blobs, which nearly all are, are one batch.
const maxBatch = 1 << 18

// batch collects the items of a Visitor.
type batch struct {
	r       *run
	src     sources.Visitor
	workers int
	open    func(job) // for items that are not visited
	items   []sources.Item
	seqs    []int
	scans   sync.Pool // of *deltaScan
}

// newBatch gives nil for sources that are read item by item.
func (r *run) newBatch(src sources.Source, workers int, open func(job)) *batch {
	v, ok := src.(sources.Visitor)
	if !ok || r.engine.plain || r.o.Full {
		return nil
	}
	b := &batch{r: r, src: v, workers: workers, open: open}
	b.scans.New = func() any {
		d := newDeltaScan(r.engine)
		r.mem.ask(d.s, d.lines)
		d.gate = r.gated()
		return d
	}
	return b
}

// add takes an item, or says that it is none to be visited.
func (b *batch) add(ctx context.Context, j job) bool {
	if b == nil || j.Origin.Blob == "" {
		return false
	}
	b.items, b.seqs = append(b.items, j.Item), append(b.seqs, j.seq)
	if len(b.items) == maxBatch {
		b.flush(ctx)
	}
	return true
}

// flush visits what was collected. An end of ctx is for the caller to see.
func (b *batch) flush(ctx context.Context) {
	if b == nil || len(b.items) == 0 {
		return
	}
	at := func(i int) job { return job{b.seqs[i], b.items[i]} }
	left, err := b.src.Visit(ctx, b.items, b.workers, func(c *sources.Content) any { return b.visit(at(c.Index), c) })
	if err == nil {
		for _, i := range left {
			b.open(at(i))
		}
	}
	clear(b.items)
	b.items, b.seqs = b.items[:0], b.seqs[:0]
}

// visit scans one content and gives what was carried.
func (b *batch) visit(j job, c *sources.Content) (state any) {
	p := b.r.o.Progress
	p.Done.Add(1)
	p.Bytes.Add(int64(len(c.Data)))
	p.Packed.Add(c.Stored)
	if c.Skip != nil {
		b.r.noting(j, nil)(0, c.Skip)
		b.r.skip(j.Origin, c.Skip)
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			// The value of a panic may quote content; its type may not.
			b.r.skip(j.Origin, &sources.Skip{Reason: sources.SkipUnreadable, Err: fmt.Errorf("internal error (%T) while scanning it; please report", p)})
			state = nil
		}
	}()
	d := b.scans.Get().(*deltaScan)
	end := b.r.noting(j, d.gate)
	state = d.scan(c, d.gate.match)
	d.gate.Close()
	end(int64(len(c.Data)), nil)
	b.scans.Put(d) // not after a panic
	b.r.count(j, int64(len(c.Data)), text)
	return state
}

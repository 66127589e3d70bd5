package scanner

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/internal/told"
	"github.com/quench-dev/quench/sources"
)

type opener = func(context.Context) (io.ReadCloser, error)

// know has a source give nothing that is as it was when an earlier Run told of it:
// what that told is told again. keep keeps what this Run tells, of so many items and
// with the source's error, for later ones.
func (r *run) know(ctx context.Context, src sources.Source, workers int) (keep func(items int, err error)) {
	v, visits := src.(sources.Visitor)
	k, ok := src.(sources.Knower)
	if !ok || !visits || r.mem == nil || r.o.Memory.Name == "" || r.o.Full || r.engine.allow.AsksText() {
		return func(int, error) {}
	}
	known := &sources.Known{Name: r.o.Memory.Name, Use: func(kept []byte, open func(sources.Item) opener) (c sources.Counts, ok bool) {
		report, err := told.Parse(kept, r.engine.set.Rule)
		if err != nil || r.mem.known != nil && !(r.mem.Whole() && r.mem.Sum() == report.Known) {
			return c, false
		}
		if !report.Read(ctx, v, open, workers) || !r.fillScans(ctx, report, open) {
			return c, false
		}
		r.told = make([]Finding, 0, len(report.Findings))
		for _, f := range report.Findings {
			f.FoundAt = r.o.Now()
			r.told = append(r.told, f.Finding)
			if r.o.Hit != nil && f.Line > 0 {
				r.o.Hit(f.Hit)
			}
		}
		r.cov = report.Coverage
		return r.cov.Counts, true
	}}
	k.Know(known)
	return func(items int, err error) {
		if err != nil || ctx.Err() != nil || r.tokens.Load() || !told.Lasting(&r.cov) || r.engine.Err() != nil || r.mem.known != nil && r.mem.known.Err() != nil {
			return
		}
		all := r.o.Memory.Cache.For(nil)
		report := &told.Report{Coverage: r.cov, Known: all.Sum()}
		for _, f := range r.told {
			res, _, ok := all.Get(cache.ID(f.Object))
			if !report.Add(f, ok && !res.Binary && res.Archive == nil) {
				return
			}
		}
		if c, ok := src.(sources.Counter); ok {
			report.Coverage.Counts = c.Counts()
		}
		report.Coverage.Cached = int64(items - len(report.Objects(told.Scan)))
		if kept, err := report.Bytes(); err == nil {
			known.Keep(kept)
		}
	}
}

// fillScans takes secrets from objects that have to be scanned for that.
func (r *run) fillScans(ctx context.Context, report *told.Report, open func(sources.Item) opener) bool {
	for id, list := range report.Objects(told.Scan) {
		f := report.Findings[list[0]]
		it := sources.Item{Origin: f.Origin, Object: id, Of: f.Of}
		it.Origin.Path, it.Origin.Entry = strings.TrimSuffix(f.Origin.Path, "!/"+f.Origin.Entry), ""
		it.Open = open(it)
		var hits []Hit
		again := &run{engine: r.engine, cov: Coverage{Skipped: map[sources.Reason]int64{}}, o: RunOptions{Now: r.o.Now, Progress: new(Progress), Hit: func(h Hit) { hits = append(hits, h) }}}
		again.item(ctx, job{0, it}, r.engine.NewStream(nil), again.gated())
		for _, i := range list {
			f := report.Findings[i]
			n := slices.IndexFunc(hits, func(h Hit) bool {
				return h.Rule == f.Rule && h.Start == f.Start && h.End == f.End && h.Origin.Path == f.Origin.Path && slices.Equal(h.DecodedVia, f.DecodedVia)
			})
			if n < 0 || again.tokens.Load() || !report.Fill(i, hits[n].Secret) {
				return false
			}
		}
	}
	return true
}

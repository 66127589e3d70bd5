package scanner

import (
	"context"
	"io"
	"slices"
	"strings"

	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/internal/held"
	"github.com/quench-dev/quench/scanner/internal/told"
	"github.com/quench-dev/quench/sources"
)

type opener = func(context.Context) (io.ReadCloser, error)

// know has a source give nothing of a history that is as it was when an earlier Run
// told of it: what that told is told again, and of a working tree what the files held
// that have not changed. keep keeps what this Run tells, with the source's error, for
// later ones.
func (r *run) know(ctx context.Context, src sources.Source, workers int) (keep func(err error)) {
	v, visits := src.(sources.Visitor)
	k, ok := src.(sources.Knower)
	if !ok || !visits || r.mem == nil || r.o.Memory.Name == "" || r.o.Full || r.engine.allow.AsksText() {
		return func(error) {}
	}
	known := &sources.Known{Name: r.o.Memory.Name, Use: func(kept []byte, open func(sources.Item) opener) (c sources.Counts, ok bool) {
		report, err := told.Parse(kept, r.engine.set.Rule)
		if err != nil || r.mem.known != nil && !(r.mem.Whole() && r.mem.Sum() == report.Known) {
			return c, false
		}
		if !report.Read(ctx, v, open, workers) || !r.fillScans(ctx, report, open) {
			return c, false
		}
		r.told = make([]*held.Finding[Finding], 0, len(report.Findings))
		for _, f := range report.Findings {
			f.FoundAt = r.o.Now()
			r.told = append(r.told, f.Held(r.keyOf(f.Hit).Secret))
			if r.o.Hit != nil && f.Line > 0 {
				r.o.Hit(f.Hit)
			}
		}
		r.cov, r.files = report.Coverage, told.NewFiles(report)
		return r.cov.Counts, true
	}}
	k.Know(known)
	r.files = told.NewFiles(nil)
	return func(err error) {
		if err != nil || ctx.Err() != nil || r.tokens.Load() || !told.Lasting(&r.cov) || r.engine.Err() != nil || r.mem.known != nil && r.mem.known.Err() != nil {
			return
		}
		all := r.o.Memory.Cache.For(nil)
		report := &told.Report{Coverage: r.cov, Known: all.Sum()}
		list := slices.Clone(r.told)
		for i, f := range found.Settled(list) {
			res, _, ok := all.Get(cache.ID(f.Object))
			if !report.Add(f, ok && !res.Binary && res.Archive == nil, list[i].Loose) {
				return
			}
		}
		if r.mem.known == nil || !r.mem.Empty() { // or nobody knows what was asked about them
			report.Files = r.files.All()
		}
		if c, ok := src.(sources.Counter); ok {
			report.Coverage.Counts = c.Counts()
		}
		report.Coverage.Cached = int64(r.listed - len(report.Objects(told.Scan)))
		if kept, err := report.Bytes(); err == nil {
			known.Keep(kept)
		}
	}
}

// file tells of a file of the working tree what it held when it had these bytes.
func (r *run) file(it job, f *told.File) int64 {
	for _, h := range f.Findings {
		h.FoundAt = r.o.Now()
		r.o.Progress.Hits.Add(1)
		if r.o.Hit != nil {
			r.o.Hit(h.Hit)
		}
		r.find(it, h.Hit, h.Marked)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tree.Cached++
	return f.Size
}

// fillScans takes secrets from objects that have to be scanned for that.
func (r *run) fillScans(ctx context.Context, report *told.Report, open func(sources.Item) opener) bool {
	for id, list := range report.Objects(told.Scan) {
		f := report.Findings[list[0]]
		it := sources.Item{Origin: f.Origin, Object: id, Of: f.Of}
		it.Origin.Path, it.Origin.Entry = strings.TrimSuffix(f.Origin.Path, "!/"+f.Origin.Entry), ""
		it.Open = open(it)
		var hits []Hit
		again := &run{engine: r.engine, o: RunOptions{Now: r.o.Now, Progress: new(Progress), Hit: func(h Hit) { hits = append(hits, h) }}}
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

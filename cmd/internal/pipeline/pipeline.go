// Package pipeline joins the parts: items of sources through the scanner, hits
// to the registry and the revoker, findings to the report.
//
// Every way of using Quench (scan, hook, watch, action, demo) is a Run with
// other sources and another writer. It decides nothing itself except what ends
// up in the exit code. Start reading at Run.
package pipeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

// Options are the parts to join. Engine and Writer are required.
type Options struct {
	Engine *scanner.Engine
	// Revoker contains hits on tokens of the registry; nil when there is no
	// registry. What it may do is its own Mode and Policy.
	Revoker *revoker.Revoker
	Writer  report.Writer
	// Workers is how many items are read at the same time; 0 is one per CPU.
	Workers int
	// MinConfidence is the least reported; empty means medium. Tokens of the
	// registry are always reported.
	MinConfidence rules.Confidence
	// MayBeEmpty says that the sources are a range of commits: when its ends
	// resolve and nothing lies between, that is a complete answer.
	MayBeEmpty bool
	// Filters say which findings of the source of the same place are left out of
	// the report, none where there is none; ShowIgnored has them written all the
	// same, told apart and not counted as findings.
	Filters     []*ignore.Filter
	ShowIgnored bool
	// Whole says that the sources are all that the filters' files could be for, so
	// that an entry which met nothing is stale.
	Whole bool
	// CompareFull scans what is stored as differences both ways and fails where
	// they do not agree.
	CompareFull bool
	// Cache keeps what scans found, for later ones; nil keeps nothing.
	Cache Cache
	// Progress is added to on the way, and Read is called when all is read,
	// before the report's last word. Both may be nil.
	Progress *scanner.Progress
	Read     func()
}

// Cache keeps the scanner's Memory of sources.
type Cache interface {
	// Recall gives what is remembered of a source, nil when there is nothing to
	// remember; Keep keeps what is known after the scan.
	Recall(src sources.Source) *scanner.Memory
	Keep(src sources.Source, m *scanner.Memory)
}

// Result is what a Run came to.
type Result struct {
	Findings int
	// Below counts matches under MinConfidence.
	Below    int
	Totals   report.Totals
	Coverage scanner.Coverage
	// Failed are the sources that could not be read to their end, and the
	// leaks that could not be contained.
	Failed error
}

// Exit codes, see design: findings beat incomplete coverage.
const (
	exitClean      = 0
	exitFindings   = 1
	exitError      = 2
	exitIncomplete = 3
)

// ExitCode is the exit code a scan with this result ends with.
func (r Result) ExitCode() int {
	switch {
	case errors.Is(r.Failed, ErrDiffers):
		return exitError // what was found is not to be trusted
	case r.Findings > 0:
		return exitFindings
	case r.Failed != nil:
		return exitError
	case !r.Coverage.Complete(), r.Coverage.Nothing():
		return exitIncomplete
	}
	return exitClean
}

// Run scans the sources one after the other, contains leaked tokens as they are
// hit, and writes findings as attribution completes. It returns what it has
// when ctx ends. The error is that of the writer: nothing can be reported any
// more then.
func Run(ctx context.Context, srcs []sources.Source, o Options) (Result, error) {
	p := &pipe{o: o, contained: map[containKey]*containment{}}
	if p.o.MinConfidence == "" {
		p.o.MinConfidence = rules.Medium
	}
	p.res.Coverage.Skipped = map[sources.Reason]int64{}
	for i, src := range srcs {
		if p.filter = nil; i < len(o.Filters) {
			p.filter = o.Filters[i]
		}
		var memory *scanner.Memory
		if o.Cache != nil && !p.filter.NamesIDs() { // which are known of what is read alone
			memory = o.Cache.Recall(src)
		}
		cov, err := o.Engine.Run(ctx, src, scanner.RunOptions{
			Workers: o.Workers,
			Hit:     func(h scanner.Hit) { p.hit(ctx, h) },
			Finding: p.finding, Progress: o.Progress, Memory: memory,
		})
		if memory != nil {
			o.Cache.Keep(src, memory)
		}
		p.res.Coverage.Add(cov)
		if o.CompareFull && err == nil {
			err = compareFull(ctx, o.Engine, src, o.Workers)
		}
		if c, ok := src.(io.Closer); ok {
			err = errors.Join(err, c.Close())
		}
		if err != nil {
			p.res.Failed = errors.Join(p.res.Failed, err)
		}
		if ctx.Err() != nil {
			p.res.Coverage.Interrupted = true
			break
		}
	}
	if o.Read != nil {
		o.Read()
	}
	if err := o.Engine.Err(); err != nil {
		p.res.Failed = errors.Join(p.res.Failed, err)
	}
	p.totals()
	c := &p.res.Coverage
	c.Empty = o.MayBeEmpty && c.Items == 0 && c.Complete() && p.res.Failed == nil
	if err := o.Writer.Close(p.res.Coverage, p.res.Totals); p.writeErr == nil {
		p.writeErr = err
	}
	if p.writeErr != nil {
		return p.res, fmt.Errorf("writing the report: %w", p.writeErr)
	}
	return p.res, nil
}

type pipe struct {
	o        Options
	res      Result
	writeErr error
	filter   *ignore.Filter // of the source at hand

	mu        sync.Mutex
	contained map[containKey]*containment
}

// containKey names a leak that is contained once: the same token in another
// version of the same file is no news.
type containKey struct{ token, root, path string }

type containment struct {
	once sync.Once
	revoker.Containment
	err error
}

func (p *pipe) hit(ctx context.Context, h scanner.Hit) {
	if h.Token == nil || p.o.Revoker == nil {
		return
	}
	c := p.containment(h)
	c.once.Do(func() {
		// A leak that was seen is contained even when the scan is being
		// stopped at this moment.
		c.Containment, c.err = p.o.Revoker.Contain(context.WithoutCancel(ctx), h)
		if c.err != nil {
			p.mu.Lock()
			p.res.Failed = errors.Join(p.res.Failed, fmt.Errorf("containing token %s: %w", h.Token.ID, c.err))
			p.mu.Unlock()
		}
	})
}

func (p *pipe) containment(h scanner.Hit) *containment {
	k := containKey{h.Token.ID, h.Origin.Root, h.Origin.Path}
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.contained[k]
	if c == nil {
		c = &containment{}
		p.contained[k] = c
	}
	return c
}

func (p *pipe) finding(f scanner.Finding) {
	reason, ignored := p.filter.Ignored(f)
	if f.Dropped != "" {
		p.res.Totals.Dropped++
		if p.writeErr == nil {
			p.writeErr = p.o.Writer.Finding(f)
		}
		return
	}
	if f.Token == nil && !f.Confidence.AtLeast(p.o.MinConfidence) {
		p.res.Below++
		return
	}
	if ignored {
		p.ignored(f, reason)
		return
	}
	p.res.Findings++
	if p.res.Totals.ByConfidence == nil {
		p.res.Totals.ByConfidence = map[rules.Confidence]int{}
	}
	p.res.Totals.ByConfidence[f.Confidence]++
	if f.Token != nil && p.o.Revoker != nil {
		c := p.containment(f.Hit)
		f.IncidentID, f.Contained = c.IncidentID, c.Told()
	}
	p.leak(&f)
	if p.writeErr == nil {
		p.writeErr = p.o.Writer.Finding(f)
	}
}

// leak does what the policy says about a secret that a rule found, once all is known
// that the policy decides by.
func (p *pipe) leak(f *scanner.Finding) {
	if f.Token != nil || p.o.Revoker == nil {
		return
	}
	// As for hits: what was seen is contained, even when the scan is being stopped.
	c, err := p.o.Revoker.Leak(context.Background(), *f)
	if err != nil {
		p.mu.Lock()
		p.res.Failed = errors.Join(p.res.Failed, fmt.Errorf("containing the secret at %s, line %d: %w", f.Origin.Path, f.Line, err))
		p.mu.Unlock()
		return
	}
	f.IncidentID, f.Contained = c.IncidentID, c.Told()
	if c.IncidentID != "" {
		p.mu.Lock()
		p.contained[containKey{token: c.IncidentID}] = &containment{Containment: c}
		p.mu.Unlock()
	}
}

// ignored counts a finding that is left out, and shows it where that is asked for.
func (p *pipe) ignored(f scanner.Finding, r ignore.Reason) {
	t := &p.res.Totals
	if t.Ignored == nil {
		t.Ignored = map[string]int{}
	}
	t.Ignored[string(r.Kind)]++
	if p.o.ShowIgnored && p.writeErr == nil {
		f.Ignored = string(r.Kind) + ": " + r.Text
		p.writeErr = p.o.Writer.Finding(f)
	}
}

// stale lists the filters' stale entries, of each filter once.
func (p *pipe) stale() (out []string) {
	whole := p.o.Whole && p.res.Coverage.Complete() && p.res.Failed == nil
	seen := map[*ignore.Filter]bool{}
	for _, f := range p.o.Filters {
		if seen[f] {
			continue
		}
		seen[f] = true
		for _, s := range f.Stale(whole) {
			out = append(out, s.String())
		}
	}
	return out
}

func (p *pipe) totals() {
	t := &p.res.Totals
	t.Stale, t.Below = p.stale(), p.res.Below
	t.Findings = p.res.Findings
	incidents, revoked := map[string]bool{}, map[string]bool{}
	for k, c := range p.contained {
		if c.IncidentID != "" {
			incidents[c.IncidentID] = true
		}
		if c.Action == revoker.Revoked || c.Action == revoker.Queued && !c.DeadAt.IsZero() { // refused here, whatever its provider hears
			revoked[k.token] = true
		}
	}
	t.Incidents, t.Revoked = len(incidents), len(revoked)
}

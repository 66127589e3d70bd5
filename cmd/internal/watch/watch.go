// Package watch takes followed logs through the scanner to containment.
//
// Each file has a stream of its own. What a stream decides is contained first
// when it is a token of the registry, then stored together with the position
// up to which everything is decided, then reported. Killed at any point, the next
// run reads again from that position: what was stored is not told twice, what was
// not is found again. Start reading at Run.
package watch

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/ignore"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

// Options are the parts to join. Engine, Writer and Paths are required.
type Options struct {
	Engine *scanner.Engine
	// Registry stores findings and positions; nil keeps positions in State.
	Registry *registry.Registry
	// Revoker contains tokens of the registry; nil without one.
	Revoker *revoker.Revoker
	Writer  report.Writer
	Paths   []string
	// From says where files are read from.
	From From
	// State is the file for positions when there is no registry.
	State         string
	MinConfidence rules.Confidence
	// Filter says what is left out of the report, nil nothing; ShowIgnored writes it
	// all the same.
	Filter      *ignore.Filter
	ShowIgnored bool
	// Ready and Trouble are those of sources.TailOptions.
	Ready   func(files int)
	Trouble func(path string, err error)
	// Metrics are counted in, nil for nowhere.
	Metrics *metrics.Watch
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// From says where files are read from.
type From string

// The places to read from. A file that has no checkpoint is read from its start:
// a leak from before the watch began is a leak.
const (
	FromCheckpoint From = "checkpoint"
	FromStart      From = "start"
	FromEnd        From = "end"
)

// saveEvery bounds how much is read again after a kill when nothing is found: a
// second of log. Saving at each read would cost a disk flush each.
const saveEvery = time.Second

// Run watches until ctx ends and then reports what was covered.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MinConfidence == "" {
		o.MinConfidence = rules.Medium
	}
	w := &watcher{o: o, logs: map[string]*logFile{}, cov: scanner.Coverage{Skipped: map[sources.Reason]int64{}},
		totals: report.Totals{ByConfidence: map[rules.Confidence]int{}}}
	if err := w.openPositions(ctx); err != nil {
		return err
	}
	positions, err := w.positions.load(ctx)
	if err != nil {
		return err
	}
	if o.From != FromCheckpoint && o.From != "" {
		positions = nil
	}
	start := o.Now()
	err = sources.Tail(ctx, sources.TailOptions{Paths: o.Paths, Positions: positions, FromEnd: o.From == FromEnd, Ready: o.Ready, Trouble: w.trouble},
		func(e sources.TailEvent) error { return w.event(context.WithoutCancel(ctx), e) })
	w.cov.Elapsed = o.Now().Sub(start)
	for _, l := range w.logs {
		err = errors.Join(err, w.settle(context.WithoutCancel(ctx), l, true))
	}
	return errors.Join(err, o.Writer.Close(w.cov, w.totals))
}

type watcher struct {
	o         Options
	positions positions
	logs      map[string]*logFile
	cov       scanner.Coverage
	totals    report.Totals
}

// logFile is one followed file.
type logFile struct {
	path   string
	id     sources.TailIdentity
	offset int64 // in the file of the stream's first byte
	line   int64 // line feeds before it
	stream *scanner.Stream
	found  []scanner.Match
	saved  time.Time
	read   time.Time // when the last bytes came
	// pairs holds halves of credentials for the lines that may hold the others; from is
	// where to begin again so that none of them is lost.
	pairs *scanner.Pairs
	from  sources.TailPosition
}

func (w *watcher) trouble(path string, err error) {
	w.cov.Skipped[sources.SkipUnreadable]++
	w.o.Metrics.Unread(string(sources.SkipUnreadable))
	if len(w.cov.Unread) < 20 {
		w.cov.Unread = append(w.cov.Unread, scanner.Unread{What: path, Reason: sources.SkipUnreadable, Err: err.Error()})
	}
	if w.o.Trouble != nil {
		w.o.Trouble(path, err)
	}
}

func (w *watcher) event(ctx context.Context, e sources.TailEvent) error {
	l := w.logs[e.Path]
	switch e.Kind {
	case sources.TailBegin:
		l = &logFile{path: e.Path, id: e.Position.Identity, offset: e.Position.Offset, line: e.Position.Line, saved: w.o.Now()}
		l.pairs, l.from = w.o.Engine.NewPairs(), e.Position
		l.stream = w.o.Engine.NewStream(func(m scanner.Match) { l.found = append(l.found, m) })
		w.logs[e.Path] = l
		w.o.Metrics.At(e.Path, l.offset)
		w.cov.Items++
		w.cov.Files++
		return nil
	case sources.TailData:
		w.cov.Bytes += int64(len(e.Data))
		l.id, l.read = e.Position.Identity, w.o.Now()
		w.o.Metrics.At(e.Path, e.Position.Offset)
		w.o.Metrics.Read(len(e.Data), bytes.Count(e.Data, []byte{'\n'}))
		l.stream.Write(e.Data)
	case sources.TailIdle:
		l.stream.Flush()
		return w.settle(ctx, l, true)
	case sources.TailEnd:
		l.stream.Close()
		delete(w.logs, e.Path)
		w.o.Metrics.Gone(e.Path)
		return w.settle(ctx, l, true)
	}
	return w.settle(ctx, l, false)
}

// settle contains, stores and reports what a stream has decided.
func (w *watcher) settle(ctx context.Context, l *logFile, save bool) error {
	if len(l.found) == 0 && !save && w.o.Now().Sub(l.saved) < saveEvery {
		return nil
	}
	at, line := l.stream.SettledAt()
	list := w.decided(l, int(l.line)+line, save)
	fresh, err := w.store(ctx, list)
	if err != nil {
		return err
	}
	var told []scanner.Finding
	for i, f := range list {
		if f.Token != nil && w.o.Revoker != nil {
			c, err := w.o.Revoker.Contain(ctx, f.Hit)
			if err != nil {
				return fmt.Errorf("containing token %s: %w", f.Token.ID, err)
			}
			f.IncidentID, f.Contained = c.IncidentID, c.Told()
			w.incident(c)
			if c.Action == revoker.Revoked || c.Action == revoker.Queued {
				w.totals.Revoked++
				w.o.Metrics.Killed(w.o.Now().Sub(l.read))
			}
		}
		if err := w.leak(ctx, &f); err != nil {
			return err
		}
		if fresh[i] {
			told = append(told, f)
		}
	}
	if l.pairs.First() == nil {
		l.from = sources.TailPosition{Path: l.path, Offset: l.offset + at, Line: l.line + int64(line)}
	}
	l.from.Identity = l.id
	if err := w.positions.save(ctx, l.from); err != nil {
		return err
	}
	l.saved = w.o.Now()
	w.o.Metrics.Saved(l.saved)
	for _, f := range told {
		if r, ok := w.o.Filter.Ignored(f); ok {
			if err := w.ignored(f, r); err != nil {
				return err
			}
			continue
		}
		w.totals.Findings++
		w.o.Metrics.Finding(f.Rule.ID, string(f.Confidence))
		w.totals.ByConfidence[f.Confidence]++
		if f.IncidentID != "" {
			w.totals.Incidents++
		}
		if err := w.o.Writer.Finding(f); err != nil {
			return fmt.Errorf("writing the report: %w", err)
		}
	}
	return nil
}

// incident counts a containment; what is reported alone is none.
func (w *watcher) incident(c revoker.Containment) {
	if c.IncidentID != "" {
		w.o.Metrics.Incident(string(c.Action))
	}
}

// leak does what the policy says about a secret that a rule found. What is left out of
// the report is left alone.
func (w *watcher) leak(ctx context.Context, f *scanner.Finding) error {
	if f.Token != nil || w.o.Revoker == nil {
		return nil
	}
	if _, ok := w.o.Filter.Ignored(*f); ok {
		return nil
	}
	c, err := w.o.Revoker.Leak(ctx, *f)
	if err != nil {
		return fmt.Errorf("containing the secret at %s, line %d: %w", f.Origin.Path, f.Line, err)
	}
	f.IncidentID, f.Contained = c.IncidentID, c.Told()
	w.incident(c)
	if c.Action == revoker.Revoked {
		w.totals.Revoked++
	}
	return nil
}

// decided gives what is found and waits for nothing: halves of credentials wait until
// the first lines hold all that they could belong to, or the log is quiet. Tokens of
// the registry never do.
func (w *watcher) decided(l *logFile, lines int, quiet bool) (out []scanner.Finding) {
	for _, m := range l.found {
		h := w.hit(l, m)
		f := scanner.Finding{Hit: h, ID: scanner.FindingID(h.Rule.ID, h.Origin.Path, h.Key, h.Context, h.Secret)}
		if f.Token != nil || !l.pairs.Add(f) {
			out = append(out, f)
		}
	}
	l.found = nil
	if quiet {
		lines = scanner.AllLines
	}
	return slices.DeleteFunc(append(out, l.pairs.Take(lines)...), func(f scanner.Finding) bool {
		return f.Token == nil && !f.Confidence.AtLeast(w.o.MinConfidence)
	})
}

// ignored counts a finding that is left out, and shows it where that is asked for.
func (w *watcher) ignored(f scanner.Finding, r ignore.Reason) error {
	if w.totals.Ignored == nil {
		w.totals.Ignored = map[string]int{}
	}
	w.totals.Ignored[string(r.Kind)]++
	if !w.o.ShowIgnored {
		return nil
	}
	f.Ignored = string(r.Kind) + ": " + r.Text
	if err := w.o.Writer.Finding(f); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// hit places a match in its file.
func (w *watcher) hit(l *logFile, m scanner.Match) scanner.Hit {
	m.Start += l.offset
	m.End += l.offset
	m.Line += int(l.line)
	m.EndLine += int(l.line)
	now := w.o.Now()
	return scanner.Hit{Match: m, FoundAt: now, Origin: sources.Origin{Source: "tail", Root: fmt.Sprintf("%d:%d", l.id.Dev, l.id.Ino), Path: l.path, Time: now}}
}

// store records findings before anything is done about them, and says which were not
// known. They are recorded again with their incident, which changes nothing.
func (w *watcher) store(ctx context.Context, list []scanner.Finding) (fresh []bool, err error) {
	fresh = make([]bool, len(list))
	if w.o.Registry == nil || len(list) == 0 {
		for i := range fresh {
			fresh[i] = true
		}
		return fresh, nil
	}
	err = w.o.Registry.Store().InTx(ctx, func(tx *sql.Tx) error {
		for i, f := range list {
			var err error
			if _, fresh[i], err = finding.Store(ctx, tx, revoker.Record(f.Hit)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("storing what was found: %w", store.Explain(err))
	}
	return fresh, nil
}

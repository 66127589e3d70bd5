// Package watch takes followed logs through the scanner to containment.
//
// Each file has a stream of its own while anything in it is undecided. After each round
// of reading, what the streams decided is contained first, then stored in one transaction
// with the positions up to which all is decided, then reported. Killed at any point, the
// next run reads again from those positions: what was stored is not told twice, what was
// not is found again. While nothing can be stored nothing is read, and the logs wait on
// disk. Start reading at Run, then log.go and record.go.
package watch

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/sources"
)

// Options are the parts to join. Engine, Writer and Paths are required.
type Options struct {
	Engine *scanner.Engine
	// Registry stores findings and positions; nil keeps positions in State.
	Registry *registry.Registry
	Settings
	Writer report.Writer
	Paths  []string
	// From says where files are read from.
	From From
	// Format is what the files are, of envelope.Formats; empty is auto.
	Format string
	// Inputs reads what is read besides files until ctx ends, or for as long as it has
	// something; deliver is Recorder.Deliver, and count hears of what is read, by the kind
	// of input. Nil is nothing.
	Inputs func(ctx context.Context, deliver func(context.Context, []scanner.Finding) error, count func(input string, bytes, lines int)) error
	// State is the file for positions when there is no registry.
	State         string
	MinConfidence rules.Confidence
	// Reload brings what a reload changed, nil for never.
	Reload <-chan Change
	// Ready and Trouble are those of sources.TailOptions. Blocked hears why nothing is
	// read, each reason once until it changes, and nil when that is over.
	Ready   func(files int)
	Trouble func(path string, err error)
	Blocked func(err error)
	// Ended hears at the end what was read, by the kind of input.
	Ended func(map[string]Read)
	// Check says what keeps the engine from seeing everything, nil for nothing: what it
	// may have missed as ctx ended is read again by the next run.
	Check func() error
	// Alive is called at each round, and while nothing can be stored.
	Alive func()
	// Metrics are counted in, nil for nowhere.
	Metrics *metrics.Watch
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Change is what a reload may change.
type Change struct {
	Engine        *scanner.Engine
	MinConfidence rules.Confidence
	Settings
	Paths []string
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

const (
	// saveEvery bounds how much is read again after a kill when nothing is found: a
	// second of log. Saving at each read would cost a disk flush each.
	saveEvery = time.Second
	// firstRetry and maxRetry bound how long a store that failed is left alone.
	firstRetry, maxRetry = 100 * time.Millisecond, 5 * time.Second
	// maxEnded bounds the positions that are kept of files that were moved away, oldest
	// first: they may come back.
	maxEnded = 1000
)

var errWriting = errors.New("writing the report")

// Run watches until ctx ends and then reports what was covered.
func Run(ctx context.Context, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Alive == nil {
		o.Alive = func() {}
	}
	if o.Check == nil {
		o.Check = func() error { return nil }
	}
	if o.MinConfidence == "" {
		o.MinConfidence = rules.Medium
	}
	if o.Format == "" {
		o.Format = "auto"
	}
	w := &watcher{o: o, ctx: ctx, orphans: map[string]*logFile{}, read: map[string]Read{}, logs: map[string]*logFile{}, lines: map[string]int64{}, unsaved: map[string]sources.TailPosition{},
		cov: scanner.Coverage{Skipped: map[sources.Reason]int64{}},
		rec: &Recorder{Registry: o.Registry, Writer: o.Writer, Metrics: o.Metrics, Now: o.Now, settings: o.Settings}}
	w.engine.Store(&engine{o.Engine, o.MinConfidence})
	w.paths.Store(len(o.Paths) > 0)
	if err := w.openPositions(); err != nil {
		return err
	}
	positions, err := w.positions.load(ctx)
	if err != nil {
		return err
	}
	if o.From != FromCheckpoint && o.From != "" {
		w.passed, positions = positions, nil
	}
	start := o.Now()
	paths := make(chan []string)
	done := make(chan struct{})
	ctx, stop := context.WithCancel(ctx)
	go func() { defer close(done); w.reload(ctx, paths) }()
	err = w.beside(ctx, func(ctx context.Context) error {
		return sources.Tail(ctx, sources.TailOptions{Paths: o.Paths, Repath: paths, Positions: positions, FromEnd: o.From == FromEnd,
			Ready: o.Ready, Trouble: w.trouble, Round: w.round}, w.event)
	})
	stop()
	<-done
	w.cov.Elapsed = o.Now().Sub(start)
	w.closing = true
	for _, l := range w.logs {
		if l.stream != nil || l.pairs != nil || l.dirty {
			l.quiet = true
			w.touch(l)
		}
	}
	err = errors.Join(err, w.round())
	if o.Ended != nil {
		o.Ended(w.read)
	}
	return errors.Join(err, w.rec.Close(w.cov))
}

// Read is what was read of one kind of input.
type Read struct{ Bytes, Lines int64 }

// beside runs files and inputs beside each other until ctx ends, or one of them fails.
// Where there are no files it ends with the inputs.
func (w *watcher) beside(ctx context.Context, tail func(context.Context) error) error {
	if w.o.Inputs == nil {
		return tail(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() {
		err := w.o.Inputs(ctx, w.rec.Deliver, w.count)
		if err != nil || !w.paths.Load() {
			cancel()
		}
		done <- err
	}()
	err := tail(ctx)
	cancel()
	return errors.Join(err, <-done)
}

type watcher struct {
	o         Options
	ctx       context.Context
	positions positions
	rec       *Recorder
	engine    atomic.Pointer[engine]
	paths     atomic.Bool // there are any: without, it ends with its other inputs

	mu    sync.Mutex
	logs  map[string]*logFile // by file
	lines map[string]int64    // of files that ended and may come back: their line feeds
	dirty []*logFile          // since the last round
	spare []*scanner.Stream
	cov   scanner.Coverage
	read  map[string]Read
	seams []*logFile // whose seam is not decided
	// orphans are files that ended undecided, by file and oldest first; see maxOrphans.
	orphans  map[string]*logFile
	orphaned []string

	// Of the round alone.
	unsaved map[string]sources.TailPosition
	forget  []string // files that are no more
	// passed are where files were left before, of a run that does not go on there: one is
	// forgotten when the file's new position is saved, or the next run would read both.
	passed  []sources.TailPosition
	ended   []string // and those that may come back, oldest first
	saved   time.Time
	blocked string
	closing bool
	failed  bool // findings are not stored that unsaved is past
}

func (w *watcher) trouble(path string, err error) {
	if err != nil {
		w.mu.Lock()
		w.cov.Skipped[sources.SkipUnreadable]++
		if len(w.cov.Unread) < 20 {
			w.cov.Unread = append(w.cov.Unread, scanner.Unread{What: path, Reason: sources.SkipUnreadable, Err: err.Error()})
		}
		w.mu.Unlock()
		w.o.Metrics.Unread(string(sources.SkipUnreadable))
	}
	if w.o.Trouble != nil {
		w.o.Trouble(path, err)
	}
}

// reload takes changes until ctx ends.
func (w *watcher) reload(ctx context.Context, paths chan<- []string) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-w.o.Reload:
			w.paths.Store(len(c.Paths) > 0)
			w.engine.Store(&engine{c.Engine, c.MinConfidence})
			w.rec.Set(c.Settings)
			w.mu.Lock()
			w.spare = nil
			w.mu.Unlock()
			select {
			case paths <- c.Paths:
			case <-ctx.Done():
			}
		}
	}
}

// event is called for different files at the same time.
func (w *watcher) event(e sources.TailEvent) error {
	w.mu.Lock()
	l := w.logs[e.File]
	w.mu.Unlock()
	switch e.Kind {
	case sources.TailBegin:
		l = &logFile{file: e.File, path: e.Path, id: e.Position.Identity, end: e.Position.Offset, lines: e.Position.Line, from: e.Position}
		w.mu.Lock()
		if n, ok := w.lines[e.File]; ok {
			l.lines = n
		}
		w.logs[e.File] = l
		w.begin(l, e)
		w.cov.Items++
		w.cov.Files++
		w.mu.Unlock()
		w.o.Metrics.At(e.Path, l.end)
		if w.o.From == FromCheckpoint || w.o.From == "" {
			return nil // where it was left is written down
		}
	case sources.TailData:
		before := l.lines
		if l.path != e.Path {
			w.o.Metrics.Gone(l.path)
		}
		l.id, l.path, l.read, l.quiet, l.more = e.Position.Identity, e.Path, w.o.Now(), false, e.More
		if s := l.seam; s != nil {
			s.head = append(s.head, e.Data[:min(len(e.Data), seamSize-len(s.head))]...)
		}
		if err := w.write(l, e.Data); err != nil {
			return err
		}
		w.o.Metrics.At(e.Path, e.Position.Offset)
		w.count(metrics.Files, len(e.Data), int(l.lines-before))
	case sources.TailIdle:
		l.quiet = true
		if l.stream != nil {
			l.stream.Write(l.text.Quiet())
			l.stream.Flush()
		}
	case sources.TailEnd:
		l.ended, l.final = true, e.Final
		if l.stream != nil {
			l.stream.Write(l.text.Close())
			l.stream.Close()
		}
		w.o.Metrics.Gone(e.Path)
	}
	w.touch(l)
	return nil
}

// count counts what was read.
func (w *watcher) count(input string, bytes, lines int) {
	w.o.Metrics.Read(input, bytes, lines)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cov.Bytes += int64(bytes)
	r, ok := w.read[input]
	if !ok && input != metrics.Files {
		w.cov.Items++ // all of it is one text more or less, and not nothing
	}
	w.read[input] = Read{r.Bytes + int64(bytes), r.Lines + int64(lines)}
}

// touch has the next round look at a file.
func (w *watcher) touch(l *logFile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !l.dirty {
		l.dirty = true
		w.dirty = append(w.dirty, l)
	}
}

// round delivers what was decided.
func (w *watcher) round() error {
	if w.o.Alive(); w.failed {
		return nil
	}
	d := &delivery{}
	d.list, d.read = w.join()
	w.mu.Lock()
	dirty := w.dirty
	w.dirty = nil
	w.mu.Unlock()
	for _, l := range dirty {
		l.dirty = false
		for _, f := range w.settle(l) {
			d.list, d.read = append(d.list, f), append(d.read, l.read)
		}
		w.unsaved[l.file] = l.from
		w.passed = slices.DeleteFunc(w.passed, func(p sources.TailPosition) bool {
			same := p.Dev == l.id.Dev && p.Ino == l.id.Ino && p.Ino != 0
			if same {
				w.forget = append(w.forget, p.File)
			}
			return same
		})
		if l.ended {
			w.end(l)
		}
	}
	if err := w.o.Check(); err != nil && (w.closing || w.ctx.Err() != nil) {
		w.failed = true
		return fmt.Errorf("what was read last is read again by the next run: %w", err)
	}
	now := w.o.Now()
	if len(d.list) == 0 && !w.closing && (len(w.unsaved)+len(w.forget) == 0 || now.Sub(w.saved) < w.positions.every()) {
		return nil
	}
	err := w.deliver(d)
	w.failed = err != nil
	return err
}

// end forgets a file.
func (w *watcher) end(l *logFile) {
	w.mu.Lock()
	delete(w.logs, l.file)
	w.over(l)
	if !l.final {
		w.lines[l.file] = l.lines
	}
	w.mu.Unlock()
	if l.final {
		delete(w.unsaved, l.file)
		w.forget = append(w.forget, l.file)
		return
	}
	w.ended = append(w.ended, l.file)
	if len(w.ended) > maxEnded {
		w.mu.Lock()
		old := w.ended[0]
		if w.logs[old] == nil {
			delete(w.unsaved, old)
			w.forget = append(w.forget, old)
		}
		delete(w.lines, old)
		w.mu.Unlock()
		w.ended = w.ended[1:]
	}
}

// deliver delivers findings with the positions that they are found up to. It does not
// return before they are stored, so that nothing more is read meanwhile, unless ctx
// ends: then they are found again by the next run.
func (w *watcher) deliver(d *delivery) error {
	ctx := context.WithoutCancel(w.ctx)
	since := w.o.Now()
	for wait := firstRetry; ; wait = min(2*wait, maxRetry) {
		err := w.rec.deliver(ctx, d, w.positions.inTx(ctx, w.unsaved, w.forget))
		if err == nil || errors.Is(err, errWriting) {
			w.o.Metrics.Blocked(time.Time{})
			if err != nil {
				w.tell(nil)
				return err
			}
			break
		}
		if len(d.list) == 0 && !w.closing {
			// Nothing is lost by reading on: it is read again.
			w.tell(fmt.Errorf("positions cannot be saved, a restart would read again from the last: %w", err))
			w.saved = w.o.Now()
			return nil
		}
		w.o.Alive()
		w.tell(fmt.Errorf("what was found cannot be stored, nothing is read until it is: %w", err))
		w.o.Metrics.Blocked(since)
		select {
		case <-w.ctx.Done():
			return fmt.Errorf("what was found is not stored; the next run finds it again: %w", err)
		case <-time.After(wait):
		}
	}
	if err := w.positions.after(w.unsaved, w.forget); err != nil {
		w.tell(fmt.Errorf("positions cannot be saved, a restart would read again from the last: %w", err))
		w.saved = w.o.Now()
		return nil
	}
	w.tell(nil)
	clear(w.unsaved)
	w.forget = nil
	w.saved = w.o.Now()
	w.o.Metrics.Saved(w.saved)
	return nil
}

// tell tells what keeps from storing, once until it changes.
func (w *watcher) tell(err error) {
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text == w.blocked {
		return
	}
	w.blocked = text
	if w.o.Blocked != nil {
		w.o.Blocked(err)
	}
}

// positions keeps how far files were read, durably.
type positions interface {
	load(context.Context) ([]sources.TailPosition, error)
	// inTx gives what saves positions in the transaction of the findings, nil where they
	// are saved after it.
	inTx(ctx context.Context, all map[string]sources.TailPosition, forget []string) func(*sql.Tx) error
	after(all map[string]sources.TailPosition, forget []string) error
	// every is how often they are saved when nothing is found.
	every() time.Duration
}

// sorted are the files in one order, so that two processes lock rows alike.
func sorted(all map[string]sources.TailPosition) []string {
	files := make([]string, 0, len(all))
	for f := range all {
		files = append(files, f)
	}
	slices.Sort(files)
	return files
}

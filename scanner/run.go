package scanner

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/internal/crew"
	"github.com/quench-dev/quench/scanner/internal/found"
	"github.com/quench-dev/quench/scanner/internal/held"
	"github.com/quench-dev/quench/scanner/internal/pair"
	"github.com/quench-dev/quench/scanner/internal/told"
	"github.com/quench-dev/quench/sources"
)

// RunOptions say how Run works and who hears of what it finds.
type RunOptions struct {
	// Workers is how many items are read at the same time; 0 means one per CPU.
	Workers int
	// Hit is told of each secret as soon as it is decided. It is called from
	// the workers, several at once, and holds its worker up while it runs.
	Hit func(Hit)
	// Finding is told of each finding once attribution is complete, one call
	// at a time.
	Finding func(Finding)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Full scans every item whole, also what a source stores as differences.
	Full bool
	// Progress is added to on the way; nil counts nothing.
	Progress *Progress
	// Memory is what earlier Runs found; nil has none. Hit is told of what is
	// taken over once for each finding, when all else is read; of a Memory that
	// proved wrong it is told again.
	Memory *Memory
}

// readSize is how much of an item is read at a time. It is much longer than
// the windows kept between two reads, so that little is moved twice, and short
// enough that the buffers of all workers stay in the second-level cache.
const readSize = 256 << 10

// queued is how many items wait for each worker: enough that workers seldom
// sleep and wake between small files, few enough that their folders may stay
// open.
const queued = 16

// job is an item and its place among all.
type job struct {
	seq int
	sources.Item
}

// Run reads every item of src through a pool of workers and emits its hits and
// findings. Findings in a repository are emitted when the source is done, once
// per rule, secret and path, with their first commit; all others as they are
// decided. An item that cannot be read is counted in the coverage and stops
// nothing. The error is the source's own; the coverage is true either way.
func (e *Engine) Run(ctx context.Context, src sources.Source, o RunOptions) (Coverage, error) {
	cov, err := e.run(ctx, src, o)
	if errors.Is(err, errMemory) {
		o.Memory.Cache, o.Memory.Failed = &cache.Cache{}, true
		return e.run(ctx, src, o)
	}
	return cov, err
}

// errMemory says that the objects read are not what Memory says of them.
var errMemory = errors.New("the memory of earlier scans is wrong")

func (e *Engine) run(ctx context.Context, src sources.Source, o RunOptions) (Coverage, error) {
	r := &run{engine: e, o: o, cov: Coverage{Skipped: map[sources.Reason]int64{}}, mem: newMemory(e, o.Memory), waiting: map[int]*Pairs{}}
	if r.o.Now == nil {
		r.o.Now = time.Now
	}
	if r.o.Progress == nil {
		r.o.Progress = new(Progress)
	}
	r.o.Progress.Listing(true)
	defer r.o.Progress.Listing(false)
	if _, err := rand.Read(r.key[:]); err != nil {
		return r.cov, fmt.Errorf("making a key for this scan: %w", err)
	}
	start := r.o.Now()
	workers := o.Workers
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	queue := make(chan job, workers*queued)
	wait, err := r.start(src, workers, func(s *Stream, g *itemGate) {
		for j := range queue {
			r.item(ctx, j, s, g)
		}
	})
	if err != nil {
		return r.cov, err
	}
	open := func(j job) { queue <- j }
	visits := r.visits(src, workers, open)
	visits.Foretell(r.unknown)
	keep := r.know(ctx, src, workers)
	seq := 0
	err = src.Items(ctx, func(it sources.Item) error {
		if r.passed(seq, it) {
			return nil
		}
		r.o.Progress.Listed.Add(1)
		if j := (job{seq, it}); !r.recall(j) && !visits.Add(ctx, j.seq, j.Item) {
			open(j)
		}
		seq++
		return nil
	})
	visits.Listed()
	r.reread(func(j job) {
		if !visits.Add(ctx, j.seq, j.Item) {
			open(j)
		}
	})
	r.o.Progress.Listing(false)
	visits.Flush(ctx)
	close(queue)
	wait()
	if r.told == nil {
		if !r.replay() && ctx.Err() == nil {
			return r.cov, errMemory
		}
		r.remember()
		r.told, r.cov.Earlier = r.held.Settle(ctx, src)
		keep(err)
	}
	list, earlier := r.held.Join(r.told, &r.inTree)
	r.cov.Add(r.tree)
	r.cov.Earlier += earlier
	for _, f := range pair.Join(found.Settled(list), r.engine.half, joinHalves) {
		r.tell(f)
	}
	if c, ok := src.(sources.Counter); ok {
		r.cov.Counts = c.Counts()
	}
	r.cov.Elapsed = r.o.Now().Sub(start)
	if ctx.Err() != nil {
		r.cov.Interrupted = true
		if errors.Is(err, ctx.Err()) {
			err = nil
		}
	}
	return r.cov, err
}

// start starts workers, and gives what waits for them.
func (r *run) start(src sources.Source, workers int, read func(*Stream, *itemGate)) (wait func(), err error) {
	_, history := src.(sources.Visitor)
	return crew.Start(workers, func() {
		if history && !r.engine.plain { // while refs are read, there is time
			r.engine.lits.compile(r.engine)
		}
		s := r.engine.NewStream(nil)
		r.mem.ask(s)
		read(s, r.gated())
	})
}

// run is the state of one Run.
type run struct {
	engine *Engine
	o      RunOptions
	mem    *memory
	outer  *run     // of what lies in an archive
	any    bool     // was found there
	key    [32]byte // of the MACs that tell equal secrets apart from others

	mu        sync.Mutex
	cov, tree Coverage // tree is of working trees
	held      held.Set[Finding]
	inTree    held.Set[Finding]
	// told is what the history holds, once all of it is known, or was when it was as it
	// is now.
	told []*held.Finding[Finding]
	// files are what is known of the files of a working tree; nil for nothing.
	files  *told.Files
	listed int // items of the history
	// tokens says that the registry knows something of what was found.
	tokens atomic.Bool
	// waiting are findings, by item, until all their other halves are seen.
	waiting map[int]*Pairs
}

func (r *run) skip(o sources.Origin, s *sources.Skip) {
	if o.Before {
		return // nothing to compare with: more is told then, not less
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covOf(o).Skip(o, s)
}

// item reads one item to its end, by a stream that it may use again.
func (r *run) item(ctx context.Context, it job, s *Stream, g *itemGate) {
	defer func() {
		if p := recover(); p != nil {
			r.skip(it.Origin, panicked(p))
		}
	}()
	defer g.r.release(it.seq, AllLines)
	end := r.noting(it, g)
	n, part, err := r.read(ctx, it, s, g)
	if part == itself && err == nil {
		return // counted
	}
	r.o.Progress.Done.Add(1)
	r.o.Progress.Bytes.Add(n)
	if err == nil {
		if part == text {
			end(n, nil)
		}
		r.count(it, n, part)
		return
	}
	if !it.Origin.Before && it.seq >= 0 {
		r.mu.Lock()
		r.covOf(it.Origin).Bytes += n
		r.mu.Unlock()
	}
	if ctx.Err() != nil {
		return
	}
	skip := &sources.Skip{Reason: sources.SkipUnreadable, Err: err}
	var why *sources.SkipError
	if errors.As(err, &why) {
		skip = &sources.Skip{Reason: why.Reason, Err: why.Err}
	}
	end(n, skip)
	r.skip(it.Origin, skip)
}

// count counts an item of which n bytes were read, to its end.
func (r *run) count(it job, n int64, p part) {
	o := it.Origin
	if o.Before || it.seq < 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.covOf(o).Count(o, n, p == text)
}

// covOf gives what counts an item: a working tree by itself, since it is read where the
// history is told again. The lock is held.
func (r *run) covOf(o sources.Origin) *Coverage {
	if o.Source == "worktree" && r.outer == nil {
		return &r.tree
	}
	return &r.cov
}

func (r *run) read(ctx context.Context, it job, s *Stream, g *itemGate) (total int64, _ part, err error) {
	rc, err := it.Open(ctx)
	if err != nil {
		return 0, text, err
	}
	defer rc.Close()
	if c, ok := rc.(sources.Container); ok {
		part, err := r.container(ctx, it, c, s, g)
		return 0, part, err
	}
	var in io.Reader = rc
	if it.Origin.Source == "worktree" && r.outer == nil && !it.Origin.Before && r.files != nil {
		f, all, done := r.files.Open(it.Origin.Path, rc, &g.file)
		if f != nil {
			return r.file(it, f), text, nil
		}
		defer func() {
			if err == nil {
				done()
			}
		}()
		in = all
	}
	defer g.Close() // what was found is told, also of an item that breaks off
	s.Reset(g.match)
	s.mark = func(start, _ int) {
		line, _, _ := s.lineOf(start)
		g.Mark(line + g.first())
	}
	if it.Origin.Source == "stdin" {
		in = pair.Live{ReadCloser: rc, Idle: func() { g.r.release(it.seq, AllLines) }}
	}
	for {
		n, err := s.readFrom(in)
		total += int64(n)
		if g.Waiting() {
			g.Settle(s.settledLines() + g.first())
		}
		if g.r.waits(it.seq) {
			_, lines := s.SettledAt()
			g.r.release(it.seq, lines+g.first())
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			s.Close() // what was read is decided: nothing found is lost
		}
		if err == io.EOF {
			return total, text, nil
		}
		if err != nil {
			return total, text, err
		}
	}
}

// hit takes a decided match to its first event, and says whether there is a second
// one.
func (r *run) hit(o sources.Origin, m Match) (h Hit, tell bool) {
	m.Start += o.Offset
	m.End += o.Offset
	if o.Line > 1 {
		m.Line += o.Line - 1
		m.EndLine += o.Line - 1
	}
	inFile(&m, o.Path)
	h = Hit{Match: m, Origin: o, FoundAt: r.o.Now()}
	if o.Before {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.held.Before(r.keyOf(h))
		return h, false
	}
	if m.Token == nil && !m.Rule.InPath(o.Path) {
		return h, false // path filters never keep a token of ours from being matched
	}
	if m.Token != nil {
		r.tokens.Store(true)
	}
	r.o.Progress.Hits.Add(1)
	if r.o.Hit != nil && m.Line > 0 && m.Dropped == "" {
		r.o.Hit(h)
	}
	return h, true
}

// find takes a hit to its second event.
func (r *run) find(j job, h Hit, marked bool) {
	f, o, seq := Finding{Hit: h, Marked: marked, Object: j.Object, Of: j.Of}, h.Origin, j.seq
	if o.Source != "git" && o.Source != "worktree" {
		f.ID = f.Name()
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.engine.halves[h.Rule.ID] && r.waiting[seq] == nil {
			r.waiting[seq] = r.engine.NewPairs()
		}
		if q := r.waiting[seq]; q == nil || !q.Add(f) {
			r.tell(f)
		}
		return
	}
	k, id := r.keyOf(h), ""
	if h.Line > 0 {
		id = f.Name()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if o.Source == "worktree" {
		r.files.Found(f)
		r.inTree.Add(k, seq, o, f, marked, id)
		return
	}
	r.held.Add(k, seq, o, f, marked, id)
}

func (r *run) keyOf(h Hit) held.Key {
	return held.Key{Secret: held.Secret{Rule: h.Rule.ID, Root: h.Origin.Root, MAC: h.Secret.MAC(r.key[:])}, Path: h.Origin.Path}
}

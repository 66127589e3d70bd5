package pack

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/quench-dev/quench/sources/internal/inflate"
)

// Visit is one object that a Walk has come to.
type Visit struct {
	// Index is the object's place in what was wanted.
	Index int
	Kind  Kind
	// Data is the object, until the visitor returns.
	Data []byte
	// Base is what the visitor gave for the object that this one is stored as a
	// delta of, when that was visited; BaseLen is its length. Copies are the
	// stretches taken over from it, ascending and not overlapping in Data. All
	// are zero otherwise.
	Base    any
	BaseLen int
	Copies  []Copy
	// Stored is how many bytes of the pack it takes.
	Stored int64
	// Leaf says that no object to be read is a delta of this one.
	Leaf bool
}

// Walk reads the wanted objects, each at most once, bases before what is made of
// them, and calls visit on up to workers goroutines at a time. What visit gives is
// handed to the visits of deltas made of that object, and kept no longer.
//
// left are the wanted ones that were not visited, in ascending order: those in no
// pack, those to be streamed, and those that could not be read this way. Read and
// OpenBlob have the last word on them. The error is ctx's.
//
// An entry's bytes are checked against the CRC that its index holds beside its id
// where the index and its own checksum are sound, and by the object's hash
// otherwise.
func (s *Store) Walk(ctx context.Context, want []ID, workers int, visit func(*Visit) any) (left []int, err error) {
	return s.WalkBeside(ctx, want, workers, nil, visit)
}

// WalkBeside is Walk whose last worker has other work until busy is closed, at once
// where that is nil.
func (s *Store) WalkBeside(ctx context.Context, want []ID, workers int, busy <-chan struct{}, visit func(*Visit) any) (left []int, err error) {
	defer runtime.KeepAlive(s)
	s.cache.clear() // what was read one by one before is of no use here
	w := &walk{s: s, ctx: ctx, busy: busy, want: want, visit: visit, done: make([]atomic.Bool, len(want))}
	for _, p := range s.all() {
		var roots []int32
		var l *layout
		// A pack whose layout cannot be read is left to Read.
		if guarded(func() (err error) { l, roots, err = w.plan(p); return err }) == nil && len(roots) > 0 {
			w.run(l, roots, max(1, workers))
		}
	}
	for i := range want {
		if !w.done[i].Load() {
			left = append(left, i)
		}
	}
	return left, ctx.Err()
}

// walk is the state of one Walk.
type walk struct {
	s     *Store
	ctx   context.Context
	busy  <-chan struct{}
	want  []ID
	visit func(*Visit) any
	done  []atomic.Bool
	held  atomic.Int64 // bytes in frames

	l    *layout        // of the pack at hand
	left []atomic.Int32 // of each stretch of it, the entries to be read

	mu    sync.Mutex
	cond  sync.Cond
	tasks []task
	roots []int32
	idle  int
	hungt atomic.Int32 // workers that wait
	n     int          // workers
}

// task is an entry to be read, and its base.
type task struct {
	k    int32
	base *frame
}

// frame is an object that others are made of, shared by the workers that make
// them.
type frame struct {
	k     int32
	refs  atomic.Int32 // tasks that have not made theirs
	kind  Kind
	state any
	// visited says whether state is a visitor's.
	visited bool
	len     int

	mu   sync.Mutex
	data []byte // nil once it was let go for want of memory
}

// IDs are the objects of the given kinds that lie in packs, each once, in the
// order they are stored in. Those whose kind a base in no pack decides are not
// among them, nor is what lies in a pack that cannot be read.
func (s *Store) IDs(kinds ...Kind) (ids []ID) {
	defer runtime.KeepAlive(s)
	packs := s.all()
	for n, p := range packs {
		guarded(func() error {
			l, err := s.layoutOf(p)
			if err != nil {
				return err
			}
			for k, at := range l.at {
				if !slices.Contains(kinds, l.kind[k]) {
					continue
				}
				id := p.x.id(int(at))
				if !slices.ContainsFunc(packs[:n], func(p *packFile) bool { _, ok := p.x.find(id); return ok }) {
					ids = append(ids, id)
				}
			}
			return nil
		})
	}
	return ids
}

// plan marks the wanted entries of a pack that were not visited in another.
func (w *walk) plan(p *packFile) (l *layout, roots []int32, err error) {
	if l, err = w.s.layoutOf(p); err != nil {
		return nil, nil, err
	}
	found := false
	for i, id := range w.want {
		if w.done[i].Load() {
			continue
		}
		at, ok := p.x.find(id)
		if !ok {
			continue
		}
		if !found {
			found = true
			l.want, l.size = make([]int32, len(l.at)), make([]int64, len(l.at))
			for k := range l.want {
				l.want[k] = none
			}
		}
		l.want[l.in[at]] = int32(i)
	}
	if !found {
		return nil, nil, nil
	}
	return l, l.need(), nil
}

func (w *walk) run(l *layout, roots []int32, workers int) {
	w.l, w.roots, w.n = l, roots, workers
	w.tasks, w.idle = nil, 0
	w.left = make([]atomic.Int32, l.p.f.size/stretch+1)
	for k, size := range l.size {
		if size > 0 {
			w.left[l.offs[k]/stretch].Add(1)
		}
	}
	w.hungt.Store(0)
	w.cond.L = &w.mu
	if w.busy == nil {
		w.busy = closed
	}
	w.idle = 1 // the last one
	done := make(chan struct{})
	var others sync.WaitGroup
	for range workers - 1 {
		others.Go(func() { (&worker{walk: w}).work() })
	}
	go func() {
		defer close(done)
		others.Wait()
	}()
	first := done // to be waited for
	if workers == 1 {
		first = nil
	}
	select {
	case <-w.busy:
	case <-first:
	case <-w.ctx.Done():
	}
	if w.join() {
		(&worker{walk: w}).work()
	}
	<-done
}

var closed = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

// join takes the last worker in, unless the others have done all.
func (w *walk) join() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.n > 1 && w.idle >= w.n {
		return false
	}
	w.idle--
	return true
}

// stretch is how much of a mapped pack is let go at a time, in bytes: short enough
// that little waits for one late entry, long enough that it costs nothing.
const stretch = 1 << 20

// letGo unmaps from memory, not from the address space, the stretch where an entry
// that was read begins, when it was the last one there: a pack is as large as all
// else that a scan needs, and is read once.
func (w *walk) letGo(k int32) {
	if i := w.l.offs[k] / stretch; w.left[i].Add(-1) == 0 {
		w.l.p.f.release(i*stretch, (i+1)*stretch)
	}
}

// take gives a worker without work a task of others, or the next root; false when
// there is nothing and nobody who could make more.
func (w *walk) take() (task, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for {
		if w.ctx.Err() != nil {
			return task{}, false
		}
		if n := len(w.tasks); n > 0 {
			t := w.tasks[n-1]
			w.tasks = w.tasks[:n-1]
			return t, true
		}
		if len(w.roots) > 0 {
			t := task{k: w.roots[0]}
			w.roots = w.roots[1:]
			return t, true
		}
		w.idle++
		w.hungt.Add(1)
		if w.idle == w.n {
			w.cond.Broadcast()
			return task{}, false
		}
		w.cond.Wait()
		if w.idle == w.n {
			return task{}, false
		}
		w.idle--
		w.hungt.Add(-1)
	}
}

// give offers tasks to the workers that wait.
func (w *walk) give(ts []task) {
	w.mu.Lock()
	w.tasks = append(w.tasks, ts...)
	w.mu.Unlock()
	w.cond.Broadcast()
}

// worker reads entries on one goroutine, with a stack of its own.
type worker struct {
	*walk
	sc     scratch
	stack  []task
	delta  []byte
	copies []Copy
	kids   []int32
	free   [][]byte // buffers to make objects in
}

func (w *worker) work() {
	for {
		t, ok := w.take()
		if !ok {
			return
		}
		w.stack = append(w.stack[:0], t)
		for len(w.stack) > 0 {
			// The oldest tasks are those nearest to the root, with the most below
			// them.
			if n := len(w.stack) / 2; n > 0 && w.hungt.Load() > 0 {
				w.give(w.stack[:n])
				w.stack = w.stack[:copy(w.stack, w.stack[n:])]
			}
			t := w.stack[len(w.stack)-1]
			w.stack = w.stack[:len(w.stack)-1]
			if w.ctx.Err() != nil {
				w.wake()
				return
			}
			w.entry(t)
		}
	}
}

// wake lets waiting workers see that the context has ended.
func (w *walk) wake() {
	w.mu.Lock()
	w.idle = w.n
	w.mu.Unlock()
	w.cond.Broadcast()
}

// entry reads one entry, visits it when it is wanted and puts what is made of it
// on the stack. When it cannot be read, neither can those: they stay left.
func (w *worker) entry(t task) {
	var data []byte
	kind := Kind(0)
	err := guarded(func() (err error) {
		kind, data, err = w.read(t)
		return err
	})
	w.letGo(t.k)
	base := t.base
	if err != nil {
		w.release(base)
		return
	}
	f := &frame{k: t.k, kind: kind, len: len(data), data: data}
	w.kids = w.l.children(t.k, w.kids)
	if i := w.l.want[t.k]; i >= 0 && !w.done[i].Swap(true) {
		v := Visit{Index: int(i), Kind: kind, Data: data, Leaf: len(w.kids) == 0, Stored: w.l.offs[t.k+1] - w.l.offs[t.k]}
		if base != nil && base.visited {
			v.Base, v.BaseLen, v.Copies = base.state, base.len, w.copies
		}
		f.state, f.visited = w.visit(&v), true
	}
	w.release(base)
	if len(w.kids) == 0 {
		w.recycle(data)
		return
	}
	f.refs.Store(int32(len(w.kids)))
	w.held.Add(int64(cap(data)))
	for _, c := range w.kids {
		w.stack = append(w.stack, task{c, f})
	}
	if w.held.Load() > w.s.o.Memory {
		w.evict(f)
	}
}

// read makes an entry's object; w.copies are those of its delta.
func (w *worker) read(t task) (kind Kind, data []byte, err error) {
	l, p := w.l, w.l.p
	off, end := l.offs[t.k], l.offs[t.k+1]
	e, err := p.entryAt(off)
	if err != nil {
		return 0, nil, err
	}
	if e.size > w.s.o.MaxObject {
		return 0, nil, ErrTooLarge
	}
	if e.kind == Blob && e.size >= bigObject && l.first[t.k] == none {
		return 0, nil, ErrTooLarge // Open streams it
	}
	w.sc.dec.Trusted = p.proof
	if p.proof {
		if err := p.checkCRC(&w.sc, int(l.at[t.k]), off, end); err != nil {
			return 0, nil, err
		}
	}
	if p.x.pack == (ID{}) {
		end = 0 // not all entries are known
	}
	w.copies = w.copies[:0]
	if e.kind < ofsDelta {
		data, err = p.inflate(&w.sc, e, end, w.buffer(e.size))
		return e.kind, data, w.check(t.k, e.kind, data, err)
	}
	if w.delta, err = p.inflate(&w.sc, e, end, w.delta); err != nil {
		return 0, nil, err
	}
	var base []byte
	if t.base != nil {
		kind = t.base.kind
		base, err = w.baseOf(t.base)
	} else {
		kind, base, err = w.outside(p, e)
	}
	if err != nil {
		return 0, nil, err
	}
	_, size, _, err := deltaSizes(w.delta)
	if err != nil {
		return 0, nil, err
	}
	data, err = apply(w.buffer(size), base, w.delta, w.s.o.MaxObject, &w.copies)
	return kind, data, w.check(t.k, kind, data, err)
}

// check compares the hash where the index does not vouch for the entry.
func (w *worker) check(k int32, kind Kind, data []byte, err error) error {
	if err == nil && !w.l.p.proof && objectID(kind, data) != w.l.p.x.id(int(w.l.at[k])) {
		return ErrCorrupt
	}
	return err
}

// outside reads a base that is no entry of the layout.
func (w *worker) outside(p *packFile, e entry) (Kind, []byte, error) {
	if e.kind == ofsDelta {
		return w.s.readAt(p, e.base)
	}
	return w.s.read(e.ref)
}

// baseOf gives a frame's object, made once more when it was let go.
func (w *worker) baseOf(f *frame) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.data != nil || f.len == 0 {
		return f.data, nil
	}
	_, data, err := w.s.readAt(w.l.p, w.l.offs[f.k])
	return data, err
}

// evict lets the oldest bases on the stack go, except the newest one, until what is
// held fits. The garbage collector takes them: another worker may be using one.
func (w *worker) evict(newest *frame) {
	for _, t := range w.stack {
		if w.held.Load() <= w.s.o.Memory {
			return
		}
		f := t.base
		if f == nil || f == newest {
			continue
		}
		f.mu.Lock()
		if f.data != nil {
			w.held.Add(-int64(cap(f.data)))
			f.data = nil
		}
		f.mu.Unlock()
	}
}

// release gives a base up once all made of it is made.
func (w *worker) release(f *frame) {
	if f == nil || f.refs.Add(-1) > 0 {
		return
	}
	f.mu.Lock()
	data := f.data
	f.data = nil
	f.mu.Unlock()
	if data != nil {
		w.held.Add(-int64(cap(data)))
		w.recycle(data)
	}
	f.state = nil
}

// maxFree bounds the buffers that a worker keeps for reuse, and maxReuse their
// size: larger ones are rare and would never be given back.
const (
	maxFree  = 16
	maxReuse = 4 << 20
)

func (w *worker) recycle(data []byte) {
	if c := cap(data); c <= maxReuse && len(w.free) < maxFree && c > 0 {
		w.free = append(w.free, data[:0])
	}
}

// buffer gives an unused buffer of at least size bytes and slack, nil where there is
// none.
func (w *worker) buffer(size int64) []byte {
	need := int(size) + inflate.Slack
	best := -1
	for i, b := range w.free {
		if cap(b) >= need && (best < 0 || cap(b) < cap(w.free[best])) {
			best = i
		}
	}
	if best < 0 {
		if len(w.free) == maxFree { // none fits: let the smallest go
			least := 0
			for i, b := range w.free {
				if cap(b) < cap(w.free[least]) {
					least = i
				}
			}
			w.free = slices.Delete(w.free, least, least+1)
		}
		if size > maxReuse || size < 0 {
			return nil
		}
		return make([]byte, 0, need+need/4)
	}
	b := w.free[best]
	w.free = slices.Delete(w.free, best, best+1)
	return b
}

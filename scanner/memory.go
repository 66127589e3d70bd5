package scanner

import (
	"github.com/quench-dev/quench/scanner/cache"
	"github.com/quench-dev/quench/scanner/internal/coverage"
	"github.com/quench-dev/quench/scanner/internal/recall"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// Memory is what a Run takes over from earlier ones of an Engine with the same
// rules and options, and what later ones can take over from it. What was read
// before and holds no token of the registry is not read again, but for the objects
// that a finding is shown from.
type Memory struct {
	// Cache is what is known before the Run, and after it what is known then.
	Cache *cache.Cache
	// Grown says that the Run came to know more, Failed that Cache was wrong, so
	// that everything was read again.
	Grown, Failed bool
	// Name tells the rules and options apart by which Cache was made. What is told of
	// a source that has not changed is kept there by it; empty keeps nothing.
	Name string
}

// Keyed is a Known that can tell later which runs it would have known: without it
// nothing is remembered where there is a registry.
type Keyed interface {
	Known
	// Fingerprint of a candidate, of those that Snapshot gives.
	Fingerprint(candidate []byte) uint64
	// Snapshot is the set as it is now, and stays.
	Snapshot() cache.Registry
	// Err is set when a Lookup could not be answered.
	Err() error
}

// memory is the Memory of one Run.
type memory struct {
	*cache.Cache
	*cache.Log
	recall.Set[job, Match]
	known Keyed
}

func newMemory(e *Engine, o *Memory) *memory {
	if o == nil || e.composed {
		return nil // rules that look at others look at all of a text
	}
	m := &memory{}
	var registry cache.Registry
	if e.known != nil {
		var ok bool
		if m.known, ok = e.known.(Keyed); !ok {
			return nil
		}
		registry = m.known.Snapshot()
	}
	m.Cache, m.Log = o.Cache.For(registry), cache.NewLog(registry)
	m.Key = func(m Match) (cache.Match, secret.Secret) {
		return cache.Match{Rule: m.Rule.ID, Via: m.DecodedVia, Start: m.Start, End: m.End}, m.Secret
	}
	return m
}

// asked takes down what it is asked about.
type asked struct {
	Keyed
	runs *cache.Runs
}

func (a asked) Lookup(candidate []byte) (KnownToken, bool) {
	a.runs.Add(a.Fingerprint(candidate))
	return a.Keyed.Lookup(candidate)
}

// ask makes a worker's streams take down what they ask the registry about.
func (m *memory) ask(streams ...*Stream) {
	if m == nil || m.known == nil {
		return
	}
	known := asked{m.known, m.Runs()}
	for _, s := range streams {
		s.known = known
	}
}

// unknown reports whether an object is to be read, since earlier scans did not.
func (r *run) unknown(id sources.ObjectID) bool {
	if r.mem == nil {
		return true
	}
	_, _, known := r.mem.Get(cache.ID(id))
	return !known
}

// recall takes an item that needs not be read, or says that it is none.
func (r *run) recall(j job) bool {
	if r.mem == nil || j.Object == (sources.ObjectID{}) || j.Origin.Before {
		return false
	}
	res, segment, ok := r.mem.Get(cache.ID(j.Object))
	if !ok {
		return false
	}
	r.o.Progress.Done.Add(1)
	r.mu.Lock()
	r.cov.Cached++
	r.mu.Unlock()
	if res.Binary {
		r.skip(j.Origin, &sources.Skip{Reason: sources.SkipBinary, Err: sources.ErrBinary})
		return true
	}
	if a := res.Archive; a != nil {
		r.count(j, res.Size, entries)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.cov.Add(coverage.Of(a))
		return true
	}
	r.count(j, res.Size, text)
	if len(res.Matches) > 0 {
		r.mem.Set.Add(j, j.seq, j.Origin.Root+"\x00"+j.Origin.Path, segment, res.Matches)
	}
	return true
}

// reread gives the objects that recalled findings are shown from to who reads.
// Their seq is below zero.
func (r *run) reread(read func(job)) {
	if r.mem == nil {
		return
	}
	r.mem.Again(func(n int, j job) {
		j.seq = -1 - n
		read(j)
	})
}

// narrow leaves of an object that is read again the parts that hold matches: the rest
// is as the rest of a base in which nothing was found. What is found must still be
// all that was remembered.
func (r *run) narrow(seq int, c *sources.Content) bool {
	if seq >= 0 || c.Skip != nil {
		return false
	}
	c.Base, c.BaseLen = &carried{}, len(c.Data)
	c.Copies = r.mem.Rest(-1-seq, len(c.Data), func(m cache.Match) int64 {
		for _, multi := range r.engine.multi {
			if multi.Rule.ID == m.Rule { // its anchor may stand lines before
				return int64(multi.Rule.Width)
			}
		}
		return 0
	})
	return true
}

// replay takes the recalled matches to their events, when all is read. It reports
// whether the objects that were read again are what was remembered of them.
func (r *run) replay() bool {
	if r.mem == nil || !r.mem.Proven() {
		return r.mem == nil
	}
	ok := true
	tell := func(j job, m Match, marked bool) {
		if h, tell := r.hit(j.Origin, m); tell {
			r.find(j, h, marked)
		}
	}
	r.mem.Each(tell, func(j job, m cache.Match, s secret.Secret) {
		rule, known := r.engine.set.Rule(m.Rule)
		if ok = ok && known; ok { // what is shown is another version: this has no line
			tell(j, Match{Rule: rule, Start: m.Start, End: m.End, DecodedVia: m.Via, Secret: s}, m.Marked)
		}
	})
	return ok
}

// noting begins a gate's item, nil where nothing is read of it, and gives who is told
// of its end.
func (r *run) noting(j job, g *itemGate) (end func(n int64, skip *sources.Skip)) {
	if g != nil {
		g.begin(j)
	}
	if r.outer != nil {
		g.noted = func(Match) {
			for in := r; in.outer != nil; in = in.outer {
				in.any = true
			}
		}
	}
	if r.mem == nil || j.Object == (sources.ObjectID{}) || j.seq < 0 {
		return func(int64, *sources.Skip) {}
	}
	var res cache.Result
	var lines [][2]int
	token := false
	if g != nil {
		g.noted = func(m Match) {
			token = token || m.Token != nil
			k, s := r.mem.Key(m)
			k.Secret = r.mem.Secret(s.MAC(r.key[:]))
			res.Matches, lines = append(res.Matches, k), append(lines, [2]int{m.Line, m.EndLine})
		}
	}
	return func(n int64, skip *sources.Skip) {
		res.Size = n
		for i, l := range lines {
			res.Matches[i].Marked = g.Marked(l[0], l[1])
		}
		switch {
		case skip != nil && skip.Reason == sources.SkipBinary:
			r.mem.Log.Add(cache.ID(j.Object), cache.Result{Binary: true})
		case skip == nil && !token:
			r.mem.Log.Add(cache.ID(j.Object), res)
		}
	}
}

// noteArchive takes down an archive that was unpacked to its end, when there is
// nothing of it to be told again.
func (r *run) noteArchive(it job, inner *run) {
	c := &inner.cov
	if r.mem == nil || it.Object == (sources.ObjectID{}) || it.Origin.Before || inner.any || !c.Complete() {
		return
	}
	r.mem.Log.Add(cache.ID(it.Object), cache.Result{Size: c.Bytes, Archive: c.Archive()})
}

// remember leaves what is known now in the options' Memory.
func (r *run) remember() {
	if r.mem == nil || r.mem.Empty() || r.engine.Err() != nil || r.mem.known != nil && r.mem.known.Err() != nil {
		return
	}
	r.o.Memory.Grown, r.o.Memory.Cache = true, r.mem.With(r.mem.Log)
}

package bulk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/scanner/secret"
)

// DefaultBatch tokens are one transaction: it takes a third of a second, for which
// other writers wait. Half as many take a third longer in all, since each batch
// writes the same pages of the indexes again.
const DefaultBatch = 10_000

// Run is what becomes of a file.
type Run struct {
	Registry *registry.Registry
	Batch    int  // tokens a transaction; 0 is DefaultBatch
	FromLine int  // lines before it are passed over, to go on where a run ended
	DryRun   bool // everything is undone
	// Bad is told of each line that is not stored: the number and why.
	Bad func(n int, err error)
	// Hard is told of each imported token that a scan would miss somewhere; may be nil.
	Hard func(n int, t registry.Token)
	// Progress is told what is stored so far, after each batch; may be nil.
	Progress func(Count)
}

// Count is what a run did.
type Count struct {
	Lines      int `json:"lines"` // read, without empty ones and the header
	Stored     int `json:"stored"`
	Duplicates int `json:"duplicates"`
	Bad        int `json:"bad"`
	Hard       int `json:"hard_to_find"`
	Idle       int `json:"without_scopes"` // issued, and good for nothing
	Batches    int `json:"batches"`
	Last       int `json:"last_line"` // all up to this line is done
}

// batch is prepared lines on their way to the database.
type batch struct {
	lines []Line // of the entries
	all   []registry.Entry
	bad   []Line
	last  int
	err   error
}

// Import stores the lines of in. What was stored stays when it ends with an error:
// the count says up to which line, and running it again counts that as duplicates.
func (r *Run) Import(ctx context.Context, in *Reader) (Count, error) {
	f, err := findable.NewFinder()
	if err != nil {
		return Count{}, err
	}
	seen := newSeen(r.DryRun)
	return r.run(ctx, in, func(b *batch) error {
		qs := make([]registry.ImportRequest, len(b.lines))
		for i, l := range b.lines {
			qs[i] = registry.ImportRequest{Value: l.Value, Pair: l.Pair, Owner: l.Owner, Purpose: l.Purpose, Scopes: l.Scopes, TTL: l.TTL, Env: l.Env, Provider: l.Provider, Tags: l.Tags}
		}
		all, err := r.Registry.PrepareImport(qs, f)
		b.all = all
		for i := range b.all {
			if b.all[i].Err == nil && seen.before(b.lines[i].Value) {
				b.all[i].Err = fmt.Errorf("%w: given before", registry.ErrDuplicate)
			}
		}
		return err
	}, nil)
}

// Out takes the values of issued tokens, which nobody can show again.
type Out interface {
	// Put is called with the tokens of a batch before it is committed.
	Put(all []registry.Entry) error
	// Done is called when it was, Undo when it was not.
	Done() error
	Undo() error
}

// Issue makes a token for each line, and gives their values to out.
func (r *Run) Issue(ctx context.Context, in *Reader, out Out) (Count, error) {
	return r.run(ctx, in, func(b *batch) error {
		qs := make([]registry.IssueRequest, len(b.lines))
		for i, l := range b.lines {
			if !l.Value.IsZero() || l.Pair != nil {
				continue // refused below
			}
			qs[i] = registry.IssueRequest{Owner: l.Owner, Purpose: l.Purpose, Scopes: l.Scopes, TTL: l.TTL, Never: l.Never, Env: l.Env, Prefix: l.Prefix,
				Tags: l.Tags, Networks: l.Networks, Countries: l.Countries, MaxUses: l.MaxUses, RotateWithin: l.RotateWithin}
		}
		b.all = r.Registry.PrepareIssue(qs)
		for i, l := range b.lines {
			if !l.Value.IsZero() || l.Pair != nil {
				b.all[i].Err = fmt.Errorf("%w: it holds a value, and a token to be issued has none yet; import it", registry.ErrInvalid)
			}
		}
		return nil
	}, out)
}

// Repeat is a Reader of n times the same line.
func Repeat(n int, l Line) *Reader {
	return &Reader{repeat: n, o: Options{Defaults: l}}
}

// run prepares a batch while the one before it is stored.
func (r *Run) run(ctx context.Context, in *Reader, prepare func(*batch) error, out Out) (c Count, err error) {
	end, err := r.Registry.Store().Bulk(ctx)
	if err != nil {
		return c, err
	}
	defer end()
	ctx, cancel := context.WithCancel(ctx)
	ready := make(chan *batch, 1)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(ready)
		for ctx.Err() == nil {
			b := r.read(in)
			end := errors.Is(b.err, io.EOF)
			if end {
				b.err = nil
			}
			if b.err == nil {
				b.err = prepare(b)
			}
			last := end || b.err != nil // the batch is the storing side's from here on
			select {
			case ready <- b:
			case <-ctx.Done():
				return
			}
			if last {
				return
			}
		}
	}()
	defer func() { cancel(); <-ended }()
	for b := range ready {
		if b.err == nil {
			b.err = ctx.Err()
		}
		if b.err == nil {
			b.err = r.store(ctx, b, out)
		}
		if b.err != nil {
			return c, b.err
		}
		r.count(&c, b)
	}
	return c, ctx.Err()
}

func (r *Run) read(in *Reader) *batch {
	size := r.Batch
	if size <= 0 {
		size = DefaultBatch
	}
	b := &batch{}
	for len(b.lines)+len(b.bad) < size {
		l, err := in.Next()
		if err != nil {
			b.err = err
			break
		}
		if l.N < r.FromLine {
			continue
		}
		if b.last = l.N; l.Err != nil {
			b.bad = append(b.bad, l)
		} else {
			b.lines = append(b.lines, l)
		}
	}
	return b
}

func (r *Run) store(ctx context.Context, b *batch, out Out) error {
	var before func([]registry.Entry) error
	if out != nil {
		before = out.Put
	}
	if err := r.Registry.StoreAll(ctx, b.all, before, r.DryRun); err != nil {
		if out != nil {
			err = errors.Join(err, out.Undo())
		}
		return err
	}
	if out == nil {
		return nil
	}
	if r.DryRun {
		return out.Undo()
	}
	return out.Done()
}

func (r *Run) count(c *Count, b *batch) {
	for _, l := range b.bad {
		c.Bad++
		r.Bad(l.N, l.Err)
	}
	for i := range b.all {
		switch e := &b.all[i]; {
		case errors.Is(e.Err, registry.ErrDuplicate):
			c.Duplicates++
		case e.Err != nil:
			c.Bad++
			r.Bad(b.lines[i].N, e.Err)
		default:
			c.Stored++
			if len(e.Token.Scopes) == 0 && e.Token.Origin == "issued" {
				c.Idle++
			}
			if len(e.Token.HardToFind) > 0 {
				c.Hard++
				if r.Hard != nil {
					r.Hard(b.lines[i].N, e.Token)
				}
			}
		}
	}
	c.Lines += len(b.lines) + len(b.bad)
	c.Last = max(c.Last, b.last)
	if len(b.lines) > 0 {
		c.Batches++
	}
	if r.Progress != nil {
		r.Progress(*c)
	}
}

// seen knows the values of a dry run, whose batches do not see each other.
type seen struct {
	key []byte
	all map[[32]byte]struct{}
}

func newSeen(on bool) *seen {
	s := &seen{}
	if on {
		s.key, s.all = make([]byte, 32), map[[32]byte]struct{}{}
		rand.Read(s.key)
	}
	return s
}

func (s *seen) before(v secret.Secret) bool {
	if s.all == nil || v.IsZero() {
		return false
	}
	mac := v.MAC(s.key)
	_, ok := s.all[mac]
	s.all[mac] = struct{}{}
	return ok
}

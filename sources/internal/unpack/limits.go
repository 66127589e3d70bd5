package unpack

import (
	"context"
	"fmt"
	"io"
	"time"
)

const (
	// DefaultDepth is what an application in an image takes, with one to spare: a
	// layer in an image, a jar in it, and the jars in that. Each level more gives
	// a file that contains itself another turn.
	DefaultDepth = 5
	// DefaultMaxSize lets an image of 2 GB through, whose layers count twice;
	// what is larger is better scanned unpacked, by more than one worker.
	DefaultMaxSize = 4 << 30
	// maxRatio is how many times the size of the outermost file may come out of it,
	// once it is past ratioFloor. Logs and dumps shrink to a fiftieth, counted
	// twice in a compressed tar; bombs, to a thousandth and less.
	maxRatio   = 500
	ratioFloor = 256 << 20
	// maxEntries is more than the files of any image or source tree met, and keeps
	// an archive of nothing but empty entries to seconds.
	maxEntries = 1 << 20
	// maxTime is what the slowest decoder takes for DefaultMaxSize: bzip2, at some
	// 15 MB a second.
	maxTime = 5 * time.Minute
	// maxMemory is what is held of one outermost file whose inner archives need to
	// be read in any order: more than the 100 MiB that hosts of repositories
	// accept as a file.
	maxMemory = 128 << 20
	// freeMemory is held without asking. Past it one file at a time waits for its
	// turn, so that many workers hold one maxMemory and not one each.
	freeMemory = 8 << 20
)

func (o Options) depth() int {
	if o.Depth == 0 {
		return DefaultDepth
	}
	return o.Depth
}

// budget is what may still be spent on one outermost file.
type budget struct {
	ctx      context.Context
	now      func() time.Time
	deadline time.Time
	in       int64 // bytes of the outermost file, as far as they are known
	sized    bool  // in is its length
	out      int64
	max      int64
	chosen   bool // max was asked for
	entries  int
	memory   int64
	turn     bool // holds the turn to use much memory
}

// turns has room for the one that may hold much memory.
var turns = make(chan struct{}, 1)

func newBudget(ctx context.Context, in Input, o Options) *budget {
	b := &budget{ctx: ctx, now: o.now, max: o.MaxSize, chosen: o.MaxSize > 0}
	if b.now == nil {
		b.now = time.Now
	}
	if !b.chosen {
		b.max = DefaultMaxSize
	}
	if in.Size >= 0 {
		b.in, b.sized = in.Size, true
	}
	b.deadline = b.now().Add(maxTime)
	return b
}

func (b *budget) close() {
	if b.turn {
		b.turn = false
		<-turns
	}
}

// check tells whether the walk may go on.
func (b *budget) check() error {
	if err := b.ctx.Err(); err != nil {
		return err
	}
	switch {
	case b.out > b.max && b.chosen:
		return fmt.Errorf("%w: more than %d bytes unpacked; see --archive-max-size", ErrChosen, b.max)
	case b.out > b.max:
		return fmt.Errorf("%w: more than %d bytes unpacked; see --archive-max-size", ErrTooLarge, b.max)
	case b.out > ratioFloor && b.out/maxRatio > b.in:
		return fmt.Errorf("%w: %d bytes came out of %d, which is what bombs do", ErrTooLarge, b.out, b.in)
	case b.entries > maxEntries:
		return fmt.Errorf("%w: more than %d entries", ErrTooLarge, maxEntries)
	case b.now().After(b.deadline):
		return fmt.Errorf("%w: unpacking took more than %s", ErrTooLarge, maxTime)
	}
	return nil
}

func (b *budget) add(n int) error {
	b.out += int64(n)
	if b.out <= b.max && b.out <= ratioFloor {
		return nil
	}
	return b.check()
}

func (b *budget) oneMore() error {
	b.entries++
	return b.check()
}

// hold asks for memory that is kept until the walk ends.
func (b *budget) hold(n int64) error {
	b.memory += n
	if b.memory > maxMemory {
		return fmt.Errorf("%w: an archive in it would take more than %d bytes of memory", ErrTooLarge, int64(maxMemory))
	}
	if b.memory > freeMemory && !b.turn {
		select {
		case turns <- struct{}{}:
			b.turn = true
		case <-b.ctx.Done():
			return b.ctx.Err()
		}
	}
	return nil
}

// buffer reads all of r into memory.
func (b *budget) buffer(r io.Reader) ([]byte, error) {
	var data []byte
	for {
		if len(data) == cap(data) {
			grown := max(64<<10, 2*cap(data))
			if err := b.hold(int64(grown - cap(data))); err != nil {
				return nil, err
			}
			data = append(make([]byte, 0, grown), data...)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// atMost is buffer for formats of small files.
func (b *budget) atMost(r io.Reader, n int64) ([]byte, error) {
	data, err := b.buffer(io.LimitReader(r, n+1))
	if err == nil && int64(len(data)) > n {
		err = fmt.Errorf("%w: more than %d bytes for what it is", ErrTooLarge, n)
	}
	return data, err
}

// intake counts what is read of an outermost file whose size is not known.
type intake struct {
	r io.Reader
	b *budget
}

func (i *intake) Read(p []byte) (int, error) {
	if err := i.b.check(); err != nil {
		return 0, err
	}
	n, err := i.r.Read(p)
	if !i.b.sized {
		i.b.in += int64(n)
	}
	return n, err
}

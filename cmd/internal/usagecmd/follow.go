package usagecmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/cmd/internal/show"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/registry/usage/watch"
	"github.com/quench-dev/quench/sources"
)

// FollowOptions are what access logs are followed with.
type FollowOptions struct {
	Watch *watch.Watch
	Log   accesslog.Options
	Paths []string // absolute, of sources.TailOptions
	// Anew reads files from their beginning once, whatever was read before.
	Anew    bool
	Notes   io.Writer // alerts are told here
	Trouble func(what string, err error)
}

// follower ingests what changed.
type follower struct {
	o    FollowOptions
	ctx  context.Context
	anew map[string]bool // files that were read anew
	last time.Time       // when they were read

	mu    sync.Mutex
	dirty map[string]bool // paths
}

// Follow feeds access logs to the usage watch as they grow, until ctx ends. A file is read
// by IngestFile, once a second at most and by whatever name it has then, so that each use
// counts once through rotations, kills and a database that is away: it is read on where
// the last transaction ended. What is written within a second before a file is deleted or
// truncated may be missed.
func Follow(ctx context.Context, o FollowOptions) error {
	f := &follower{o: o, ctx: ctx, anew: map[string]bool{}, dirty: map[string]bool{}}
	err := sources.Tail(ctx, sources.TailOptions{Paths: o.Paths, Round: f.round, Trouble: func(path string, err error) {
		if err != nil {
			o.Trouble(path, err)
		}
	}}, f.event)
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		err = nil
	}
	return err
}

// event notes what changed. The bytes are read again by IngestFile, from the page cache.
func (f *follower) event(e sources.TailEvent) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.dirty[e.Path] = true
	return nil
}

// round reads what changed since the last.
func (f *follower) round() error {
	if now := time.Now(); now.Sub(f.last) < time.Second {
		return nil
	} else {
		f.last = now
	}
	f.mu.Lock()
	dirty := f.dirty
	f.dirty = map[string]bool{}
	f.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(dirty)) {
		// The rest of a file that was rotated comes first.
		for _, name := range []string{path + ".1", path} {
			if err := f.ingest(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				if f.ctx.Err() != nil {
					return f.ctx.Err()
				}
				f.o.Trouble(name, fmt.Errorf("its uses are not recorded, trying again: %w", err))
				f.mu.Lock()
				f.dirty[path] = true
				f.mu.Unlock()
			}
		}
	}
	return nil
}

func (f *follower) ingest(name string) error {
	anew := f.o.Anew && !f.anew[name]
	rep, err := f.o.Watch.IngestFile(f.ctx, name, f.o.Log, anew, func(t watch.Told) {
		also := ""
		if t.Suspended {
			also = "; it is suspended"
		}
		fmt.Fprintf(f.o.Notes, "%s  %-17s token %s of %s %s%s\n", show.Stamp(t.Finding.At), t.Finding.Signal, t.Token.ID, t.Token.Owner, t.Finding.Title, also)
	})
	if err != nil {
		return err
	}
	f.anew[name] = true
	if rep.Bad > 0 {
		f.o.Trouble(name, fmt.Errorf("%s could not be read as an access log; the first: %s", show.Count(int(rep.Bad), "line", "lines"), strings.Join(rep.Faults, "; ")))
	}
	if rep.Values > 0 {
		f.o.Trouble(name, fmt.Errorf("%s the value of a token: whoever can read this log can use it; log the token's id instead", show.Count(int(rep.Values), "line holds", "lines hold")))
	}
	return nil
}

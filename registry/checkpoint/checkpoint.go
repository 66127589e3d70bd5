// Package checkpoint signs the audit log while a process runs, so that a process that
// is killed leaves little of it without a checkpoint: a log that is cut after the last
// one is not found out.
//
// It knows when to sign. What is signed, and when that is refused, package audit knows;
// at the end of a process Registry.Close signs. Start reading at Beside.
package checkpoint

import (
	"context"
	"fmt"
	"time"

	"github.com/quench-dev/quench/registry"
)

// Every is how often the log is signed. A signature is a read of some hashes and a
// synced file of 200 bytes, which six times an hour is nothing, also where the file is
// on a share of the network; and ten minutes of events can be held against what else
// tells of them, such as the callers' own logs.
const Every = 10 * time.Minute

// Options of Beside.
type Options struct {
	// Trouble is told of errors, after which it goes on; nil is nobody.
	Trouble func(error)
	// Sleep waits, or less when ctx ends; nil is by the system's clock.
	Sleep func(ctx context.Context, d time.Duration)
}

// Beside signs what the log has now, for a process that was killed before this one,
// then runs work and signs beside it whenever the log has grown, whoever wrote to it,
// until work has ended.
func Beside(ctx context.Context, r *registry.Registry, o Options, work func() error) error {
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	sign(ctx, r, o)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			if o.Sleep(ctx, Every); ctx.Err() != nil {
				return
			}
			sign(ctx, r, o)
		}
	}()
	defer func() { cancel(); <-done }()
	return work()
}

// sign writes a checkpoint, unless the last one is of the log as it is.
func sign(ctx context.Context, r *registry.Registry, o Options) {
	if err := r.Audit().Checkpoint(ctx); err != nil && ctx.Err() == nil && o.Trouble != nil {
		o.Trouble(fmt.Errorf("%w; trying again in %v", err, Every))
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

package watch

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"

	"github.com/quench-dev/quench/registry/match"
	"github.com/quench-dev/quench/registry/store"
)

// Wait has what is watched wait, until ctx ends, while the registry cannot be asked
// whether a text is a token: it is logged, and when it is over, and alive is called.
func Wait(ctx context.Context, set *match.Set, log *slog.Logger, alive func()) {
	var told atomic.Bool
	set.Wait(ctx, func(err error) bool {
		alive()
		if was := told.Swap(err != nil); err == nil && was {
			log.Info("the registry can be asked again")
		} else if err != nil && !was {
			log.Warn("the registry cannot be asked, nothing is read until it can be", "error", err)
		}
		return errors.Is(err, store.ErrUnreachable) || errors.Is(err, store.ErrLocked)
	})
}

package sources

import (
	"context"
	"errors"

	"github.com/quench-dev/quench/sources/internal/gitrepo"
)

// refused stands for a repository found below a target that may not, or cannot,
// be opened.
type refused struct {
	dir string
	err error
}

func (r refused) Items(ctx context.Context, yield func(Item) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	reason := SkipFormat
	if errors.Is(r.err, gitrepo.ErrBroken) {
		reason = SkipCorrupt
	}
	return yield(Item{Origin: Origin{Source: "git", Root: r.dir}, Size: -1, Skip: &Skip{Reason: reason, Err: r.err}})
}

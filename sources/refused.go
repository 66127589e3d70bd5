package sources

import "context"

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
	return yield(Item{
		Origin: Origin{Source: "git", Root: r.dir},
		Size:   -1,
		Skip:   &Skip{Reason: SkipFormat, Err: r.err},
	})
}

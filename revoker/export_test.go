package revoker

import "context"

// Due and Deliver are what the queue's workers do.
func Due(r *Revoker, ctx context.Context, id string) error { return r.due(ctx, id) }

func Deliver(r *Revoker, ctx context.Context, id string) error {
	_, err := r.deliver(ctx, id)
	return err
}

package sources

import (
	"context"

	"github.com/quench-dev/quench/sources/internal/tail"
)

// The nouns of following growing files; see their descriptions where they are
// made.
type (
	TailOptions  = tail.Options
	TailEvent    = tail.Event
	TailPosition = tail.Position
	TailIdentity = tail.Identity
)

// The kinds of a TailEvent.
const (
	TailBegin = tail.Begin
	TailData  = tail.Data
	TailIdle  = tail.Idle
	TailEnd   = tail.End
)

// Tail follows growing files and folders until ctx ends. It is no Source: its
// items do not end, and a reader needs to know when one file takes another's
// place, to keep a position that survives a restart.
func Tail(ctx context.Context, o TailOptions, event func(TailEvent) error) error {
	return tail.Follow(ctx, o, event)
}

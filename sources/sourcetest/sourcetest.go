// Package sourcetest is the contract of sources.Source as a test.
//
// It knows the contract and nothing of any one source; a new source is proven
// by one call of Run. Start reading there.
package sourcetest

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/sources"
)

// Want says what the source under test holds.
type Want struct {
	// Content is what each item that opens gives, by its Key, and each entry of
	// those that turn out to be archives.
	Content map[string]string
	// Skips are the reasons of the items that do not open, by their Key,
	// whether Skip told it or opening did.
	Skips map[string]sources.Reason
	// Live says that an item can be read once only.
	Live bool
}

// Key names an item in a Want: its label and commit message apart, its path.
func Key(o sources.Origin) string {
	if o.Path == "" && len(o.Labels) > 0 {
		return o.Labels[0]
	}
	return o.Source + ":" + o.Path
}

// patience bounds what must happen at once: long enough for a loaded machine,
// and a failure only shows this much later.
const patience = 10 * time.Second

// Run tests a source against the contract. newSource makes one that was not
// read yet, over the same content at each call.
func Run(t *testing.T, newSource func(t *testing.T) sources.Source, want Want) {
	t.Run("content", func(t *testing.T) { content(t, newSource(t), want) })
	t.Run("order", func(t *testing.T) { order(t, newSource, want) })
	t.Run("yield error", func(t *testing.T) { yieldError(t, newSource(t)) })
	t.Run("cancelled", func(t *testing.T) { cancelled(t, newSource(t)) })
	t.Run("cancel on the way", func(t *testing.T) { cancelOnTheWay(t, newSource(t)) })
	t.Run("open after cancel", func(t *testing.T) { openAfterCancel(t, newSource(t)) })
	t.Run("close early", func(t *testing.T) { closeEarly(t, newSource(t)) })
}

func collect(t *testing.T, src sources.Source) []sources.Item {
	t.Helper()
	var items []sources.Item
	busy := false
	err := src.Items(t.Context(), func(it sources.Item) error {
		if busy {
			t.Error("yield was called while it ran")
		}
		busy = true
		items = append(items, it)
		busy = false
		return nil
	})
	if err != nil {
		t.Fatalf("items: %v", err)
	}
	return items
}

// content opens all items, after Items has returned, each from several
// goroutines at once.
func content(t *testing.T, src sources.Source, want Want) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	var mu sync.Mutex
	got, skips := map[string]string{}, map[string]sources.Reason{}
	readers := 3
	if want.Live {
		readers = 1
	}
	var wg sync.WaitGroup
	for _, it := range collect(t, src) {
		if (it.Skip == nil) == (it.Open == nil) {
			t.Errorf("%s: has Skip %v and an Open that is nil: %t; exactly one is set", Key(it.Origin), it.Skip, it.Open == nil)
			continue
		}
		if it.Origin.Source == "" || it.Origin.Root == "" {
			t.Errorf("%s: origin has no source or root: %+v", Key(it.Origin), it.Origin)
		}
		if it.Skip != nil {
			mu.Lock()
			skips[Key(it.Origin)] = it.Skip.Reason
			mu.Unlock()
			continue
		}
		for range readers {
			wg.Go(func() {
				err := read(t.Context(), it, func(it sources.Item, data string, err error) {
					mu.Lock()
					defer mu.Unlock()
					var s *sources.SkipError
					switch {
					case it.Skip != nil:
						skips[Key(it.Origin)] = it.Skip.Reason
					case errors.As(err, &s):
						skips[Key(it.Origin)] = s.Reason
					case err != nil:
						t.Errorf("%s: %v", Key(it.Origin), err)
					default:
						got[Key(it.Origin)] = data
					}
				})
				if err != nil {
					t.Errorf("%s: closing: %v", Key(it.Origin), err)
				}
			})
		}
	}
	wg.Wait()
	if d := cmp.Diff(orEmpty(want.Content), got); d != "" {
		t.Errorf("content (-want +got):\n%s", d)
	}
	if d := cmp.Diff(orEmpty(want.Skips), skips); d != "" {
		t.Errorf("skips (-want +got):\n%s", d)
	}
	if c, ok := src.(io.Closer); ok {
		if err := c.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	}
}

func orEmpty[K comparable, V any](m map[K]V) map[K]V {
	out := map[K]V{}
	maps.Copy(out, m)
	return out
}

// read gives what is in an item: its text, or all that it contains.
func read(ctx context.Context, it sources.Item, give func(sources.Item, string, error)) error {
	if it.Skip != nil {
		give(it, "", nil)
		return nil
	}
	rc, err := it.Open(ctx)
	if err != nil {
		give(it, "", err)
		return nil
	}
	if c, ok := rc.(sources.Container); ok {
		if _, err := c.Unpack(ctx, it.Origin, func(in sources.Item) error { return read(ctx, in, give) }); err != nil {
			give(it, "", err)
		}
		return rc.Close()
	}
	data, err := io.ReadAll(rc)
	give(it, string(data), err)
	return rc.Close()
}

func order(t *testing.T, newSource func(t *testing.T) sources.Source, want Want) {
	origins := func(src sources.Source) []sources.Origin {
		var out []sources.Origin
		for _, it := range collect(t, src) {
			out = append(out, it.Origin)
		}
		return out
	}
	src := newSource(t)
	first := origins(src)
	if d := cmp.Diff(first, origins(newSource(t))); d != "" {
		t.Errorf("a second source gives another order (-first +second):\n%s", d)
	}
	if want.Live {
		return
	}
	if d := cmp.Diff(first, origins(src)); d != "" {
		t.Errorf("the same source gives another order (-first +second):\n%s", d)
	}
}

func yieldError(t *testing.T, src sources.Source) {
	stop := errors.New("stop")
	calls := 0
	err := src.Items(t.Context(), func(sources.Item) error { calls++; return stop })
	if err != stop || calls != 1 {
		t.Errorf("after %d calls of yield, error %v; want one call and yield's own error", calls, err)
	}
}

func cancelled(t *testing.T, src sources.Source) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := src.Items(ctx, func(it sources.Item) error {
		t.Errorf("an item after the context ended: %s", Key(it.Origin))
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func cancelOnTheWay(t *testing.T, src sources.Source) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	calls := 0
	err := src.Items(ctx, func(sources.Item) error { calls++; cancel(); return nil })
	if calls != 1 || (err != nil && !errors.Is(err, context.Canceled)) {
		t.Errorf("%d items although the first ended the context, error %v", calls, err)
	}
}

// openable are the items that may open: opening can still say that one is skipped.
func openable(t *testing.T, src sources.Source) []sources.Item {
	items := slices.DeleteFunc(collect(t, src), func(it sources.Item) bool { return it.Skip != nil })
	if len(items) == 0 {
		t.Skip("the source has no item that opens")
	}
	return items
}

func openAfterCancel(t *testing.T, src sources.Source) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, it := range openable(t, src) {
		if rc, err := it.Open(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v, want %v", Key(it.Origin), err, context.Canceled)
			if err == nil {
				rc.Close()
			}
		}
	}
}

// closeEarly closes readers before they are read, twice: nothing may be left
// behind, and nothing may break.
func closeEarly(t *testing.T, src sources.Source) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	for _, it := range openable(t, src) {
		rc, err := it.Open(t.Context())
		var s *sources.SkipError
		if errors.As(err, &s) {
			continue
		}
		if err != nil {
			t.Fatalf("%s: %v", Key(it.Origin), err)
		}
		done := make(chan struct{})
		go func() { defer close(done); rc.Close(); rc.Close() }()
		select {
		case <-done:
		case <-time.After(patience):
			t.Fatalf("%s: closing hangs", Key(it.Origin))
		}
	}
}

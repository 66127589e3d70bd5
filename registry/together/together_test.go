package together_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry/together"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Each ask is worked on once, with few enough others, and who asked sees it done.
func TestQueue(t *testing.T) {
	type ask struct{ in, out int }
	rounds, worked := 0, 0
	q := together.New(4, func(all []*ask) {
		if len(all) == 0 || len(all) > 4 {
			t.Errorf("%d at once", len(all))
		}
		rounds++
		worked += len(all)
		for _, a := range all {
			a.out += a.in + 1
		}
	})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			a := &ask{in: i}
			if err := q.Do(context.Background(), a); err != nil || a.out != i+1 {
				t.Errorf("%d became %d, %v", i, a.out, err)
			}
		})
	}
	wg.Wait()
	if worked != 200 || rounds > 200 {
		t.Errorf("%d asks in %d rounds", worked, rounds)
	}
}

// Who waits no longer gets no answer, and holds up nobody.
func TestQueueContext(t *testing.T) {
	hang := make(chan struct{})
	q := together.New(1, func([]*int) { <-hang })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := q.Do(ctx, new(int)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(hang)
	if err := q.Do(context.Background(), new(int)); err != nil {
		t.Error(err)
	}
}

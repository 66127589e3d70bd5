package together_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quench-dev/quench/registry/together"
)

// Nobody is given what was read before he asked, and far fewer reads are made than
// answers given.
func TestLatest(t *testing.T) {
	var now, reads atomic.Int64
	l := together.NewLatest(func() (int64, error) { reads.Add(1); return now.Load(), nil })
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				least := now.Add(1)
				if got, err := l.Get(context.Background()); err != nil || got < least {
					t.Errorf("%d, %v; want at least %d", got, err, least)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := reads.Load(); n == 0 || n > 8*2000 {
		t.Errorf("%d reads", n)
	}
}

// Those who ask while a read is under way share the next one, with its error.
func TestLatestShares(t *testing.T) {
	begun, end := make(chan struct{}), make(chan struct{})
	n := 0
	boom := errors.New("boom")
	l := together.NewLatest(func() (int, error) {
		n++
		begun <- struct{}{}
		<-end
		return n, boom
	})
	got := make(chan int)
	ask := func() { v, _ := l.Get(context.Background()); got <- v }
	go ask()
	<-begun
	ctx, cancel := context.WithCancel(context.Background())
	for range 5 {
		go ask()
	}
	cancel()
	if _, err := l.Get(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	end <- struct{}{}
	if v := <-got; v != 1 {
		t.Errorf("the first was given read %d", v)
	}
	<-begun
	end <- struct{}{}
	for i := range 5 {
		select {
		case v := <-got:
			if v < 2 {
				t.Errorf("one that asked later was given read %d", v)
			}
		case <-begun: // one of them asked after the second had begun
			end <- struct{}{}
			if v := <-got; v < 2 {
				t.Errorf("ask %d: %d", i, v)
			}
		}
	}
}

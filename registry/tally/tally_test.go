package tally_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry/tally"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What is added is written once and in order, whatever fails between.
func TestTally(t *testing.T) {
	var wrote []int
	var fail error
	c := tally.New(3, func(_ context.Context, all []int) error {
		if fail == nil {
			wrote = append(wrote, all...)
		}
		return fail
	})
	for i := range 3 {
		if !c.Add(i) {
			t.Fatalf("%d is not taken", i)
		}
	}
	if c.Add(9) {
		t.Error("more were taken than may wait")
	}
	fail = errors.New("disk full")
	if err := c.Flush(t.Context()); !errors.Is(err, fail) {
		t.Errorf("flush: %v", err)
	}
	if c.Add(9) {
		t.Error("something was taken after a failure")
	}
	fail = nil
	if err := c.Flush(t.Context()); err != nil || !slices.Equal(wrote, []int{0, 1, 2}) {
		t.Errorf("wrote %v, %v", wrote, err)
	}
	if !c.Add(3) {
		t.Error("nothing is taken after a failure that is over")
	}
	if err := c.Close(); err != nil || !slices.Equal(wrote, []int{0, 1, 2, 3}) {
		t.Errorf("wrote %v, %v", wrote, err)
	}
	if c.Add(4) {
		t.Error("something was taken after Close")
	}
}

func TestCloseTellsWhatIsLost(t *testing.T) {
	fail := errors.New("disk full")
	c := tally.New(3, func(context.Context, []int) error { return fail })
	c.Add(1)
	c.Add(2)
	if err := c.Close(); !errors.Is(err, fail) || !strings.Contains(err.Error(), "2 uses") {
		t.Errorf("close: %v", err)
	}
}

// The clock writes, with nobody asking.
func TestTallyWritesByItself(t *testing.T) {
	done := make(chan []int)
	c := tally.New(10, func(_ context.Context, all []int) error { done <- all; return nil })
	c.Add(1)
	if got := <-done; !slices.Equal(got, []int{1}) {
		t.Errorf("wrote %v", got)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// While a write hangs, what is added would wait too long, and is not taken.
func TestTallyThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		c := tally.New(10, func(context.Context, []int) error { <-hang; return nil })
		c.Add(1)
		time.Sleep(1500 * time.Millisecond) // of the bubble's clock: the write has begun
		if !c.Add(2) {
			t.Error("nothing is taken during a write")
		}
		time.Sleep(2 * time.Second)
		if c.Add(3) {
			t.Error("something is taken after two seconds of a write")
		}
		close(hang)
		synctest.Wait()
		if !c.Add(4) {
			t.Error("nothing is taken after it")
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
}

// Of many at once, all that were taken are written.
func TestTallyUnderRace(t *testing.T) {
	n, tries := 0, 0
	c := tally.New(50, func(_ context.Context, all []int) error {
		if tries++; tries%3 == 0 {
			return errors.New("now and then")
		}
		n += len(all)
		return nil
	})
	var mu sync.Mutex
	var wg sync.WaitGroup
	taken := 0
	for range 8 {
		wg.Go(func() {
			for i := range 500 {
				if c.Add(i) {
					mu.Lock()
					taken++
					mu.Unlock()
				}
				if i%20 == 0 {
					_ = c.Flush(context.Background()) // its failures are the test's
				}
			}
		})
	}
	wg.Wait()
	tries = 0 // the last one does not fail
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n != taken || n == 0 {
		t.Errorf("%d written, %d taken", n, taken)
	}
}

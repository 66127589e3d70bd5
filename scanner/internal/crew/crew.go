// Package crew starts the workers of a scan.
//
// It knows nothing of what they do. Start reading at Start.
package crew

import (
	"fmt"
	"sync"

	"github.com/panjf2000/ants/v2"
)

// Start has n workers work, and gives what waits for all of them.
func Start(n int, work func()) (wait func(), err error) {
	pool, err := ants.NewPool(n, ants.WithDisablePurge(true))
	if err != nil {
		return nil, fmt.Errorf("starting %d workers: %w", n, err)
	}
	var wg sync.WaitGroup
	for range n {
		wg.Add(1)
		if err := pool.Submit(func() { defer wg.Done(); work() }); err != nil {
			wg.Done()
			return nil, fmt.Errorf("starting a worker: %w", err)
		}
	}
	return func() {
		wg.Wait()
		pool.Release()
	}, nil
}

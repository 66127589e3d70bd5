package limits

import (
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// smallMemory is what a scan is kept to whose data would have room in it. Without it the
// garbage collector lets 95 MB of data become 190, though to collect a little earlier
// costs next to nothing; with it, the history of a project of 20,000 commits takes 240
// MB in all, and no longer 270. Less would make that collect all the time.
const smallMemory = 170 << 20

// smallData is how much data makes a scan one that is not small. What else the process
// takes counts for the limit too, so that little is left between the two. With four
// sevenths in the place of five eighths, every other scan of that history was no small
// one; with two thirds one with --cache, which has a little more data, always was, and took
// 11% more CPU for it.
const smallData = smallMemory / 8 * 5

// startMemory is what a scan takes before garbage is collected at all. Rules, tables and
// buffers take some 30 MB while they are made, of which half is garbage, and to collect
// that took a fifth of the CPU time of a scan of one commit, which is over then.
const startMemory = 64 << 20

// keepSmall keeps the memory small as long as the data is, and collects nothing while
// there is little, unless the user said otherwise (GOMEMLIMIT, GOGC).
func keepSmall() {
	if debug.SetMemoryLimit(-1) != math.MaxInt64 {
		return
	}
	c, limit := &collection{}, int64(smallMemory)
	if os.Getenv("GOGC") == "" {
		c.percent, limit = debug.SetGCPercent(-1), startMemory
	}
	debug.SetMemoryLimit(limit)
	runtime.SetFinalizer(c, (*collection).done)
}

// collection is garbage, and so is told of after each collection.
type collection struct {
	_       *collection
	percent int // to collect by from the first collection on; 0 after it
}

func (c *collection) done() {
	if c.percent != 0 {
		debug.SetGCPercent(c.percent)
		c.percent = 0
		if debug.SetMemoryLimit(-1) == startMemory {
			debug.SetMemoryLimit(smallMemory)
		}
	}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	switch {
	case debug.SetMemoryLimit(-1) != smallMemory: // somebody else's by now
	case live[0].Value.Kind() != metrics.KindUint64, live[0].Value.Uint64() > smallData:
		debug.SetMemoryLimit(math.MaxInt64)
	default:
		runtime.SetFinalizer(c, (*collection).done)
	}
}

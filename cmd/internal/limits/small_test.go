package limits

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

// limitAfter gives the memory limit after some collections, once it is want or they
// are over.
func limitAfter(collections int, want int64) (limit int64) {
	for range collections {
		runtime.GC()
		runtime.Gosched()
		if limit = debug.SetMemoryLimit(-1); limit == want {
			break
		}
	}
	return limit
}

// Memory is kept small while the data is, and no longer: also where much comes late.
func TestKeepSmall(t *testing.T) {
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(math.MaxInt64))
	t.Setenv("GOGC", "")
	percent := debug.SetGCPercent(123)
	defer debug.SetGCPercent(percent)
	keepSmall()
	if got, off := debug.SetMemoryLimit(-1), debug.SetGCPercent(-1); got != startMemory || off != -1 {
		t.Fatalf("it starts with a limit of %d and %d%%", got, off)
	}
	if got := limitAfter(10_000, smallMemory); got != smallMemory {
		t.Fatalf("a limit of %d with little data", got)
	}
	if got := debug.SetGCPercent(123); got != 123 {
		t.Errorf("after the first collection %d%% and not what was asked for", got)
	}
	data := make([]byte, smallData+1<<20)
	if got := limitAfter(10_000, math.MaxInt64); got != math.MaxInt64 {
		t.Errorf("a limit of %d with much data", got)
	}
	runtime.KeepAlive(data)
	debug.SetMemoryLimit(1 << 30)
	if keepSmall(); debug.SetMemoryLimit(-1) != 1<<30 {
		t.Error("the user's limit is overruled")
	}
}

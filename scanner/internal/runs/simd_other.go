//go:build !amd64 || purego

package runs

const available = false

func classify(*byte, int, *uint64, int) { panic("runs: no SIMD on this CPU") }

func longRuns(*uint64, int, *uint64) { panic("runs: no SIMD on this CPU") }

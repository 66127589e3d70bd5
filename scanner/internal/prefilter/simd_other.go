//go:build !amd64 || purego

package prefilter

// Kernels lists what this CPU can run, fastest first.
func Kernels() []Kernel { return []Kernel{Portable} }

func (t *search) simd(from, _ int) int { return from }

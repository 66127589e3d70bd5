//go:build !amd64

package prefilter

// Kernels lists what this CPU can run, fastest first.
func Kernels() []Kernel { return []Kernel{Portable} }

func (s *Set) findSIMD(_ []byte, from, _ int, _ func(pos int)) int { return from }

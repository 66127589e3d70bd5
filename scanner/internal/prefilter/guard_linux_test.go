package prefilter

import (
	"syscall"
	"testing"
)

// Find reads no byte outside its buffer: the pages before and after it fault.
func TestGuardPages(t *testing.T) {
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	mid := mem[page : 2*page]
	copy(mid, corpus(page))
	for _, outside := range [][]byte{mem[:page], mem[2*page:]} {
		if err := syscall.Mprotect(outside, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	for _, k := range Kernels() {
		s := NewFor(k, literals)
		for n := range 300 {
			for _, buf := range [][]byte{mid[:n:n], mid[page-n:], mid[n:]} {
				s.Find(buf, 0, len(buf), func(int, int) {})
				s.Find(buf, len(buf)/2, len(buf), func(int, int) {})
			}
		}
	}
}

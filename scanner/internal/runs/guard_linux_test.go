//go:build amd64 && !purego

package runs

import (
	"syscall"
	"testing"
	"unsafe"
)

// guarded is a page between two that fault.
func guarded(t *testing.T) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 3*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	for _, outside := range [][]byte{mem[:page], mem[2*page:]} {
		if err := syscall.Mprotect(outside, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return mem[page : 2*page : 2*page]
}

// No kernel reads a byte outside the text or writes one outside its masks.
func TestGuardPages(t *testing.T) {
	text, out := guarded(t), guarded(t)
	kernels(func(string) {
		for n := range 700 {
			for _, s := range [][]byte{text[:n:n], text[len(text)-n:]} {
				var f Finder
				f.Reset(s, 0, false)
				f.Run(Base64, 0, 20)
				f.Reset(s, n/3, false)
				f.Run(Hex, n/3, 20)
			}
		}
		for blocks := range 10 {
			words := blocks * int(classes)
			for _, w := range [][]byte{out[:words*8], out[len(out)-words*8:]} {
				if blocks > 0 {
					classify(unsafe.SliceData(text[len(text)-blocks*64:]), blocks, (*uint64)(unsafe.Pointer(unsafe.SliceData(w))), blocks)
				}
			}
		}
	})
}

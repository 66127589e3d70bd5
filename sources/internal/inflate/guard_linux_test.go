package inflate

import (
	"bytes"
	"math/rand/v2"
	"syscall"
	"testing"
)

// guarded gives n bytes that end where memory does.
func guarded(t *testing.T, n int) []byte {
	t.Helper()
	page := syscall.Getpagesize()
	size := (n + page - 1) / page * page
	mem, err := syscall.Mmap(-1, 0, size+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Munmap(mem) })
	for _, outside := range [][]byte{mem[:page], mem[page+size:]} {
		if err := syscall.Mprotect(outside, syscall.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return mem[page+size-n : page+size : page+size]
}

// Zlib touches nothing outside its two buffers, whatever the stream holds: the
// pages around them fault.
func TestGuardPages(t *testing.T) {
	var d Decoder
	const room = 1 << 17
	srcMem, dstMem := guarded(t, room), guarded(t, room)
	r := rand.New(rand.NewPCG(5, 6))
	rounds := 5000
	if testing.Short() {
		rounds = 500
	}
	all := texts(t)
	for i := range rounds {
		text := all[r.IntN(len(all))]
		text = text[:min(len(text), r.IntN(4000))]
		z := compress(t, text, r.IntN(12)-2)
		broken := i%2 == 1
		if broken {
			for range 1 + r.IntN(4) {
				z[2+r.IntN(len(z)-2)] ^= 1 << r.IntN(8)
			}
		}
		src := srcMem[room-len(z):]
		copy(src, z)
		slack := []int{0, 5, Slack - 1, Slack, Slack + 7}[r.IntN(5)]
		dst := dstMem[room-len(text)-slack:][:len(text)]
		_, err := d.Zlib(dst, src)
		if !broken && (err != nil || !bytes.Equal(dst, text)) {
			t.Fatal("an unbroken stream does not inflate:", err)
		}
	}
}

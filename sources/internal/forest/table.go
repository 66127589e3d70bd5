package forest

import (
	"hash/maphash"
	"slices"
	"unsafe"
)

var seed = maphash.MakeSeed()

// table numbers sequences, each once, from 0 on.
type table[T byte | uint32] struct {
	all   []T
	ends  []uint32 // in all
	slots []uint32 // a sequence's number and one, where its hash says or after; 0 is free
}

func (t *table[T]) len() int { return len(t.ends) }

// size is what it takes, in bytes.
func (t *table[T]) size() int {
	var one T
	return len(t.all)*int(unsafe.Sizeof(one)) + 4*len(t.ends) + 4*len(t.slots)
}

func (t *table[T]) get(n uint32) []T {
	from := uint32(0)
	if n > 0 {
		from = t.ends[n-1]
	}
	return t.all[from:t.ends[n]:t.ends[n]]
}

// intern gives the number of a sequence, a new one if need be.
func (t *table[T]) intern(s []T) uint32 {
	if 2*len(t.ends) >= len(t.slots) {
		t.grow()
	}
	mask := uint64(len(t.slots) - 1)
	for at := hash(s) & mask; ; at = (at + 1) & mask {
		n := t.slots[at]
		if n == 0 {
			t.all = append(t.all, s...)
			t.ends = append(t.ends, uint32(len(t.all)))
			n = uint32(len(t.ends))
			t.slots[at] = n
			return n - 1
		}
		if slices.Equal(t.get(n-1), s) {
			return n - 1
		}
	}
}

func (t *table[T]) grow() {
	size := max(1<<10, 2*len(t.slots))
	for size <= 2*len(t.ends) { // of a table that was restored
		size *= 2
	}
	t.slots = make([]uint32, size)
	mask := uint64(len(t.slots) - 1)
	for n := range uint32(len(t.ends)) {
		at := hash(t.get(n)) & mask
		for t.slots[at] != 0 {
			at = (at + 1) & mask
		}
		t.slots[at] = n + 1
	}
}

// hash hashes the memory that s lies in: of numbers, in the machine's byte order,
// which nobody else sees.
func hash[T byte | uint32](s []T) uint64 {
	if len(s) == 0 {
		return 0
	}
	var one T
	return maphash.Bytes(seed, unsafe.Slice((*byte)(unsafe.Pointer(&s[0])), len(s)*int(unsafe.Sizeof(one))))
}

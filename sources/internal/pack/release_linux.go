package pack

import (
	"os"
	"syscall"
)

// release lets the memory go that the mapping takes from one place to another; what
// is read again there comes from the system's cache.
func (m *file) release(from, to int64) {
	page := int64(os.Getpagesize())
	from, to = (from+page-1)/page*page, min(to, m.size)/page*page
	if m.data != nil && from < to {
		syscall.Madvise(m.data[from:to], syscall.MADV_DONTNEED)
	}
}

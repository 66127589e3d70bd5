//go:build unix

package cachedir

import (
	"io/fs"
	"os"
	"syscall"
)

// foreign reports whether a folder belongs to another user.
func foreign(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(st.Uid) != os.Geteuid()
}

//go:build unix

package gitrepo

import (
	"os"
	"strconv"
	"syscall"
)

// ownedByUs reports whether a file belongs to the user who runs this, or, for root
// by sudo, to the one who called it. What cannot be looked at belongs to others.
func ownedByUs(name string) bool {
	info, err := os.Lstat(name)
	if err != nil {
		return false
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return false
	}
	us := uint64(os.Geteuid())
	if us == 0 && st.Uid != 0 {
		if id, err := strconv.ParseUint(os.Getenv("SUDO_UID"), 10, 32); err == nil {
			us = id
		}
	}
	return uint64(st.Uid) == us
}

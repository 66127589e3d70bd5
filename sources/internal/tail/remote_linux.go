package tail

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// remote names the kind of a file system whose files others change without events, empty
// for one that tells of all.
func remote(dir string) string {
	var st unix.Statfs_t
	if unix.Statfs(dir, &st) != nil {
		return ""
	}
	switch uint32(st.Type) {
	case unix.NFS_SUPER_MAGIC:
		return "on NFS"
	case unix.FUSE_SUPER_MAGIC:
		return "on FUSE"
	case unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC:
		return "on SMB"
	case unix.V9FS_MAGIC:
		return "on 9P"
	case unix.CEPH_SUPER_MAGIC:
		return "on Ceph"
	case unix.AFS_SUPER_MAGIC, unix.AFS_FS_MAGIC, unix.CODA_SUPER_MAGIC:
		return "on AFS"
	}
	return ""
}

// ownReads has an open file on FUSE read past the cache of the kernel, which files share
// that had the same name: what comes after a rotation would be read for what was there
// before it. It is set once the file is open, so that who serves it does not hear of it.
func ownReads(f *os.File) {
	c, err := f.SyscallConn()
	if err != nil {
		return
	}
	c.Control(func(fd uintptr) {
		var st unix.Statfs_t
		if unix.Fstatfs(int(fd), &st) != nil || uint32(st.Type) != unix.FUSE_SUPER_MAGIC {
			return
		}
		if flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0); err == nil {
			unix.FcntlInt(fd, unix.F_SETFL, flags|unix.O_DIRECT)
		}
	})
}

// hint says which limit of the system to raise.
func hint(err error) string {
	switch {
	case errors.Is(err, unix.ENOSPC):
		return " (raise fs.inotify.max_user_watches by sysctl for events)"
	case errors.Is(err, unix.EMFILE):
		return " (raise fs.inotify.max_user_instances by sysctl for events)"
	}
	return ""
}

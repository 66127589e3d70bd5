//go:build !unix

package cachedir

import "io/fs"

// foreign cannot tell: access lists guard a user's folders here.
func foreign(fs.FileInfo) bool { return false }

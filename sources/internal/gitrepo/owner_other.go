//go:build !unix

package gitrepo

// ownedByUs is true where files have no numeric owner: on Windows the rule is not
// applied.
func ownedByUs(string) bool { return true }

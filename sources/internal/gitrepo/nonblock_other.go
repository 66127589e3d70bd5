//go:build !unix

package gitrepo

// OpenFlags is empty where opening does not block.
const OpenFlags = 0

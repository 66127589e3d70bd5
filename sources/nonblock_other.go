//go:build !unix

package sources

// openFlags is empty where opening does not block.
const openFlags = 0

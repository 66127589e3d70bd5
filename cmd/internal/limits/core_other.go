//go:build !unix

package limits

// NoCore does nothing here: there are no core files.
func NoCore() {}

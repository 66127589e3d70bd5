//go:build !linux

package tail

// remote is unknown here: a look now and then finds what events do not tell.
func remote(string) string { return "" }

func hint(error) string { return "" }

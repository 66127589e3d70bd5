//go:build unix && !linux

package limits

func notDumpable() {}

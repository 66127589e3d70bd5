package lfs_test

import (
	"strings"
	"testing"

	"github.com/quench-dev/quench/sources/internal/lfs"
)

func TestIsPointer(t *testing.T) {
	oid := strings.Repeat("4d7a2146", 8)
	good := "version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12345\n"
	for text, want := range map[string]bool{
		good:                                   true,
		strings.TrimSuffix(good, "\n"):         true,
		strings.ReplaceAll(good, "\n", "\r\n"): true,
		strings.Replace(good, "\noid", "\next-0-foo sha256:"+oid+"\noid", 1): true,
		"":                                                      false,
		good + "password hunter2\n":                             false,
		good + strings.Repeat("x", 1024):                        false,
		strings.Replace(good, oid, oid[1:], 1):                  false,
		strings.Replace(good, "12345", "-1", 1):                 false,
		strings.Replace(good, "version", "Version", 1):          false,
		"version https://git-lfs.github.com/spec/v1\nsize 12\n": false,
	} {
		if got := lfs.IsPointer([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

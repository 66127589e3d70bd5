package config

import (
	"strings"
	"testing"
)

// No file makes the reader panic, and every fault has a file and, but for what is wrong
// as a whole, a line.
func FuzzParse(f *testing.F) {
	f.Add([]byte("extend = [\"default\"]\nmin_confidence = \"low\"\n[[allow]]\npaths = [\"docs/**\"]\ncondition = \"all\"\n"))
	f.Add([]byte("[scan]\ndecode_depth = 3\n[rules]\nfiles = [\"a.toml\"]\n"))
	f.Add([]byte("[[allow]]\nregexes = [\"(\"]\n[[allow]]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		isGitleaks("x.toml", data)
		d, at, err := parse("f", data)
		if err == nil {
			_, err = d.lists("f", at)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "f:") {
			t.Fatalf("%q: %v", data, err)
		}
	})
}

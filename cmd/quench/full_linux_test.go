package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A disk without a byte left is told as that by commands that only read, too: SQLite then
// cannot make the file by which processes share its log.
func TestReadOnFullDisk(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	dir := filepath.Join(home, "state")
	mount(t, dir, "4m")
	run(t, home, "token", "issue", "--owner", "ann", "--purpose", "kept")
	filler := filepath.Join(dir, "filler")
	os.WriteFile(filler, make([]byte, 8<<20), 0o600) // until it is full
	out, err := quench(t, home, "token", "list").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "no space left for the database") {
		t.Errorf("%v: %s", err, out)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if out := run(t, home, "token", "list"); !strings.Contains(out, "kept") {
		t.Errorf("with room again: %s", out)
	}
}

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// A process that has a registry open leaves no core file, whatever kills it.
func TestNoCore(t *testing.T) {
	home := t.TempDir()
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	w := startWatch(t, home, log)
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/limits", w.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`(?m)^Max core file size +0 +0 `).Match(b) {
		t.Errorf("its limits are\n%s", b)
	}
	w.stop(t)
}

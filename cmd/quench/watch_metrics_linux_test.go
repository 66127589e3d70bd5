package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// The metrics of a watch say how far behind each file it is, what it found, and how long
// that took to end.
func TestWatchMetrics(t *testing.T) {
	home := t.TempDir()
	value := run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "hello\n")
	w := follow(t, home, 0, "--revoke=auto", log)
	w.says(t, "watching ")
	shows := func(name string, want float64) {
		t.Helper()
		waitFor(t, time.Minute, func() bool { return w.metric(name) == want }, func() string {
			return fmt.Sprintf("%s is %v, want %v:\n%s", name, w.metric(name), want, w.err.String())
		})
	}
	lag := fmt.Sprintf("quench_watch_lag_bytes{file=%q}", log)
	appendTo(t, log, "leaked "+value+"\n")
	shows(`quench_watch_findings_total{confidence="high",rule="quench-token"}`, 1)
	shows("quench_watch_kill_seconds_count", 1)
	shows(`quench_watch_kill_seconds_bucket{le="+Inf"}`, 1)
	shows(lag, 0)
	appendTo(t, log, "twelve bytes")
	shows("quench_watch_read_bytes_total{input=\"files\"}", float64(len("hello\nleaked \n")+len(value)+12))
	shows(lag, 0)
	w.stop(t)
}

package main

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Whatever the bytes of a log are, what leaks into it is found where it stands: behind
// CRLF, between NULs and what is no UTF-8, at either end and in the middle of a line of
// megabytes that comes in parts, and a key of several lines that comes line by line.
func TestWatchOddText(t *testing.T) {
	home := t.TempDir()
	log := filepath.Join(home, "app.log")
	appendTo(t, log, "start\r\nkey="+pat(t, 1)+"\r\n")
	w := startWatch(t, home, log)
	want := func(rule string, line int) {
		t.Helper()
		if f := w.next(t); f.Rule != rule || f.Line != line {
			t.Fatalf("%+v, want %s on line %d", f, rule, line)
		}
	}
	want("github-pat", 2)
	appendTo(t, log, "\x00\x00key="+pat(t, 2)+"\x00\x00\n\xff\xfe key="+pat(t, 3)+" \xff\n")
	want("github-pat", 3)
	want("github-pat", 4)
	long := strings.Repeat("word ", 600_000)
	appendTo(t, log, "key="+pat(t, 4)+" "+long+"key="+pat(t, 5)[:20])
	appendTo(t, log, pat(t, 5)[20:]+" "+long)
	appendTo(t, log, "key="+pat(t, 6)+"\n")
	for range 3 {
		want("github-pat", 5)
	}
	for l := range strings.Lines(pemLines(t, 7)) {
		appendTo(t, log, strings.TrimSuffix(l, "\n")+"\r\n")
	}
	want("private-key", 6)
	appendTo(t, log, "key="+pat(t, 8)+"\n")
	want("github-pat", 12)
	if last := w.stop(t); !strings.Contains(last, `"findings":8`) {
		t.Error(last)
	}
}

// From the end only what comes is found, from a checkpoint what came since, and from the
// start all, each where it stands in the file. Where the last run ended counts afterwards,
// not where the one before it did.
func TestWatchFrom(t *testing.T) {
	for _, registry := range []bool{true, false} {
		t.Run(fmt.Sprintf("registry %v", registry), func(t *testing.T) {
			home := t.TempDir()
			if registry {
				run(t, home, "token", "issue", "--owner", "a", "--purpose", "b")
			}
			log := filepath.Join(home, "app.log")
			line := 0
			leak := func() {
				line++
				appendTo(t, log, "key="+pat(t, uint64(line))+"\n")
			}
			leak()
			for _, from := range []string{"end", "checkpoint", "start", "checkpoint", "end", "checkpoint", "end, quiet", "checkpoint"} {
				from, quiet := strings.CutSuffix(from, ", quiet")
				first := line + 1
				switch from {
				case "start":
					first = 1
				case "end":
					first++ // that comes while nobody reads
				}
				leak()
				w := startWatch(t, home, "--from", from, log)
				if !quiet {
					leak()
				}
				var got, want []int
				for n := first; n <= line; n++ {
					want = append(want, n)
					got = append(got, w.next(t).Line)
				}
				if last := w.stop(t); !slices.Equal(got, want) || !strings.Contains(last, fmt.Sprintf(`"findings":%d,`, len(want))) {
					t.Fatalf("from %s: lines %v, want %v: %s", from, got, want, last)
				}
			}
		})
	}
}

package progress

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/quench-dev/quench/scanner"
)

func TestNumbers(t *testing.T) {
	var p scanner.Progress
	p.Listed.Store(110359)
	p.Done.Store(53782)
	p.Bytes.Store(5_600_000_000)
	p.Hits.Store(2)
	if got, want := numbers(&p, 7*time.Second), " 53,782/110,359, 5.6 GB, 2 hits, 7s left"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	p.Packed.Store(22_000_000)
	p.Done.Store(1000) // too few to guess from
	if got, want := numbers(&p, time.Second), " 1,000/110,359, 22 MB of pack, 2 hits"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if w := len(phase(&p)) + 16 + len(" 999,999,999/999,999,999, 999 GB of pack, 999,999 hits"); w > 80 {
		t.Errorf("a line takes %d columns", w)
	}
}

// All that is written through a Meter arrives at once and in order, also before the
// line is shown, while it is, and after Stop; the line is gone whenever something
// else is written.
func TestWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Start(&out, new(scanner.Progress))
		io.WriteString(m, "one\n")
		time.Sleep(delay + 2*rate + rate/2)
		synctest.Wait()
		if !strings.HasSuffix(out.String(), "reading   0/0") {
			t.Errorf("no progress is shown: %q", out.String())
		}
		io.WriteString(m, "two\n")
		m.Stop()
		io.WriteString(m, "three\n")
		shown := clear + "reading   0/0"
		if got, want := out.String(), "one\n"+strings.Repeat(shown, 3)+clear+"two\nthree\n"; got != want {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// A scan that is over soon shows nothing.
func TestSoonOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		m := Start(&out, new(scanner.Progress))
		time.Sleep(delay / 2)
		m.Stop()
		if out.Len() > 0 {
			t.Errorf("shows %q", out.String())
		}
	})
}

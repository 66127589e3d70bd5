// Package progress shows on a terminal how far a scan has come: what is being
// done, how much of it, what was found, how long it will still take.
//
// It knows the counters of a scan and nothing of what they count. Output that goes
// to the same terminal is written through the Meter, above the line that moves.
// Start reading at Start.
package progress

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/scanner"
)

const (
	// delay is how long a scan runs before anything is shown: most are done.
	delay = 300 * time.Millisecond
	// rate is how often the line is written anew: smooth, and nothing beside a
	// scan.
	rate = 150 * time.Millisecond
)

// Meter is one line on a terminal.
type Meter struct {
	p     *scanner.Progress
	begun time.Time
	stop  chan struct{}
	done  chan struct{}

	mu    sync.Mutex // of all that is written
	out   io.Writer
	shown bool // the line stands on the terminal
	note  string
}

// Start shows p on the terminal out until Stop.
func Start(out io.Writer, p *scanner.Progress) *Meter {
	m := &Meter{p: p, begun: time.Now(), out: out, stop: make(chan struct{}), done: make(chan struct{})}
	go m.run()
	return m
}

func (m *Meter) run() {
	defer close(m.done)
	wait := time.NewTimer(delay)
	defer wait.Stop()
	select {
	case <-m.stop:
		return
	case <-wait.C:
	}
	tick := time.NewTicker(rate)
	defer tick.Stop()
	for {
		m.mu.Lock()
		text := m.note
		if text == "" {
			text = line(m.p, time.Since(m.begun))
		}
		io.WriteString(m.out, clear+text)
		m.shown = true
		m.mu.Unlock()
		select {
		case <-m.stop:
			m.mu.Lock()
			m.hide()
			m.mu.Unlock()
			return
		case <-tick.C:
		}
	}
}

// clear goes to the start of the line and empties it (ECMA-48, EL).
const clear = "\r\x1b[K"

func (m *Meter) hide() {
	if m.shown {
		io.WriteString(m.out, clear)
		m.shown = false
	}
}

// Write writes above the line, which comes back with the next tick. What is written
// should end with a line feed.
func (m *Meter) Write(b []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hide()
	return m.out.Write(b)
}

// Note shows text in the place of the counters until the next one; an empty text brings
// them back, timed from now on.
func (m *Meter) Note(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// What is wider than the terminal would not be cleared.
	if r := []rune(text); len(r) > 79 {
		text = string(r[:79])
	}
	if m.note = text; text == "" {
		m.begun = time.Now()
	}
}

// Stop takes the line away. It may be called once; Write goes on to work.
func (m *Meter) Stop() {
	close(m.stop)
	<-m.done
}

// columns of the bar
const columns = 16

// line is what is shown: never wider than 80 columns.
func line(p *scanner.Progress, elapsed time.Duration) string {
	bar := ""
	if total, known := p.Total(); known && total > 0 {
		n := int(min(p.Done.Load(), total) * columns / total)
		bar = strings.Repeat("━", n) + strings.Repeat(" ", columns-n)
	}
	return phase(p) + bar + numbers(p, elapsed)
}

func phase(p *scanner.Progress) string {
	if p.Done.Load() == 0 {
		return "reading  "
	}
	return "scanning "
}

// numbers are what is told beside the bar: it fits beside it in 80 columns.
func numbers(p *scanner.Progress, elapsed time.Duration) string {
	done := p.Done.Load()
	total, known := p.Total()
	parts := []string{" " + count(done)}
	switch {
	case known:
		parts[0] += "/" + count(total)
	case done == 0:
		parts[0] = " " + count(total)
	}
	if n := p.Packed.Load(); n > 0 {
		parts = append(parts, size(n)+" of pack")
	} else if n := p.Bytes.Load(); n > 0 {
		parts = append(parts, size(n))
	}
	if n := p.Hits.Load(); n > 0 {
		parts = append(parts, count(n)+" hits")
	}
	if left, ok := remaining(done, total, elapsed); known && ok {
		parts = append(parts, left.String()+" left")
	}
	return strings.Join(parts, ", ")
}

// remaining guesses from the pace so far, which is no guess before a twentieth is
// done.
func remaining(done, total int64, elapsed time.Duration) (time.Duration, bool) {
	if total == 0 || done*20 < total || done > total {
		return 0, false
	}
	left := time.Duration(float64(elapsed) * float64(total-done) / float64(done))
	return left.Round(time.Second), true
}

// count writes a number in groups of three digits.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func size(n int64) string {
	switch {
	case n >= 1e9:
		return fmt.Sprintf("%.1f GB", float64(n)/1e9)
	case n >= 1e6:
		return fmt.Sprintf("%d MB", n/1e6)
	}
	return fmt.Sprintf("%d KB", n/1e3)
}

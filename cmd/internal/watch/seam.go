package watch

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

const (
	// seamSize is how much of a file is kept for what may have begun in the one before
	// it: four times what the rule for private keys looks at, since containers' records
	// put as much around each line of a key as it is long.
	seamSize = 64 << 10
	// seamQuiet is how long a file has to be there until what comes before it is taken to
	// be whole: longer than it takes to notice that a file is quiet.
	seamQuiet = 2 * time.Second
	// seamLong is when that is so where a file that was renamed is written to still.
	seamLong = 10 * time.Second
	// maxOrphans bounds the files that ended with something undecided and have no
	// successor, oldest first: most are gone for good.
	maxOrphans = 1000
)

// seam is where a file goes on with the text of the one that had its name before. Until
// it is decided what spans it, the next run begins before it.
type seam struct {
	before  *logFile
	since   time.Time // when the file began
	head    []byte    // of the file
	decided [2]int    // lengths of both sides when they were last looked at
	flushed bool
}

// undecided keeps what of the log is undecided, for the seam with the next of its name,
// where data is what came last.
func (l *logFile) undecided(data []byte) {
	from, _ := l.text.Resume(l.stream.Settled(), 0)
	if from >= l.end {
		l.tail = l.tail[:0]
		return
	}
	keep := l.end - from
	if begun := l.end - int64(len(data)); from >= begun || len(l.tail) == 0 {
		data = data[max(0, int64(len(data))-keep):]
		l.tail = append(l.tail[:0], data...)
	} else {
		drop := int64(len(l.tail)) - (begun - from)
		if drop > 0 {
			l.tail = l.tail[:copy(l.tail, l.tail[drop:])]
		}
		l.tail = append(l.tail, data...)
	}
	if l.tailAt = l.end - int64(len(l.tail)); l.tailAt != from {
		l.tail = l.tail[:0] // it was not kept from there
	}
	l.tailLine = l.lines - int64(bytes.Count(l.tail, []byte{'\n'}))
}

// begin gives a file that goes on with another its seam. The lock is held.
func (w *watcher) begin(l *logFile, e sources.TailEvent) {
	before := w.logs[e.Before]
	if before == nil {
		before = w.orphans[e.Before]
	}
	if l.born = cmp.Or(e.Was, e.Path); before == nil {
		return
	}
	l.seam = &seam{before: before, since: w.o.Now()}
	w.seams = append(w.seams, l)
}

// over keeps a file that ended with something undecided for the one that comes after it.
// The lock is held.
func (w *watcher) over(l *logFile) {
	if len(l.tail) == 0 || l.next {
		return
	}
	w.orphans[l.file] = l
	w.orphaned = append(w.orphaned, l.file)
	if len(w.orphaned) > maxOrphans {
		delete(w.orphans, w.orphaned[0])
		w.orphaned = w.orphaned[1:]
	}
}

// join gives what begins in one file and ends in the next, and closes the seams of which
// all is decided. It is called in a round.
func (w *watcher) join() (out []scanner.Finding, read []time.Time) {
	w.mu.Lock()
	list := slices.Clone(w.seams)
	w.mu.Unlock()
	for _, l := range list {
		l.seam.before.next = true
		found, done := w.decide(l)
		for _, f := range found {
			out, read = append(out, f), append(read, l.read)
		}
		if done || len(found) > 0 {
			w.close(l)
		}
	}
	return out, read
}

// close closes a seam: both files are read on where they are.
func (w *watcher) close(l *logFile) {
	before := l.seam.before
	w.mu.Lock()
	w.seams = slices.DeleteFunc(w.seams, func(o *logFile) bool { return o == l })
	delete(w.orphans, before.file)
	w.mu.Unlock()
	l.seam, before.next = nil, false
	w.touch(l)
	if before.ended {
		if before.tail = nil; !before.final {
			before.from.Offset, before.from.Line = before.end, before.lines
			w.unsaved[before.file] = before.from
		}
		return
	}
	w.touch(before)
}

// decide looks for what spans a seam, and reports whether that is all.
func (w *watcher) decide(l *logFile) (out []scanner.Finding, done bool) {
	s, before := l.seam, l.seam.before
	there := w.o.Now().Sub(s.since)
	read := before.ended || before.quiet && there >= seamQuiet || !before.more && there >= seamLong
	if len(before.tail) == 0 {
		// Without a registry what is read again is told again, so that it is not left to
		// the next run where nothing says that it has to be.
		return nil, read || w.closing && !before.more && w.o.Registry == nil
	}
	if now := [2]int{len(before.tail), len(s.head)}; len(s.head) == 0 || now == s.decided && (s.flushed || !l.quiet) {
		return nil, false
	} else {
		s.decided, s.flushed = now, l.quiet
	}
	text, err := envelope.NewText(before.kind, before.tailAt, before.tailLine)
	if err != nil {
		return nil, true // it was a format before
	}
	t := &logFile{file: before.file, path: before.path, text: text, line: before.tailLine}
	emit := func(m scanner.Match) {
		if at := text.Raw(m.Start); at < before.end && text.Raw(m.End) > before.end {
			if f := w.finding(t, m); f.Token != nil || f.Confidence.AtLeast(w.engine.Load().min) {
				out = append(out, f)
			}
		}
	}
	stream := w.engine.Load().NewStream(emit)
	stream.Write(text.Write(before.tail))
	stream.Write(text.Write(s.head))
	if l.quiet || l.ended {
		stream.Write(text.Quiet())
		stream.Flush()
	}
	at, _ := text.Resume(stream.Settled(), 0)
	return out, at >= before.end && read || len(s.head) >= seamSize || l.ended
}

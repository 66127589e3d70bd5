package watch

import (
	"bytes"
	"slices"
	"time"

	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// engine is what logs are scanned with until a reload brings another.
type engine struct {
	*scanner.Engine
	min rules.Confidence
}

// logFile is one followed file. Its reader alone touches it, and between rounds the
// round.
type logFile struct {
	file, path string
	id         sources.TailIdentity
	end, lines int64 // bytes and line feeds that came
	ended      bool  // no more will
	final      bool  // and the file is no more

	engine *engine // of the stream
	// stream holds what is undecided; nil where nothing is, so that a file which is
	// quiet takes no memory. It begins at offset, after line line feeds.
	stream       *scanner.Stream
	text         *envelope.Text // what the stream is given
	format       string         // of text, as far as it is known
	offset, line int64
	found        []scanner.Finding
	read         time.Time // when the last bytes came
	quiet        bool      // nothing came for a while
	// pairs holds halves of credentials for the lines that may hold the others, nil for
	// none; from is where to begin again so that none of them is lost.
	pairs *scanner.Pairs
	from  sources.TailPosition
	dirty bool // in the watcher's list

	// born is the name it had first, and tail what of it is undecided, from tailAt on,
	// after tailLine line feeds; kind is its format.
	born             string
	kind             string
	tail             []byte
	tailAt, tailLine int64
	more             bool  // it was not read to its end
	seam             *seam // with the one before, until that is decided
	next             bool  // another has one with this
}

// maxSpare bounds the streams that are kept for files that get something new: each
// holds a buffer and a memory of lines, a megabyte at most, and what is read at the same
// time is a few files.
const maxSpare = 16

// open gives the file a stream, at its end.
func (w *watcher) open(l *logFile) error {
	l.engine = w.engine.Load()
	l.offset, l.line = l.end, l.lines
	if l.format == "" {
		l.format = w.o.Format
	}
	var err error
	if l.text, err = envelope.NewText(l.format, l.offset, l.line); err != nil {
		return err
	}
	emit := func(m scanner.Match) { l.found = append(l.found, w.finding(l, m)) }
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.spare); n > 0 {
		l.stream = w.spare[n-1]
		w.spare = w.spare[:n-1]
		l.stream.Reset(emit)
		return nil
	}
	l.stream = l.engine.NewStream(emit)
	return nil
}

// release takes its stream from a file of which all is decided.
func (w *watcher) release(l *logFile) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.spare) < maxSpare && l.engine == w.engine.Load() {
		l.stream.Reset(func(scanner.Match) {})
		w.spare = append(w.spare, l.stream)
	}
	l.stream, l.text, l.format = nil, nil, l.text.Format()
	if !l.ended {
		l.tail = nil
	}
}

// write gives the stream what came. After a reload the new rules begin as soon as
// nothing is undecided, which is at the end of a line.
func (w *watcher) write(l *logFile, data []byte) error {
	for l.stream != nil && l.engine != w.engine.Load() && len(data) > 0 {
		if at, _ := l.text.Resume(l.stream.Settled(), 0); at == l.end {
			w.release(l)
			break
		}
		n := bytes.IndexByte(data, '\n') + 1
		if n == 0 {
			n = len(data)
		}
		if err := w.feed(l, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	if len(data) == 0 {
		return nil
	}
	return w.feed(l, data)
}

func (w *watcher) feed(l *logFile, data []byte) error {
	if l.stream == nil {
		if err := w.open(l); err != nil {
			return err
		}
	}
	l.end += int64(len(data))
	l.lines += int64(bytes.Count(data, []byte{'\n'}))
	l.stream.Write(l.text.Write(data))
	l.kind = l.text.Format()
	l.undecided(data)
	return nil
}

// finding places a match in its file.
func (w *watcher) finding(l *logFile, m scanner.Match) scanner.Finding {
	m.Start, m.End = l.text.Raw(m.Start), l.text.Raw(m.End)
	m.Line += int(l.line)
	m.EndLine += int(l.line)
	now := w.o.Now()
	h := scanner.Hit{Match: m, FoundAt: now, Origin: sources.Origin{Source: "tail", Root: l.file, Path: l.path, Time: now}}
	return scanner.Finding{Hit: h, ID: scanner.FindingID(h.Rule.ID, h.Origin.Path, h.Key, h.Context, h.Secret)}
}

// settle gives what is found and waits for nothing, and notes how far that is: halves of
// credentials wait until the first lines hold all that they could belong to, or the log
// is quiet. Tokens of the registry never do.
func (w *watcher) settle(l *logFile) (out []scanner.Finding) {
	at, line := l.end, l.lines
	if l.stream != nil {
		o, n := l.stream.SettledAt()
		at, line = l.text.Resume(o, n)
		l.text.Forget(o)
	}
	for _, f := range l.found {
		if l.pairs == nil {
			l.pairs = l.engine.NewPairs()
		}
		if f.Token != nil || !l.pairs.Add(f) {
			out = append(out, f)
		}
	}
	clear(l.found)
	l.found = l.found[:0]
	if l.pairs != nil {
		upTo := int(line)
		if l.quiet || l.ended {
			upTo = scanner.AllLines
		}
		out = append(out, l.pairs.Take(upTo)...)
	}
	if l.next && len(l.tail) > 0 && (at > l.tailAt || l.ended) {
		at, line = l.tailAt, l.tailLine
	}
	if l.seam != nil {
		at, line = l.from.Offset, l.from.Line
	}
	if l.pairs == nil || l.pairs.First() == nil {
		l.from = sources.TailPosition{File: l.file, Path: l.path, Offset: at, Line: line}
		l.pairs = nil
	}
	l.from.Identity, l.from.Path = l.id, l.path
	if len(l.tail) > 0 {
		l.from.Path = l.born
	}
	if l.stream != nil && (l.ended || l.quiet && at == l.end) {
		w.release(l)
	}
	min := w.engine.Load().min
	return slices.DeleteFunc(out, func(f scanner.Finding) bool { return f.Token == nil && !f.Confidence.AtLeast(min) })
}

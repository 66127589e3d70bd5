// Package passon passes logs on without their secrets, what is around the lines of
// containers included.
//
// A Writer redacts one log: the text of its records is decided, and what stands for a
// secret in the log is replaced, in all records it is split over. Run follows files and
// keeps, in the folder it writes to, how far each is passed on. It knows nothing of
// findings. Start reading at Writer.Write and Run.
package passon

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/scanner/redact"
)

// Position is where a Writer goes on.
type Position struct {
	// Begin is the offset in the log of what is to be written first; before Passed
	// everything is passed on.
	Begin, Passed int64
}

// Writer redacts one log. One goroutine uses it.
type Writer struct {
	text  *envelope.Text
	w     *redact.Writer
	out   io.Writer
	raw   []byte // not passed on yet
	at    int64  // offset in the log of raw[0]
	skip  int64  // all before was passed on by another Writer
	spans []span
	err   error
}

// span is what is replaced in the log.
type span struct {
	from, to int64
	tag      string
}

// New starts a log in a format of envelope.Formats at a position. Out and Replaced of o
// are its own.
func New(o redact.Options, format string, from Position, out io.Writer) (*Writer, error) {
	text, err := envelope.NewText(format, from.Begin, 0)
	if err != nil {
		return nil, err
	}
	w := &Writer{text: text, out: out, at: from.Begin, skip: from.Passed}
	o.Out, o.Replaced, o.Rest = io.Discard, w.replaced, from.Begin > 0
	w.w = redact.New(o)
	return w, nil
}

// replaced notes what stands for a secret: the tag is in its first record, and nothing
// of it in the others.
func (w *Writer) replaced(start, end int64, tag string) {
	w.text.Spans(start, end, func(from, to int64) {
		w.spans = append(w.spans, span{from, to, tag})
		tag = ""
	})
}

// Write adds p to the log and passes on what is decided.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.raw = append(w.raw, p...)
	if _, err := w.w.Write(w.text.Write(p)); err != nil {
		w.err = err
	}
	w.pass(false)
	if w.err != nil {
		return 0, w.err
	}
	return len(p), nil
}

// Late passes on what is held, as redact.Writer.Late does.
func (w *Writer) Late() error {
	if w.err == nil {
		if text := w.text.Quiet(); len(text) > 0 {
			_, w.err = w.w.Write(text)
		}
	}
	if w.err == nil {
		w.err = w.w.Late()
	}
	w.pass(false)
	return w.err
}

// Close passes on the rest. It does not close what it writes to.
func (w *Writer) Close() error {
	if w.err == nil {
		if text := w.text.Close(); len(text) > 0 {
			_, w.err = w.w.Write(text)
		}
	}
	if w.err == nil {
		w.err = w.w.Close()
	}
	w.pass(true)
	return w.err
}

// Holds is whether complete lines wait to be passed on.
func (w *Writer) Holds() bool { return w.err == nil && bytes.IndexByte(w.raw, '\n') >= 0 }

// InKey is whether what was passed on ends within a private key, see redact.Options.
func (w *Writer) InKey() bool { return w.w.InKey() }

// Done is how far all that was written is passed on, where that is all.
func (w *Writer) Done() (at int64, all bool) {
	return w.at, w.err == nil && len(w.raw) == 0 && !w.InKey()
}

// Position is where another Writer goes on when this one is no more.
func (w *Writer) Position() Position {
	at := w.w.Resume()
	p := Position{Passed: max(w.at, w.skip)}
	p.Begin, _ = w.text.Resume(at, 0)
	return p
}

// pass writes what is decided, in an envelope whole records.
func (w *Writer) pass(all bool) {
	if w.err != nil {
		return
	}
	to, _ := w.text.Resume(w.w.Done(), 0)
	if all {
		to = w.at + int64(len(w.raw))
	}
	if to <= w.at {
		return
	}
	slices.SortStableFunc(w.spans, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out []byte
	at := w.at
	upTo := func(end int64) {
		if from := max(at, w.skip); from < end {
			out = append(out, w.raw[from-w.at:end-w.at]...)
		}
		at = max(at, end)
	}
	n := 0
	for ; n < len(w.spans) && w.spans[n].from < to; n++ {
		s := w.spans[n]
		upTo(s.from)
		if s.to > w.skip {
			out = append(out, s.tag...)
		}
		at = max(at, s.to)
	}
	w.spans = slices.Delete(w.spans, 0, n)
	upTo(to)
	w.raw = w.raw[:copy(w.raw, w.raw[to-w.at:])]
	w.at = to
	w.text.Forget(w.w.Resume())
	if len(out) > 0 {
		if _, err := w.out.Write(out); err != nil {
			w.err = fmt.Errorf("passing the redacted text on: %w", err)
		}
	}
}

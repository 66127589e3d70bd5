// Package redact passes a text on with its secrets replaced by redaction tags.
//
// It knows a scanner.Engine and a writer, and nothing of files, reports or
// registries. Text is written when the engine has decided it, so nothing is passed
// on that was not scanned; all but the secrets is passed on byte for byte. Start
// reading at Writer.Write.
package redact

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
)

// ErrWide is what a text in UTF-16 or UTF-32 is refused with: its secrets are not
// seen in the bytes that would be passed on.
var ErrWide = errors.New("the text is UTF-16 or UTF-32 and cannot be redacted: convert it to UTF-8 first, with iconv")

// ErrPacked is what compressed input is refused with, for the same reason.
var ErrPacked = errors.New("the input is compressed and cannot be redacted: unpack it first, with zcat, unzip and the like")

// packed are what compressed files and archives begin with, of the kinds that a scan
// looks into.
var packed = []string{"\x1f\x8b\x08", "PK\x03\x04", "\x28\xb5\x2f\xfd", "\xfd7zXZ", "BZh", "7z\xbc\xaf", "Rar!", "\x04\x22\x4d\x18"}

// Options are what a Writer needs; MinConfidence, Check and Replaced may be zero.
type Options struct {
	Engine *scanner.Engine
	// Rules are those of Engine.
	Rules *rules.Set
	Out   io.Writer
	// MinConfidence is the least replaced; empty means medium. Tokens of the
	// registry and halves of credentials always are.
	MinConfidence rules.Confidence
	// Check says what keeps the engine from seeing everything; nothing is passed on
	// after it said so.
	Check func() error
	// Rest says that the text is what is left of one: how it begins tells nothing of its
	// encoding.
	Rest bool
	// InKey says that the text goes on with another, at the end of which a Writer was
	// InKey.
	InKey bool
	// Replaced is told what was replaced by what, in order of the text. A tag of
	// no bytes goes on with the one before it.
	Replaced func(start, end int64, tag string)
}

// Undecided stands in a tag for the rule where a private key begins, and what comes
// after is not, in time or in size, what a rule finds.
const Undecided = "undecided-key"

// around is how far before an undecided byte of a line that does not end a secret
// can begin, beyond the widest rule: what an assignment's name and value take.
const around = 16 << 10

// Writer redacts one text. One goroutine uses it.
type Writer struct {
	o      Options
	key    [32]byte // of the tags: of this Writer alone, so that no tag can be tried out
	stream *scanner.Stream
	halves map[string]bool
	names  map[string]string // what tags of rules begin with
	reach  int64
	lead   int64 // what multi-line rules of others may look back at
	buf    []byte
	base   int64 // offset of buf[0]
	done   int64 // all before it is written
	spans  []span
	open   bool // a private key began, and nothing found it
	opened int64
	inKey  bool // its tag is written
	head   bool // the first bytes were looked at
	err    error
}

// span is what is to be replaced.
type span struct {
	start, end int64
	rule       string
	secret     secret.Secret
}

// New starts a text.
func New(o Options) *Writer {
	if o.MinConfidence == "" {
		o.MinConfidence = rules.Medium
	}
	w := &Writer{o: o, open: o.InKey, head: o.Rest, halves: o.Rules.Halves(), reach: around, names: map[string]string{}}
	rand.Read(w.key[:]) // never fails
	w.stream = o.Engine.NewStream(func(m scanner.Match) { w.found(m, 0) })
	own, err := rules.Builtin()
	w.err = err
	for _, r := range o.Rules.Rules() {
		switch {
		case !r.Multiline:
			w.reach = max(w.reach, around+int64(r.Width))
		case own != nil && !r.Prefixed:
			// The secrets of built-in rules stand behind their keywords; those of
			// others may not.
			if _, ok := own.Rule(r.ID); !ok {
				w.lead = max(w.lead, int64(r.Width))
			}
		}
	}
	return w
}

// found notes what a match at offset at replaces.
func (w *Writer) found(m scanner.Match, at int64) {
	if m.Dropped != "" || m.Token == nil && !m.Confidence.AtLeast(w.o.MinConfidence) && !w.halves[m.Rule.ID] && m.Rule.Partner == "" {
		return
	}
	w.spans = append(w.spans, span{m.Start + at, m.End + at, m.Rule.ID, m.Secret})
}

// Write adds p to the text and passes on what is decided: complete lines, but for
// those from where a secret of several lines may begin.
func (w *Writer) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	w.buf = append(w.buf, p...)
	if !w.head && wide(w.buf) {
		w.err = ErrWide
		return 0, w.err
	}
	if !w.head && slices.ContainsFunc(packed, func(m string) bool { return bytes.HasPrefix(w.buf, []byte(m)) }) {
		w.err = ErrPacked
		return 0, w.err
	}
	w.head = w.head || len(w.buf) >= 5
	w.stream.Write(p)
	w.pass(w.safe())
	w.forget()
	return len(p), w.err
}

// wide reports a byte order mark of UTF-16 or UTF-32, or ASCII in either.
func wide(b []byte) bool {
	if len(b) < 2 {
		return false
	}
	return b[0] == 0xff && b[1] == 0xfe || b[0] == 0xfe && b[1] == 0xff ||
		len(b) >= 4 && (b[0] == 0) != (b[1] == 0) && (b[2] == 0) != (b[3] == 0)
}

// safe is where no match starts after that the stream has not emitted: the line of
// the first undecided byte.
func (w *Writer) safe() int64 {
	at := w.stream.Settled()
	if i := bytes.LastIndexByte(w.buf[:max(0, at-w.base)], '\n'); i >= 0 {
		at = w.base + int64(i) + 1
	} else {
		at = max(w.base, at-w.reach)
	}
	return at - w.lead
}

// Late passes on all complete lines that are held, decided as if the text ended
// behind them. Call it when the oldest of them has waited for long enough.
func (w *Writer) Late() error {
	n := bytes.LastIndexByte(w.buf, '\n') + 1
	if w.err != nil || w.base+int64(n) <= w.done {
		return w.err
	}
	w.rest(n)
	return w.err
}

// Close passes on the rest. It does not close Out.
func (w *Writer) Close() error {
	if w.err == nil {
		w.stream.Close()
		w.rest(len(w.buf))
	}
	return w.err
}

// rest passes on n buffered bytes, decided as a text of their own: what they begin
// with is undecided as yet, so that no secret began before them.
func (w *Writer) rest(n int) {
	for _, m := range w.o.Engine.ScanBytes(slices.Clone(w.buf[:n])) {
		w.found(m, w.base)
	}
	w.pass(w.base + int64(n))
}

// Done is the offset before which everything is passed on.
func (w *Writer) Done() int64 { return w.done }

// Resume is an offset from which on another Writer of the same text decides what this one
// does behind Done, but for what Late decided.
func (w *Writer) Resume() int64 {
	at := max(0, min(w.done, w.safe()))
	if w.open {
		at = min(at, w.opened)
	}
	return at
}

// InKey is whether what was passed on ends within a private key.
func (w *Writer) InKey() bool { return w.open }

// Holds is whether complete lines wait to be passed on.
func (w *Writer) Holds() bool {
	return w.err == nil && w.base+int64(bytes.LastIndexByte(w.buf, '\n')+1) > w.done
}

// pass writes what lies before upTo and was not written.
func (w *Writer) pass(upTo int64) {
	w.err = errors.Join(w.err, w.o.Engine.Err())
	if w.o.Check != nil {
		w.err = errors.Join(w.err, w.o.Check())
	}
	if w.err != nil {
		w.err = fmt.Errorf("redacting, and nothing more is passed on: %w", w.err)
		return
	}
	var out []byte
	slices.SortStableFunc(w.spans, func(a, b span) int { return int(a.start - b.start) })
	for len(w.spans) > 0 {
		s := w.spans[0]
		if s.start >= upTo {
			break
		}
		w.spans = w.spans[1:]
		if s.end <= w.done {
			continue
		}
		same := true
		for len(w.spans) > 0 && w.spans[0].start < s.end {
			same = same && w.spans[0].start == s.start && w.spans[0].end == s.end
			s.end = max(s.end, w.spans[0].end)
			w.spans = w.spans[1:]
		}
		out = w.plain(out, max(s.start, w.done))
		if !same || s.start < w.done {
			s.start = w.done
			s.secret = secret.New(w.buf[s.start-w.base : s.end-w.base])
		}
		w.open, w.inKey = false, false
		out = w.replace(out, s.end, w.tag(s.rule, s.secret))
	}
	out = w.plain(out, upTo)
	if len(out) > 0 {
		if _, err := w.o.Out.Write(out); err != nil {
			w.err = fmt.Errorf("passing the redacted text on: %w", err)
		}
	}
}

// replace writes tag for what lies before end.
func (w *Writer) replace(out []byte, end int64, tag string) []byte {
	if w.o.Replaced != nil {
		w.o.Replaced(w.done, end, tag)
	}
	w.done = end
	return append(out, tag...)
}

// tag is the redaction tag of a secret: equal ones have equal tags, and without the
// key nothing of a secret can be told from it, however short. 40 bits keep the
// secrets of a log apart: of 10,000, two have one tag once in 20,000 runs.
// What "redacted" stands in is no secret to any rule for assigned values, so that the
// output is clean when it is scanned.
func (w *Writer) tag(rule string, s secret.Secret) string {
	mac := s.MAC(w.key[:])
	return w.prefix(rule) + hex.EncodeToString(mac[:5]) + "]"
}

// prefix is what a rule's tags begin with. A rule whose name makes them look like a
// secret, as secret-token: does, which is an address, is not named.
func (w *Writer) prefix(rule string) string {
	p, ok := w.names[rule]
	if !ok {
		p = "[quench:" + rule + ":redacted-"
		if len(w.o.Engine.ScanBytes([]byte(p+"0123456789]"))) > 0 {
			p = "[quench:secret:redacted-"
		}
		w.names[rule] = p
	}
	return p
}

var begin, private, endMark = []byte("-----BEGIN "), []byte("PRIVATE KEY"), []byte("-----END ")

// plain writes what is no secret before upTo, but for the body of a private key
// whose end nobody saw.
func (w *Writer) plain(out []byte, upTo int64) []byte {
	for w.done < upTo {
		line := w.buf[w.done-w.base : upTo-w.base]
		if i := bytes.IndexByte(line, '\n'); i >= 0 {
			line = line[:i+1]
		}
		end := w.done + int64(len(line))
		body := bytes.TrimRight(line, "\r\n")
		switch {
		case w.open && isBody(body):
			tag := ""
			if !w.inKey {
				tag = w.tag(Undecided, secret.New(body))
			}
			w.inKey = true
			out = w.replace(out, w.done+int64(len(body)), tag)
			line = line[len(body):]
			if tag == "" {
				out = w.replace(out, end, "")
				continue
			}
		case w.open && len(bytes.TrimSpace(body)) > 0 && !bytes.Contains(body, []byte(": ")):
			w.open, w.inKey = false, false
		}
		if i := bytes.Index(body, begin); i >= 0 && bytes.Contains(body[i:], private) && !bytes.Contains(body[i:], endMark) {
			w.open, w.inKey, w.opened = true, false, w.done
		}
		out = append(out, line...)
		w.done = end
	}
	return out
}

// isBody reports whether a line can be one of a private key: base64 and nothing else.
func isBody(line []byte) bool {
	line = bytes.TrimSpace(line)
	for _, c := range line {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '+' || c == '/' || c == '=') {
			return false
		}
	}
	return len(line) > 0
}

// forget drops what is written and decided.
func (w *Writer) forget() {
	keep := min(w.done, w.safe()) - w.base
	if keep < int64(len(w.buf)/2) || keep <= 0 {
		return
	}
	w.buf = w.buf[:copy(w.buf, w.buf[keep:])]
	w.base += keep
}

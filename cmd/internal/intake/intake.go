// Package intake scans what comes in messages: from the network, a journal, or standard
// input.
//
// Messages of one sender are one text, so that a key which comes line by line is found,
// and those of different senders never are. What is found in messages is delivered, which
// is to say recorded, before Take returns: whoever sent them may forget them then. It
// knows nothing of protocols, nor of what is done about a finding. Start reading at
// Sink.Take.
package intake

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/sources"
)

// Record is one message.
type Record struct {
	// Sender is whose text it goes on with, such as host/program.
	Sender string
	Text   []byte
	// Piece says that Text is the next piece of one long text, to which no line feed is
	// added.
	Piece bool
	// Place is a number that the message has whenever it comes, such as its time, so that
	// what is found in it once more is known; 0 is none.
	Place int64
	// Once says that Text is said again with other messages: it is scanned when it is
	// not what the sender said last.
	Once bool
}

const (
	// maxSenders bounds the senders whose last lines are remembered: those of a site are
	// fewer, and 1,000 of their texts take some 64 MB at worst, when each ends in what
	// may be a private key.
	maxSenders = 1000
	// Quiet is how long a sender must send nothing until halves of credentials wait for
	// the other one no longer, and Gone until nothing else waits for what it sends, either.
	Quiet, Gone = time.Second, time.Minute
)

// Options of New. All but Now and Rules' confidence are required.
type Options struct {
	Engine *scanner.Engine
	// Source is the kind of origin that findings have, such as syslog.
	Source        string
	MinConfidence rules.Confidence
	// Deliver records findings and does what is to be done about them. After an error it
	// is called again with the same findings.
	Deliver func(context.Context, []scanner.Finding) error
	// Pass is given each message, or piece of one, after it was scanned and what was found
	// delivered where that could be; may be nil.
	Pass func(sender string, text []byte)
	// Count hears of each message's size, for metrics; may be nil.
	Count func(bytes, lines int)
	Now   func() time.Time
}

// Sink scans messages. It may be used by many goroutines, one of which works at a time.
type Sink struct {
	o Options

	mu      sync.Mutex
	texts   map[string]*text
	waiting []scanner.Finding // found, and not delivered
	seq     int64             // messages taken
}

// text is what one sender sends.
type text struct {
	sender string
	// run names this text among all, so that what is found at an offset of it is not
	// taken for what was found there in an earlier text of the sender.
	run    string
	engine *scanner.Engine
	stream *scanner.Stream
	// stream begins at base, after lines line feeds: a reload began it.
	base    int64
	lines   int
	pairs   *scanner.Pairs
	found   []scanner.Match
	length  int64
	ended   int      // line feeds before length
	records []record // those that something may still be found in
	last    time.Time
	quiet   bool
	gone    bool
	once    [sha256.Size]byte
}

type record struct {
	at, place, seq int64
}

// New makes a sink.
func New(o Options) *Sink {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.MinConfidence == "" {
		o.MinConfidence = rules.Medium
	}
	return &Sink{o: o, texts: map[string]*text{}}
}

// Take scans messages, in order, and delivers what is found. With whole nothing of them
// waits for what the sender may send next, though what began in them is still found when
// it ends. After an error all of them were scanned, and Settle delivers what was found.
func (s *Sink) Take(ctx context.Context, list []Record, whole bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := map[*text]bool{}
	scanned := list[:0:0]
	for _, r := range list {
		t := s.text(r.Sender)
		s.seq++
		if r.Once {
			sum := sha256.Sum256(r.Text)
			if sum == t.once {
				t.last = s.o.Now()
				continue
			}
			t.once = sum
		}
		scanned = append(scanned, r)
		t.records = append(t.records, record{t.length, r.Place, s.seq})
		s.write(t, r.Text)
		ends := 0
		if !r.Piece {
			s.write(t, []byte{'\n'})
			ends = 1
		}
		if s.o.Count != nil {
			s.o.Count(len(r.Text), bytes.Count(r.Text, []byte{'\n'})+ends)
		}
		t.last, t.quiet, t.gone = s.o.Now(), false, false
		touched[t] = true
	}
	for t := range touched {
		if whole {
			t.stream.Flush()
		}
		s.settle(t, whole)
	}
	err := s.deliver(ctx)
	s.pass(scanned)
	return err
}

// pass gives messages on.
func (s *Sink) pass(list []Record) {
	if s.o.Pass == nil {
		return
	}
	for _, r := range list {
		text := r.Text
		if !r.Piece {
			text = append(slices.Clip(text), '\n')
		}
		s.o.Pass(r.Sender, text)
	}
}

// Set has messages scanned by another engine, each sender's as soon as nothing of its text
// is undecided.
func (s *Sink) Set(e *scanner.Engine, min rules.Confidence) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.o.Engine, s.o.MinConfidence = e, min
}

// write scans what a sender sent. Nothing is undecided at the end of a line, as a rule.
func (s *Sink) write(t *text, b []byte) {
	for len(b) > 0 {
		n := len(b)
		if t.engine != s.o.Engine {
			if t.base+t.stream.Settled() == t.length {
				s.settle(t, true)
				s.start(t)
			} else if i := bytes.IndexByte(b, '\n'); i >= 0 {
				n = i + 1
			}
		}
		t.stream.Write(b[:n])
		t.length += int64(n)
		t.ended += bytes.Count(b[:n], []byte{'\n'})
		b = b[n:]
	}
}

// start begins the stream of a text, where it is.
func (s *Sink) start(t *text) {
	t.engine, t.base, t.lines = s.o.Engine, t.length, t.ended
	t.pairs = t.engine.NewPairs()
	t.stream = t.engine.NewStream(func(m scanner.Match) {
		m.Start, m.End, m.Line, m.EndLine = m.Start+t.base, m.End+t.base, m.Line+t.lines, m.EndLine+t.lines
		t.found = append(t.found, m)
	})
}

// text is that of a sender; where there are too many, the one that has been quiet for
// longest ends.
func (s *Sink) text(sender string) *text {
	if t := s.texts[sender]; t != nil {
		return t
	}
	if len(s.texts) >= maxSenders {
		oldest := slices.MinFunc(slices.Collect(maps.Values(s.texts)), func(a, b *text) int { return a.last.Compare(b.last) })
		s.end(oldest)
	}
	t := &text{sender: sender, run: rand.Text()[:13]}
	s.start(t)
	s.texts[sender] = t
	return t
}

func (s *Sink) end(t *text) {
	t.stream.Close()
	s.settle(t, true)
	delete(s.texts, t.sender)
}

// settle moves what a text has decided to what waits to be delivered.
func (s *Sink) settle(t *text, whole bool) {
	now := s.o.Now()
	var list []scanner.Finding
	for _, m := range t.found {
		h := scanner.Hit{Match: m, FoundAt: now, Origin: sources.Origin{Source: s.o.Source, Root: t.run, Path: t.sender, Time: now}}
		f := scanner.Finding{Hit: h, ID: scanner.FindingID(m.Rule.ID, t.sender, m.Key, m.Context, m.Secret)}
		if f.Token != nil || !t.pairs.Add(f) {
			list = append(list, f)
		}
	}
	t.found = nil
	at, lines := t.stream.SettledAt()
	at, lines = at+t.base, lines+t.lines
	if whole {
		lines = scanner.AllLines
	}
	for _, f := range append(list, t.pairs.Take(lines)...) {
		if f.Token == nil && !f.Confidence.AtLeast(s.o.MinConfidence) {
			continue
		}
		t.locate(&f)
		s.waiting = append(s.waiting, f)
	}
	if t.pairs.First() == nil {
		t.forget(at)
	}
}

// locate gives a finding the place of its message, where that has one.
func (t *text) locate(f *scanner.Finding) {
	for i := len(t.records) - 1; i >= 0; i-- {
		r := t.records[i]
		if r.at > f.Start {
			continue
		}
		if r.place > 0 {
			f.Origin.Root = f.ID // of those with the same number by secret
			f.Start, f.End = r.place+f.Start-r.at, r.place+f.End-r.at
		}
		return
	}
}

// forget drops the messages that end before an offset.
func (t *text) forget(at int64) {
	n := 0
	for n < len(t.records) && (n+1 < len(t.records) && t.records[n+1].at <= at || n+1 == len(t.records) && t.length <= at) {
		n++
	}
	t.records = slices.Delete(t.records, 0, n)
}

func (s *Sink) deliver(ctx context.Context) error {
	if len(s.waiting) == 0 {
		return nil
	}
	if err := s.o.Deliver(ctx, s.waiting); err != nil {
		return fmt.Errorf("recording what was found in %s: %w", s.o.Source, err)
	}
	s.waiting = nil
	return nil
}

// Settle delivers what could not be, and what senders that are quiet left undecided. Call
// it every second.
func (s *Sink) Settle(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.o.Now()
	for _, t := range s.texts {
		switch idle := now.Sub(t.last); {
		case idle >= Gone && !t.gone: // what comes now goes on with it in offset and line alone
			t.gone = true
			t.stream.Close()
			s.settle(t, true)
			s.start(t)
		case idle >= Quiet && !t.quiet:
			t.quiet = true
			t.stream.Flush()
			s.settle(t, true)
		}
	}
	return s.deliver(ctx)
}

// Need is the number, from 1, of the first message that was taken of which something is
// undecided or not delivered, or of the next one.
func (s *Sink) Need() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 {
		return 1 // what it was found in is not known
	}
	first := s.seq + 1
	for _, t := range s.texts {
		if len(t.records) > 0 {
			first = min(first, t.records[0].seq)
		}
	}
	return first
}

// Close decides and delivers the rest.
func (s *Sink) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range slices.Collect(maps.Values(s.texts)) {
		s.end(t)
	}
	return s.deliver(ctx)
}

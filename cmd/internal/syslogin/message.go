package syslogin

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	syslog "github.com/leodido/go-syslog/v4"
	"github.com/leodido/go-syslog/v4/rfc3164"
	"github.com/leodido/go-syslog/v4/rfc5424"

	"github.com/quench-dev/quench/cmd/internal/intake"
)

const (
	// maxPiece is how much of a message is held: more comes in pieces. It is above what
	// UDP can carry.
	maxPiece = 64 << 10
	// maxCount bounds what a message may say its length is: 100 MB. A sender that says
	// more is out of step, and all that follows would be taken for one message.
	maxCount = 100 << 20
	// maxName bounds the name of a sender.
	maxName = 200
)

// parser reads messages of both formats. One goroutine uses it.
type parser struct{ new, old syslog.Machine }

func newParser() *parser {
	return &parser{rfc5424.NewMachine(rfc5424.WithBestEffort()),
		rfc3164.NewMachine(rfc3164.WithBestEffort(), rfc3164.WithRFC3339(), rfc3164.WithLenientDay(), rfc3164.WithEmbeddedNewlines())}
}

// records are what a message says. All of it is in them: a message that is of no format
// is text, and what stands before the text, where it can hold a secret, is a record of
// its own.
func (p *parser) records(b []byte, from string) []intake.Record {
	b = bytes.TrimRight(b, "\r\n\x00")
	if len(b) == 0 {
		return nil
	}
	var base *syslog.Base
	data := false
	if m, _ := p.new.Parse(b); m != nil {
		if m, ok := m.(*rfc5424.SyslogMessage); ok && m.Valid() {
			base, data = &m.Base, m.StructuredData != nil
		}
	}
	if base == nil {
		if m, _ := p.old.Parse(b); m != nil {
			if m, ok := m.(*rfc3164.SyslogMessage); ok && m.Valid() {
				base = &m.Base
			}
		}
	}
	if base == nil {
		return []intake.Record{{Sender: from, Text: b}}
	}
	sender := from
	for _, part := range []*string{base.Hostname, base.Appname} {
		if part != nil {
			sender += "/" + name(*part)
		}
	}
	text := b
	if base.Message != nil && len(*base.Message) > 0 && bytes.HasSuffix(b, []byte(*base.Message)) {
		text = b[len(b)-len(*base.Message):]
	} else if base.Message == nil && data {
		text = nil
	}
	var out []intake.Record
	if head := b[:len(b)-len(text)]; data || len(text) == 0 {
		out = append(out, intake.Record{Sender: sender + " (header)", Text: head})
	}
	if text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")); len(text) > 0 {
		out = append(out, intake.Record{Sender: sender, Text: text})
	}
	return out
}

// name is a part of a sender's name: printable, and no path.
func name(s string) string {
	b := []byte(s[:min(len(s), maxName)])
	for i, c := range b {
		if c <= ' ' || c >= 0x7f || c == '/' {
			b[i] = '_'
		}
	}
	return string(b)
}

var errFrame = errors.New("the sender is out of step: a message says that it is longer than any is")

// frames calls each for the messages of a stream, framed as RFC 6587 has it: by their
// length, or by a line feed or NUL at their end. A long one comes in parts, all but the
// last of which have more.
func frames(r *bufio.Reader, each func(b []byte, more bool) error) error {
	for {
		c, err := r.Peek(1)
		switch {
		case err != nil:
			return err
		case c[0] >= '1' && c[0] <= '9':
			err = counted(r, each)
		default:
			err = ended(r, each)
		}
		if err != nil {
			return err
		}
	}
}

// counted reads "LENGTH SP MESSAGE". A line that begins with a number and is not one is
// read as a line.
func counted(r *bufio.Reader, each func([]byte, bool) error) error {
	n, digits := 0, 0
	for {
		head, err := r.Peek(digits + 1)
		if err != nil && len(head) <= digits {
			return ended(r, each)
		}
		c := head[digits]
		if c == ' ' {
			break
		}
		if c < '0' || c > '9' {
			return ended(r, each)
		}
		if n = n*10 + int(c-'0'); n > maxCount {
			return fmt.Errorf("%w (%d bytes)", errFrame, n)
		}
		digits++
	}
	if _, err := r.Discard(digits + 1); err != nil {
		return err
	}
	for buf := make([]byte, min(n, maxPiece)); n > 0; {
		b := buf[:min(n, maxPiece)]
		m, err := io.ReadFull(r, b)
		n -= m
		if m > 0 {
			if err := each(b[:m], n > 0 && err == nil); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ended(r *bufio.Reader, each func([]byte, bool) error) error {
	b, err := r.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return each(b, true)
	case len(b) > 0:
		for part := range bytes.SplitSeq(bytes.TrimRight(b, "\x00\n"), []byte{0}) {
			if err := each(part, false); err != nil {
				return err
			}
		}
	}
	return err
}

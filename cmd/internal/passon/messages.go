package passon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/quench-dev/quench/scanner/redact"
)

const (
	// maxSenders bounds those whose files are open, each with what it holds; they are as
	// many as intake remembers. gone is when one that is quiet is closed, as there.
	maxSenders = 1000
	gone       = time.Minute
	// maxName bounds the name of a sender's file: file systems take 255 bytes.
	maxName = 150
)

// Messages passes on what comes in messages: the lines of each sender in a file of its
// own, or all on one writer, a line at a time. A nil Messages has none to pass on.
type Messages struct {
	r *runner

	mu     sync.Mutex
	redact redact.Options
	by     map[string]*sender
}

// sender is whose lines are passed on.
type sender struct {
	name string // of its output
	w    *redact.Writer
	out  *output
	last time.Time
	no   error // why they are not
}

// NewMessages passes on to o.Dir, or where that is empty to o.Out. Paths, Format, From and
// State of o are not used. When ctx ends, what waits for a disk is given up.
func NewMessages(ctx context.Context, o Options) (*Messages, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return nil, fmt.Errorf("making the folder of --redact-to: %w", err)
		}
	}
	return &Messages{r: &runner{o: o, ctx: ctx, outputs: map[string]*output{}}, redact: o.Redact, by: map[string]*sender{}}, nil
}

// Write adds to what a sender said by an input, such as syslog, and passes on what is
// decided of it. An error says that nothing more can be passed on.
func (m *Messages) Write(source, from string, b []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, err := m.sender(fileName(source, from))
	if err != nil || s.no != nil {
		return err
	}
	s.last = m.r.o.Now()
	_, err = s.w.Write(b)
	return m.wrote(s, err)
}

// sender is the one with a name. Where there are too many, the one that has been quiet
// for longest is closed. The lock is held.
func (m *Messages) sender(name string) (*sender, error) {
	if s := m.by[name]; s != nil {
		return s, nil
	}
	if len(m.by) >= maxSenders {
		old := slices.MinFunc(slices.Collect(maps.Values(m.by)), func(a, b *sender) int { return a.last.Compare(b.last) })
		if err := m.close(old); err != nil {
			return nil, err
		}
	}
	s := &sender{name: name}
	var err error
	if s.out, err = m.r.output(name); err != nil {
		return nil, err
	}
	m.begin(s, false)
	m.by[name] = s
	return s, nil
}

// begin begins the text of a sender.
func (m *Messages) begin(s *sender, inKey bool) {
	o := m.redact
	o.Out, o.InKey = s.out, inKey
	s.w = redact.New(o)
}

// wrote takes what a redact.Writer said, see runner.wrote.
func (m *Messages) wrote(s *sender, err error) error {
	if errors.Is(err, redact.ErrWide) || errors.Is(err, redact.ErrPacked) {
		s.no = err
		m.r.o.Trouble(s.name, fmt.Errorf("not passed on: %w", err))
		return nil
	}
	return err
}

// Settle passes on what was held for a second, brings files to disk and closes those of
// senders that are quiet. Call it every second.
func (m *Messages) Settle() error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.r.o.Now()
	for _, s := range m.by {
		quiet := now.Sub(s.last)
		switch {
		case quiet >= gone:
			if err := m.close(s); err != nil {
				return err
			}
			continue
		case s.no == nil && quiet >= saveEvery && s.w.Holds():
			if err := m.wrote(s, s.w.Late()); err != nil {
				return err
			}
		}
		if err := s.out.sync(); err != nil {
			m.r.o.Trouble(s.name, err)
		}
	}
	return nil
}

// Restart has what comes redacted in another way: what is held is passed on before. Tags
// are those of another run then.
func (m *Messages) Restart(o redact.Options) error {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.redact = o
	for _, s := range m.by {
		if s.no != nil {
			continue
		}
		if err := m.wrote(s, s.w.Close()); err != nil {
			return err
		}
		m.begin(s, s.w.InKey())
	}
	return nil
}

// close passes on the rest of what a sender said. The lock is held.
func (m *Messages) close(s *sender) (err error) {
	if s.no == nil {
		err = m.wrote(s, s.w.Close())
	}
	delete(m.by, s.name)
	if m.r.o.Dir == "" {
		return err
	}
	delete(m.r.outputs, s.name)
	return errors.Join(err, s.out.sync(), s.out.f.(*os.File).Close())
}

// Close passes on the rest.
func (m *Messages) Close() (err error) {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.by {
		err = errors.Join(err, m.close(s))
	}
	return err
}

// fileName is where a sender's lines are in Dir. Whoever sends gives the name: it is one
// file in the folder of its input, whatever it says.
func fileName(source, from string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '@':
			return r
		}
		return '_'
	}, from)
	if plain := strings.ReplaceAll(from, "/", "_"); plain != name || len(name) > maxName || name == "" || name[0] == '.' {
		// What is written in another way is kept apart from what is written so.
		sum := sha256.Sum256([]byte(from))
		name = "_" + name[:min(len(name), maxName)] + "-" + hex.EncodeToString(sum[:4])
	}
	return source + "/" + name + ".log"
}

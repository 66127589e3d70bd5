package inputs

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Change is what a reload may change.
type Change struct {
	Engine        *scanner.Engine
	Rules         *rules.Set // of Engine
	MinConfidence rules.Confidence
	Policy        revoker.Policy
	Paths         []string // of files, absolute
}

// Check reports what of a change cannot be: it is refused whole then. The files of TLS are
// read by the way; tls says whether they are others.
func (s *Set) Check(c Change) (apply func(), tls bool, err error) {
	if s.f.redactTo != "" && s.f.through == nil && s.f.out == nil {
		if _, err := s.f.passTo(c.Paths); err != nil {
			return nil, false, err
		}
	}
	secured, err := s.f.tls()
	if err != nil {
		return nil, false, err
	}
	if secured != nil {
		old := s.tls.Load()
		tls = !slices.EqualFunc(secured.Certificates[0].Certificate, old.Certificates[0].Certificate, bytes.Equal) || !secured.ClientCAs.Equal(old.ClientCAs)
	}
	return func() {
		if secured != nil {
			s.tls.Store(secured)
		}
		s.reload(c)
	}, tls, nil
}

// reload has what is read next scanned by another engine, and begins anew what reads
// files. Addresses are listened at and the journal is read as before.
func (s *Set) reload(c Change) {
	s.mu.Lock()
	o := s.o
	o.Engine, o.Rules, o.MinConfidence, o.Policy, o.Paths = c.Engine, c.Rules, c.MinConfidence, c.Policy, c.Paths
	// What was begun goes on where it is.
	if o.From == "start" || o.From == "end" {
		o.From = "checkpoint"
	}
	s.o = o
	close(s.changed)
	s.changed = make(chan struct{})
	messages := s.messages
	s.mu.Unlock()
	s.failing(messages.Restart(o.redact()))
	for _, k := range s.sinks {
		k.Set(c.Engine, c.MinConfidence)
	}
	if s.f.through != nil {
		s.f.through.Restart(o.redact())
	}
}

// anew adds what is begun anew by each reload.
func (s *Set) anew(o Options, open func(Options) (run, error)) error {
	now, err := open(o)
	if err != nil {
		return err
	}
	s.mu.Lock()
	changed := s.changed
	s.mu.Unlock()
	s.runs = append(s.runs, func(ctx context.Context) error {
		for {
			inner, stop := context.WithCancel(ctx)
			done := make(chan error, 1)
			go func() { done <- now(inner) }()
			over := false
			select {
			case <-changed:
				stop()
				err = <-done
			case err = <-done:
				// It has read all: until a reload brings more, where that can be.
				if over = true; err == nil && !s.ends {
					select {
					case <-changed:
						over = false
					case <-ctx.Done():
					}
				}
			}
			stop()
			if err != nil || over || ctx.Err() != nil {
				return err
			}
			s.mu.Lock()
			o, changed = s.o, s.changed
			s.mu.Unlock()
			if now, err = open(o); err != nil {
				return fmt.Errorf("after the reload: %w", err)
			}
		}
	})
	return nil
}

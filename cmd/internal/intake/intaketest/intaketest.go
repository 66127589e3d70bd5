// Package intaketest has a sink for the tests of inputs: it keeps what is delivered. It
// knows nothing of any input. Start reading at New.
package intaketest

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/cmd/internal/intake"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Sink keeps what it is given.
type Sink struct {
	*intake.Sink
	Clock time.Time

	mu    sync.Mutex
	found []scanner.Finding
	fail  error
	come  chan struct{}
}

var engine = sync.OnceValues(func() (*scanner.Engine, error) {
	set, err := rules.Builtin()
	if err != nil {
		return nil, err
	}
	return scanner.New(set, scanner.Options{})
})

// New makes a sink for a kind of source, with the built-in rules.
func New(t testing.TB, source string) *Sink {
	t.Helper()
	e, err := engine()
	if err != nil {
		t.Fatal(err)
	}
	s := &Sink{Clock: time.Unix(1.7e9, 0), come: make(chan struct{}, 1)}
	s.Sink = intake.New(intake.Options{Engine: e, Source: source, Deliver: s.deliver, Now: func() time.Time { return s.Clock }})
	return s
}

func (s *Sink) deliver(_ context.Context, list []scanner.Finding) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.found = append(s.found, list...)
	select {
	case s.come <- struct{}{}:
	default:
	}
	return nil
}

// Fail has deliveries fail with err, or no more with nil.
func (s *Sink) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Found takes what was delivered.
func (s *Sink) Found() []scanner.Finding {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.found
	s.found = nil
	return f
}

// Want wants "RULE PATH:LINE" of all that was delivered since it was last asked for.
func (s *Sink) Want(t testing.TB, want ...string) {
	t.Helper()
	var got []string
	for _, f := range s.Found() {
		got = append(got, fmt.Sprintf("%s %s:%d", f.Rule.ID, f.Origin.Path, f.Line))
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// Await waits until so many are delivered, and gives them.
func (s *Sink) Await(t testing.TB, n int) (list []scanner.Finding) {
	t.Helper()
	for {
		list = append(list, s.Found()...)
		if len(list) >= n {
			return list
		}
		select {
		case <-s.come:
		case <-time.After(20 * time.Second):
			t.Fatalf("%d of %d are delivered", len(list), n)
		}
	}
}

// Expand makes a secret of a template.
func Expand(template string, seed uint64) string {
	s, err := rules.Expand(template, seed)
	if err != nil {
		panic(err) // the template is a test's own
	}
	return s
}

// Token is a token that a rule finds.
func Token(seed uint64) string { return Expand("ghp_{30:alnum}{6:crc32}", seed) }

// Key is a private key of some lines.
func Key(seed uint64) string {
	b := "-----BEGIN RSA PRIV" + "ATE KEY-----\n"
	for i := range uint64(6) {
		b += Expand("{64:alnum}", seed+i) + "\n"
	}
	return b + "-----END RSA PRIV" + "ATE KEY-----\n"
}

// Engine is one of one rule, test: a keyword and six digits match its pattern.
func Engine(t testing.TB, pattern, keyword string) *scanner.Engine {
	t.Helper()
	set, err := rules.Parse("test.toml", []byte("provider = \"test\"\nname = \"test\"\n[[rule]]\nid = \"test\"\ndescription = \"d\"\npattern = '"+pattern+"'\nkeywords = [\""+keyword+"\"]\nconfidence = \"high\"\nexamples = ['"+keyword+"{6:digits}']\nnegatives = ['x']\n"))
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

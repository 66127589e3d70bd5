package inputs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// The pool that ants makes at start-up lives as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreCurrent(), goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

func engine(t *testing.T) (*scanner.Engine, *rules.Set) {
	t.Helper()
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return e, set
}

// said is a log that is written and read at the same time.
type said struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Standard input, syslog, OTLP, and files that are passed on are read at the same time,
// through a reload; after the end nothing of it runs, which TestMain sees.
func TestServe(t *testing.T) {
	home := t.TempDir()
	log := filepath.Join(home, "app.log")
	if err := os.WriteFile(log, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var f Flags
	cmd := &cobra.Command{}
	f.Add(cmd.Flags())
	in, write := io.Pipe()
	defer write.Close() // what waits in a read is left alone
	cmd.SetIn(in)
	clean := filepath.Join(home, "clean")
	if err := cmd.ParseFlags([]string{"--syslog", "tcp://127.0.0.1:0", "--otlp", "127.0.0.1:0", "--redact-to", clean}); err != nil {
		t.Fatal(err)
	}
	e, set := engine(t)
	var text said
	s, err := f.Open(cmd, Options{Engine: e, Rules: set, MinConfidence: rules.Medium, Check: func() error { return nil }, Stdin: true, Paths: []string{log},
		From: "checkpoint", State: home, Log: slog.New(slog.NewTextHandler(&text, nil))})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	found, done := make(chan scanner.Finding, 10), make(chan error, 1)
	go func() {
		done <- s.Serve(ctx, func(_ context.Context, list []scanner.Finding) error {
			for _, x := range list {
				found <- x
			}
			return nil
		}, func(string, int, int) {})
	}()
	want := func(source string) {
		t.Helper()
		select {
		case x := <-found:
			if x.Origin.Source != source {
				t.Fatalf("%+v, want one of %s", x.Origin, source)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("nothing is found in %s:\n%s", source, &text)
		}
	}
	_, addr, ok := strings.Cut(text.String(), "address=tcp://")
	if !ok {
		t.Fatal(text.String())
	}
	addr, _, _ = strings.Cut(addr, "\n")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	passed := func(want string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			b, err := os.ReadFile(filepath.Join(clean, log))
			if string(b) == want {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("passed on is %q, want %q: %v\n%s", b, want, err, &text)
			}
		}
	}
	for i := range 2 {
		token, err := rules.Expand("k=ghp_{30:alnum}{6:crc32}", uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintln(write, token)
		want("stdin")
		fmt.Fprintf(c, "<34>Oct 11 22:14:15 web shop[812]: %s\n", token)
		want("syslog")
		passed("hello\n")
		apply, _, err := s.Check(Change{Engine: e, Rules: set, MinConfidence: rules.Medium, Paths: []string{log}})
		if err != nil {
			t.Fatal(err)
		}
		apply()
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

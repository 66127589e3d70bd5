// Package inputs is what quench watch reads besides files: standard input, the journal,
// syslog and OTLP.
//
// It knows the flags and which package has each input, or does what is done with files
// besides: passing them on, and recording uses of tokens. What is found goes to whoever
// called Serve. Start reading at Flags.Open.
package inputs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/quench-dev/quench/cmd/internal/envelope"
	"github.com/quench-dev/quench/cmd/internal/intake"
	"github.com/quench-dev/quench/cmd/internal/journal"
	"github.com/quench-dev/quench/cmd/internal/lockfile"
	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/cmd/internal/otlpin"
	"github.com/quench-dev/quench/cmd/internal/passon"
	"github.com/quench-dev/quench/cmd/internal/syslogin"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/accesslog"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
)

// Flags say what is read.
type Flags struct {
	Format   string // of files and standard input
	syslog   []string
	otlp     string
	journald []string
	remote   bool
	cert     string
	key      string
	clients  string
	beside
}

// Add defines them.
func (f *Flags) Add(fl *pflag.FlagSet) {
	fl.StringVar(&f.Format, "log-format", "auto", "what files and standard input are: "+envelope.Formats+"; or journal, standard input alone: what journalctl --output=json writes")
	fl.StringArrayVar(&f.syslog, "syslog", nil, "listen for syslog at udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT (repeatable)")
	fl.StringVar(&f.otlp, "otlp", "", "receive logs by OTLP over HTTP at HOST:PORT, path /v1/logs")
	fl.StringArrayVar(&f.journald, "journald", nil, "follow the journal of systemd: all, or a unit (repeatable)")
	fl.BoolVar(&f.remote, "listen-remote", false, "let --syslog and --otlp listen where other machines can reach them")
	fl.StringVar(&f.cert, "tls-cert", "", "certificate for syslog over TLS, and for OTLP, which is HTTPS then (PEM)")
	fl.StringVar(&f.key, "tls-key", "", "its private key (PEM)")
	fl.StringVar(&f.redactTo, "redact-to", "", "pass what is read on with its secrets replaced: - for standard output, the report goes to standard error then, or a folder")
	fl.StringVar(&f.accessLog, "access-log", "", "the files are access logs of this format, whose uses of tokens are recorded besides: auto, "+strings.Join(accesslog.Formats, ", "))
	fl.StringVar(&f.accessToken, "access-token", "", "where an access log names the token, as usage ingest --token has it")
	fl.StringVar(&f.clients, "tls-client-ca", "", "accept only clients with a certificate of these authorities (PEM)")
}

// Options of Open. Registry may be nil.
type Options struct {
	Engine        *scanner.Engine
	Rules         *rules.Set // of Engine
	MinConfidence rules.Confidence
	// Check says what keeps the engine from seeing everything.
	Check    func() error
	Registry *registry.Registry
	Policy   revoker.Policy
	Stdin    bool     // read it
	Paths    []string // of files, absolute
	// From is where files and the journal are read from, as --from has it.
	From string
	// State is the folder of the journal's cursor.
	State string
	Log   *slog.Logger
	// Metrics may be nil.
	Metrics *metrics.Watch

	notes io.Writer
}

// trouble logs what goes wrong and is gone on after, and with nil that it is over.
func (s *Set) trouble(what string, err error) {
	if err == nil {
		s.log.Info("it works again", "input", what)
		return
	}
	s.log.Warn(err.Error(), "input", what)
}

// Any reports whether anything but files and standard input is read.
func (f *Flags) Any() bool { return len(f.syslog)+len(f.journald) > 0 || f.otlp != "" }

// Files is what files are.
func (f *Flags) Files() string {
	if f.Format == "journal" {
		return "auto"
	}
	return f.Format
}

// Set is what is read.
type Set struct {
	f     Flags
	sinks map[string]*intake.Sink
	runs  []func(context.Context) error
	ends  bool // with its input: there is nothing but standard input
	tls   atomic.Pointer[tls.Config]
	log   *slog.Logger
	in    io.Reader // standard input

	locks    []*lockfile.Lock
	messages *passon.Messages // nil where none are passed on
	failed   chan error       // what ends Serve

	mu      sync.Mutex
	o       Options
	changed chan struct{} // closed by a reload, and another made
	deliver func(context.Context, []scanner.Finding) error
	count   func(input string, bytes, lines int) // of Serve
}

// Open opens what the flags say.
func (f *Flags) Open(cmd *cobra.Command, o Options) (*Set, error) {
	o.notes = cmd.ErrOrStderr()
	s := &Set{in: cmd.InOrStdin(), f: *f, o: o, log: o.Log, sinks: map[string]*intake.Sink{}, changed: make(chan struct{}), failed: make(chan error, 1)}
	if f.Format != "journal" {
		if _, err := envelope.NewText(f.Format, 0, 0); err != nil {
			return nil, fmt.Errorf("%w, journal", err)
		}
	} else if !o.Stdin {
		return nil, errors.New("--log-format journal is of standard input: read the journal itself by --journald")
	}
	secured, err := s.secure()
	if err != nil {
		return nil, err
	}
	if err := s.lock(); err != nil {
		return nil, err
	}
	if err := s.beside(); err != nil {
		return nil, err
	}
	if o.Stdin {
		s.ends = !f.Any()
		sink := s.sink("stdin")
		s.runs = append(s.runs, func(ctx context.Context) error { return s.stdin(ctx, sink) })
	}
	if len(f.journald) > 0 {
		units := f.journald
		if len(units) == 1 && units[0] == "all" {
			units = nil
		}
		jo := journal.Options{Units: units, From: o.From, State: filepath.Join(o.State, "journal-cursor"), Sink: s.sink("journald"), Trouble: s.trouble, Program: "journalctl"}
		s.runs = append(s.runs, func(ctx context.Context) error { return journal.Follow(ctx, jo) })
	}
	if len(f.syslog) > 0 {
		l, err := syslogin.Listen(syslogin.Options{Addresses: f.syslog, Remote: f.remote, TLS: secured, Sink: s.sink("syslog"), Trouble: s.trouble, Dropped: o.Metrics.Dropped})
		if err != nil {
			return nil, err
		}
		for _, a := range l.Addrs {
			o.Log.Info("listening", "input", "syslog", "address", a.Network()+"://"+a.String())
		}
		s.runs = append(s.runs, l.Serve)
	}
	if f.otlp != "" {
		l, err := otlpin.Listen(otlpin.Options{Address: f.otlp, Remote: f.remote, TLS: secured, Sink: s.sink("otlp"), Trouble: s.trouble})
		if err != nil {
			return nil, err
		}
		o.Log.Info("listening", "input", "otlp", "address", l.Addr().String())
		s.runs = append(s.runs, l.Serve)
	}
	return s, nil
}

// secure is the configuration of TLS, nil for none: of its files as they were last read.
func (s *Set) secure() (*tls.Config, error) {
	c, err := s.f.tls()
	if c == nil || err != nil {
		return nil, err
	}
	s.tls.Store(c)
	outer := c.Clone()
	outer.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
		c := s.tls.Load()
		if slices.Contains(h.SupportedProtos, "h2") { // which OTLP has
			c = c.Clone()
			c.NextProtos = []string{"h2", "http/1.1"}
		}
		return c, nil
	}
	return outer, nil
}

func (f *Flags) tls() (*tls.Config, error) {
	if f.cert == "" && f.key == "" {
		if f.clients != "" {
			return nil, errors.New("--tls-client-ca needs --tls-cert and --tls-key")
		}
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(f.cert, f.key)
	if err != nil {
		return nil, fmt.Errorf("reading --tls-cert and --tls-key: %w", err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if f.clients == "" {
		return c, nil
	}
	pem, err := os.ReadFile(f.clients)
	if err != nil {
		return nil, fmt.Errorf("reading --tls-client-ca: %w", err)
	}
	c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
	if !c.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("--tls-client-ca %q holds no certificate", f.clients)
	}
	return c, nil
}

func (s *Set) sink(source string) *intake.Sink {
	k := intake.New(intake.Options{Engine: s.o.Engine, Source: source, MinConfidence: s.o.MinConfidence,
		Deliver: func(ctx context.Context, list []scanner.Finding) error {
			s.mu.Lock()
			deliver := s.deliver
			s.mu.Unlock()
			return deliver(ctx, list)
		},
		Count: func(bytes, lines int) { s.count(source, bytes, lines) }, Pass: s.passer(source)})
	s.sinks[source] = k
	return k
}

// Serve reads until ctx ends, or standard input does and there is nothing else. deliver
// records findings and does what is to be done about them, and count hears of what is
// read, by the kind of input.
func (s *Set) Serve(ctx context.Context, deliver func(context.Context, []scanner.Finding) error, count func(input string, bytes, lines int)) error {
	s.mu.Lock()
	s.deliver, s.count = deliver, count
	s.mu.Unlock()
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := s.openMessages(inner); err != nil {
		return err
	}
	done := make(chan error, len(s.runs))
	for _, run := range s.runs {
		go func() { done <- run(inner) }()
	}
	tick := time.NewTicker(intake.Quiet)
	defer tick.Stop()
	var errs error
	for left := len(s.runs); left > 0; {
		select {
		case err := <-done:
			left--
			if errs = errors.Join(errs, err); err != nil {
				cancel()
			}
		case err := <-s.failed:
			errs = errors.Join(errs, err)
			cancel()
		case <-tick.C:
			s.settle(inner)
			s.failing(s.messages.Settle())
		}
	}
	if !s.ends {
		<-inner.Done()
	}
	errs = errors.Join(errs, s.f.through.Close())
	for source, k := range s.sinks {
		if err := k.Close(context.WithoutCancel(ctx)); err != nil {
			errs = errors.Join(errs, fmt.Errorf("what %s said last: %w", source, err))
		}
	}
	errs = errors.Join(errs, s.messages.Close())
	for _, l := range s.locks {
		errs = errors.Join(errs, l.Close())
	}
	return errs
}

// settle decides what quiet senders left, and records what could not be.
func (s *Set) settle(ctx context.Context) {
	for source, k := range s.sinks {
		if err := k.Settle(ctx); err != nil {
			s.trouble(source, err)
		}
	}
}

// stdin reads standard input to its end. A read that waits when ctx ends is left alone.
func (s *Set) stdin(ctx context.Context, sink *intake.Sink) error {
	if s.f.Format == "journal" {
		in, stop := io.Pipe()
		go func() {
			_, err := io.Copy(stop, s.in)
			stop.CloseWithError(err)
		}()
		context.AfterFunc(ctx, func() { in.CloseWithError(ctx.Err()) })
		err := journal.Read(ctx, in, journal.Options{Sink: sink, Trouble: s.trouble})
		return ended(ctx, err)
	}
	text, err := envelope.NewText(s.f.Format, 0, 0)
	if err != nil {
		return err
	}
	type piece struct {
		b   []byte
		err error
	}
	pieces := make(chan piece)
	go func() {
		for {
			b := make([]byte, 128<<10)
			n, err := s.in.Read(b)
			select {
			case pieces <- piece{b[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	give := func(b []byte) error {
		text.Forget(text.Given())
		if len(b) == 0 {
			return nil
		}
		return sink.Persist(ctx, []intake.Record{{Sender: "stdin", Text: b, Piece: true}}, func(err error) { s.trouble("standard input", err) })
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case p := <-pieces:
			if err := give(text.Write(p.b)); err != nil {
				return ended(ctx, err)
			}
			if p.err == io.EOF {
				return ended(ctx, give(text.Close()))
			}
			if p.err != nil {
				return fmt.Errorf("reading standard input: %w", p.err)
			}
		case <-time.After(intake.Quiet):
			if err := give(text.Quiet()); err != nil {
				return ended(ctx, err)
			}
		}
	}
}

// ended takes the end of ctx for none.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

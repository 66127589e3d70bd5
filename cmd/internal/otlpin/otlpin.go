// Package otlpin receives logs by OTLP over HTTP, as protobuf and JSON.
//
// It knows the protocol, whose messages are a library's, and hands records to an
// intake.Sink. A request is answered when what was found in it is recorded: until then the
// sender keeps it, and sends it again after 503. Whoever sends is a stranger: sizes,
// ratios, depths, times and requests at once are bounded. Start reading at Listen.
package otlpin

import (
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/quench-dev/quench/cmd/internal/intake"
)

const (
	// maxBody bounds a request, unpacked: the collector sends 8,192 records at once by
	// default, some 8 MB.
	maxBody = 32 << 20
	// maxRatio bounds how much gzip may unpack to for each byte: JSON of logs that are
	// all alike comes to some 100, a bomb to 1,000. slack is let through in any case.
	maxRatio, slack = 300, 1 << 20
	// maxAtOnce bounds the requests that are held in memory: one is scanned at a time.
	maxAtOnce = 8
	// retryAfter is when a sender that was refused may try again, in seconds.
	retryAfter = 5
	// readTime bounds how long a request may take to come.
	readTime = time.Minute
	idleTime = 2 * time.Minute
	// endTime bounds how long requests that are at work have at the end.
	endTime = 5 * time.Second
)

// Codes of google.rpc.Code.
const (
	invalidArgument   = 3
	resourceExhausted = 8
	unavailable       = 14
)

// Options of Listen.
type Options struct {
	Address string // HOST:PORT
	// Remote allows an address that other machines can reach.
	Remote bool
	// TLS is nil for plain HTTP.
	TLS  *tls.Config
	Sink *intake.Sink
	// Trouble hears of what goes wrong, and may be nil.
	Trouble func(what string, err error)
}

// Server receives logs.
type Server struct {
	o     Options
	l     net.Listener
	slots chan struct{}
}

// Listen opens the socket. Nothing is answered before Serve.
func Listen(o Options) (*Server, error) {
	if err := intake.CheckAddress(o.Address, o.Remote); err != nil {
		return nil, fmt.Errorf("--otlp %w", err)
	}
	l, err := net.Listen("tcp", o.Address)
	if err != nil {
		return nil, fmt.Errorf("listening for OTLP: %w", err)
	}
	if o.TLS != nil {
		c := o.TLS.Clone()
		c.NextProtos = []string{"h2", "http/1.1"}
		l = tls.NewListener(l, c)
	}
	return &Server{o: o, l: l, slots: make(chan struct{}, maxAtOnce)}, nil
}

// Addr is where it listens.
func (s *Server) Addr() net.Addr { return s.l.Addr() }

// Serve answers until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context) error {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/logs", s.logs)
	h := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: readTime, WriteTimeout: 2 * readTime, IdleTimeout: idleTime, MaxHeaderBytes: 64 << 10,
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) }}
	done := make(chan error, 1)
	go func() { done <- h.Serve(s.l) }()
	select {
	case err := <-done:
		return fmt.Errorf("receiving OTLP: %w", err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), endTime)
	defer cancel()
	if err := h.Shutdown(end); err != nil {
		h.Close()
	}
	<-done
	return nil
}

// refusal is an answer that is an error.
type refusal struct {
	status int
	code   int32
	err    error
}

func (s *Server) logs(w http.ResponseWriter, r *http.Request) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	asJSON := kind == "application/json"
	rejected, no, reason := s.receive(r, kind)
	if !asJSON {
		kind = "application/x-protobuf"
	}
	w.Header().Set("Content-Type", kind)
	if no != nil {
		if no.status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		}
		w.WriteHeader(no.status)
		w.Write(status(no.code, no.err.Error(), asJSON))
		return
	}
	w.Write(answer(rejected, reason, asJSON))
}

func (s *Server) receive(r *http.Request, kind string) (rejected int64, no *refusal, reason error) {
	if kind != "application/json" && kind != "application/x-protobuf" {
		return 0, &refusal{http.StatusUnsupportedMediaType, invalidArgument, errors.New("want a body of application/x-protobuf or application/json")}, nil
	}
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		return 0, &refusal{http.StatusServiceUnavailable, unavailable, fmt.Errorf("%d requests are at work", maxAtOnce)}, nil
	}
	// What could not be recorded comes first: while it cannot, nothing more is scanned.
	if err := s.o.Sink.Settle(r.Context()); err != nil {
		return 0, s.away(err), nil
	}
	body, no := read(r)
	if no != nil {
		return 0, no, nil
	}
	d, err := decode(body, kind == "application/json")
	if err != nil {
		return 0, &refusal{http.StatusBadRequest, invalidArgument, err}, nil
	}
	list, rejected, reason := records(d)
	if rejected > 0 && s.o.Trouble != nil {
		s.o.Trouble("OTLP", fmt.Errorf("%d log records were rejected: %w", rejected, reason))
	}
	if err := s.o.Sink.Take(r.Context(), list, true); err != nil {
		return 0, s.away(err), nil
	}
	return rejected, nil, reason
}

// away refuses what cannot be recorded. Why is told here and not to the sender.
func (s *Server) away(err error) *refusal {
	if s.o.Trouble != nil {
		s.o.Trouble("OTLP", fmt.Errorf("senders are told to wait: %w", err))
	}
	return &refusal{http.StatusServiceUnavailable, unavailable, errors.New("what is found cannot be recorded now")}
}

// read reads the body, unpacked.
func read(r *http.Request) ([]byte, *refusal) {
	tooLong := &refusal{http.StatusRequestEntityTooLarge, resourceExhausted, fmt.Errorf("the body is longer than %d bytes", maxBody)}
	in := &counting{r: io.LimitReader(r.Body, maxBody+1)}
	var from io.Reader = in
	switch r.Header.Get("Content-Encoding") {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, &refusal{http.StatusBadRequest, invalidArgument, errors.New("the body is no gzip")}
		}
		from = z
	default:
		return nil, &refusal{http.StatusUnsupportedMediaType, invalidArgument, errors.New("the body may be packed by gzip, and by nothing else")}
	}
	var body []byte
	for chunk := make([]byte, 64<<10); ; {
		n, err := from.Read(chunk)
		body = append(body, chunk[:n]...)
		switch {
		case len(body) > maxBody || in.n > maxBody:
			return nil, tooLong
		case from != io.Reader(in) && int64(len(body)) > slack+maxRatio*in.n:
			return nil, &refusal{http.StatusBadRequest, invalidArgument, fmt.Errorf("the body unpacks to more than %d times its length", maxRatio)}
		case err == io.EOF:
			return body, nil
		case err != nil:
			return nil, &refusal{http.StatusBadRequest, invalidArgument, errors.New("the body ends too early or is damaged")}
		}
	}
}

// counting counts what is read of a packed body.
type counting struct {
	r io.Reader
	n int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

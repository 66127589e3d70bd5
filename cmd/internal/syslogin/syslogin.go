// Package syslogin listens for syslog: RFC 3164 and 5424 over UDP, TCP and TLS.
//
// It knows sockets, framing and the two formats, whose parsers are a library's, and hands
// messages to an intake.Sink. Whoever sends is a stranger: messages, connections and
// silence are bounded. Syslog has no acknowledgement: what was received and not yet
// recorded when the process is killed is lost, and UDP loses what nobody reads in time,
// of which the kernel tells. Start reading at Listen.
package syslogin

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"sync"
	"time"

	"github.com/quench-dev/quench/cmd/internal/intake"
)

const (
	// maxConns bounds the connections: each has a buffer of 64 KB and a goroutine.
	maxConns = 1000
	// idleTime is after how long without a message a connection is closed: senders keep
	// theirs open, and connect again when they have something to say.
	idleTime = 10 * time.Minute
	// shakeTime bounds the handshake of TLS.
	shakeTime = 10 * time.Second
	// udpBuffer is what the kernel is asked to hold of UDP while nobody reads: a second
	// of 4 MB/s.
	udpBuffer = 4 << 20
	// tellEvery is how often it is told at most what the kernel dropped, which with each
	// message that is read may be some more.
	tellEvery = 10 * time.Second
)

// Options of Listen.
type Options struct {
	// Addresses are where to listen: udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT.
	Addresses []string
	// Remote allows addresses that other machines can reach.
	Remote bool
	// TLS is for tls addresses.
	TLS  *tls.Config
	Sink *intake.Sink
	// Trouble hears of what goes wrong, each kind once until it changes.
	Trouble func(what string, err error)
	// Dropped hears how many messages the kernel dropped, for metrics; may be nil.
	Dropped func(n uint32)
}

// Server listens.
type Server struct {
	o     Options
	udp   []*net.UDPConn
	tcp   []net.Listener
	Addrs []net.Addr

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Listen opens the sockets. Nothing is read before Serve.
func Listen(o Options) (*Server, error) {
	s := &Server{o: o, conns: map[net.Conn]bool{}}
	for _, a := range o.Addresses {
		if err := s.listen(a); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

func (s *Server) listen(a string) error {
	u, err := url.Parse(a)
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil {
		return fmt.Errorf("--syslog %q: want udp://HOST:PORT, tcp://HOST:PORT or tls://HOST:PORT", a)
	}
	if err := intake.CheckAddress(u.Host, s.o.Remote); err != nil {
		return fmt.Errorf("--syslog %w", err)
	}
	switch u.Scheme {
	case "udp":
		addr, err := net.ResolveUDPAddr("udp", u.Host)
		if err != nil {
			return fmt.Errorf("--syslog %q: %w", a, err)
		}
		c, err := net.ListenUDP("udp", addr)
		if err != nil {
			return fmt.Errorf("listening for syslog: %w", err)
		}
		s.udp, s.Addrs = append(s.udp, c), append(s.Addrs, c.LocalAddr())
		c.SetReadBuffer(udpBuffer) // what the system allows
		tellDrops(c)
		return nil
	case "tcp", "tls":
		if u.Scheme == "tls" && s.o.TLS == nil {
			return fmt.Errorf("--syslog %q needs --tls-cert and --tls-key", a)
		}
		l, err := net.Listen("tcp", u.Host)
		if err != nil {
			return fmt.Errorf("listening for syslog: %w", err)
		}
		if u.Scheme == "tls" {
			l = tls.NewListener(l, s.o.TLS)
		}
		s.tcp, s.Addrs = append(s.tcp, l), append(s.Addrs, l.Addr())
		return nil
	}
	return fmt.Errorf("--syslog %q: want udp, tcp or tls before ://", a)
}

func (s *Server) close() {
	for _, c := range s.udp {
		c.Close()
	}
	for _, l := range s.tcp {
		l.Close()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
	}
}

// Serve reads messages until ctx ends, which is no error.
func (s *Server) Serve(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var wg sync.WaitGroup
	var mu sync.Mutex
	var errs error
	run := func(f func() error) {
		wg.Go(func() {
			if err := f(); err != nil && ctx.Err() == nil {
				mu.Lock()
				errs = errors.Join(errs, err)
				mu.Unlock()
				cancel()
			}
		})
	}
	for _, c := range s.udp {
		run(func() error { return s.serveUDP(ctx, c) })
	}
	for _, l := range s.tcp {
		run(func() error { return s.serveTCP(ctx, l, &wg) })
	}
	<-ctx.Done()
	s.close()
	wg.Wait()
	return errs
}

func (s *Server) trouble(what string, err error) {
	if s.o.Trouble != nil {
		s.o.Trouble(what, err)
	}
}

func (s *Server) serveUDP(ctx context.Context, c *net.UDPConn) error {
	p := newParser()
	buf, oob := make([]byte, maxPiece), make([]byte, 128)
	lost, told := uint32(0), uint32(0)
	var last time.Time
	tell := func() {
		if lost != told {
			s.trouble("syslog over UDP", fmt.Errorf("the kernel dropped %d messages that came faster than they are read; TCP loses none", lost-told))
			told, last = lost, time.Now()
		}
	}
	defer func() { tell() }()
	for {
		n, m, _, from, err := c.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("reading syslog: %w", err)
			}
			s.trouble("syslog over UDP", err)
			continue
		}
		if d, ok := drops(oob[:m]); ok && d != lost {
			if s.o.Dropped != nil {
				s.o.Dropped(d - lost)
			}
			lost = d
		}
		if time.Since(last) >= tellEvery {
			tell()
		}
		if err := s.take(ctx, p.records(buf[:n], from.Addr().Unmap().String())); err != nil {
			return nil // ctx has ended
		}
	}
}

// take has messages recorded, however long that takes. Its error is that ctx has ended.
func (s *Server) take(ctx context.Context, list []intake.Record) error {
	return s.o.Sink.Persist(ctx, list, func(err error) { s.trouble("syslog", err) })
}

func (s *Server) serveTCP(ctx context.Context, l net.Listener, wg *sync.WaitGroup) error {
	for {
		c, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return fmt.Errorf("accepting syslog: %w", err)
			}
			s.trouble("syslog over TCP", err)
			select {
			case <-ctx.Done():
			case <-time.After(intake.Retry): // such as when descriptors run out
			}
			continue
		}
		s.mu.Lock()
		full := len(s.conns) >= maxConns || ctx.Err() != nil
		if !full {
			s.conns[c] = true
		}
		s.mu.Unlock()
		if full {
			c.Close()
			s.trouble("syslog over TCP", fmt.Errorf("more than %d connections: further ones are closed", maxConns))
			continue
		}
		wg.Go(func() {
			if err := s.serveConn(ctx, c); err != nil && ctx.Err() == nil {
				s.trouble("syslog from "+host(c), err)
			}
			c.Close()
			s.mu.Lock()
			delete(s.conns, c)
			s.mu.Unlock()
		})
	}
}

func host(c net.Conn) string {
	h, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return c.RemoteAddr().String()
	}
	return h
}

// serveConn reads the messages of one connection to its end.
func (s *Server) serveConn(ctx context.Context, c net.Conn) error {
	if t, ok := c.(*tls.Conn); ok {
		shake, cancel := context.WithTimeout(ctx, shakeTime)
		err := t.HandshakeContext(shake)
		cancel()
		if err != nil {
			return fmt.Errorf("the handshake of TLS: %w", err)
		}
	}
	p, from := newParser(), host(c)
	long := ""
	err := frames(bufio.NewReaderSize(deadline{c}, maxPiece), func(b []byte, more bool) error {
		if long != "" { // it goes on
			r := intake.Record{Sender: long, Text: b, Piece: more}
			if !more {
				long = ""
			}
			return s.take(ctx, []intake.Record{r})
		}
		list := p.records(b, from)
		if more && len(list) > 0 {
			last := &list[len(list)-1]
			last.Piece, long = true, last.Sender
		}
		return s.take(ctx, list)
	})
	var late net.Error
	if errors.Is(err, io.EOF) || errors.As(err, &late) && late.Timeout() {
		return nil
	}
	return err
}

// deadline has a connection that says nothing for idleTime end.
type deadline struct{ net.Conn }

func (d deadline) Read(b []byte) (int, error) {
	d.SetReadDeadline(time.Now().Add(idleTime))
	return d.Conn.Read(b)
}

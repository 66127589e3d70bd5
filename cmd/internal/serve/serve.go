// Package serve is the HTTP service of the registry: quench serve.
//
// It knows sockets, limits and who may ask; what a token is worth is decided by
// package registry, and that a caller may ask by registry/httpauth. It is given how
// a registry is opened and closed. No secret reaches its log. Start reading at New,
// then api.go.
package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/quench-dev/quench/cmd/internal/input"
	"github.com/quench-dev/quench/cmd/internal/metrics"
	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/bound"
	"github.com/quench-dev/quench/registry/httpauth"
)

// Env is what the command is given.
type Env struct {
	Version string // of the build
	Open    func(*cobra.Command) (*registry.Registry, error)
	Close   func(*registry.Registry, *error)
	// Beside runs work, and what a registry needs done as time goes by beside it; nil
	// is work alone. It gives work further handlers, by pattern of http.ServeMux.
	Beside func(cmd *cobra.Command, r *registry.Registry, log *slog.Logger, work func(more map[string]http.Handler) error) error
}

const (
	// defaultListen is a port of loopback that no other service is registered for.
	defaultListen = "127.0.0.1:8731"
	// headerTimeout and readTimeout are for a question of a few kilobytes; a client
	// that takes longer holds a connection for nothing.
	headerTimeout, readTimeout = 5 * time.Second, 10 * time.Second
	// writeTimeout is longer than the registry waits for a lock, so that its error
	// is told.
	writeTimeout = 30 * time.Second
	idleTimeout  = 2 * time.Minute
	// stopTimeout is for requests under way when the service is stopped.
	stopTimeout = 10 * time.Second
	// maxHeader is a caller's token and what proxies add, many times.
	maxHeader = 16 << 10
)

// options are the flags.
type options struct {
	listen, socket, cert, key string
	plain                     bool
	proxies                   []string
	country                   string
	metrics                   metrics.Flags
}

// New makes the command.
func New(e Env) *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Serve the registry over HTTP: POST /v1/verify",
		Long: `Serve answers other programs whether a token is good, and for what: POST
/v1/verify, with GET /healthz (it runs) and GET /readyz (it can answer). It is
described at /openapi.json.

A caller shows a token of this registry with the scope verify:registry as a
bearer token; over --socket, whose file only its owner may open, none. It
listens on loopback; other addresses need --tls-cert and --tls-key, or
--plain-http where something in front of it encrypts.

It runs until interrupted, ends requests under way, and writes down the uses
that wait for that. Meanwhile it warns of deadlines as token sweep does,
delivers alerts, and signs a checkpoint of the audit log every ten minutes.`,
		Example: `  quench token issue --owner web --purpose "asks about tokens" --scope verify:registry
  quench serve
  quench serve --listen 10.0.0.5:8731 --tls-cert cert.pem --tls-key key.pem`,
		Args: input.NoValue("serve", 0),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if err := o.check(); err != nil {
				return err
			}
			r, err := e.Open(cmd)
			if err != nil {
				return err
			}
			defer e.Close(r, &err)
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			stop, err := o.metrics.Start(e.Version, log, func(s *metrics.Set) { s.Incidents(r, log) })
			if err != nil {
				return err
			}
			defer stop(&err)
			work := func(more map[string]http.Handler) error { return o.run(cmd.Context(), r, log, more) }
			if e.Beside == nil {
				return work(nil)
			}
			return e.Beside(cmd, r, log, work)
		},
	}
	f := cmd.Flags()
	o.metrics.Add(f)
	f.StringVar(&o.listen, "listen", defaultListen, "address and port to listen on")
	f.StringVar(&o.socket, "socket", "", "listen on this Unix socket instead")
	f.StringVar(&o.cert, "tls-cert", "", "certificate, with its chain, in PEM")
	f.StringVar(&o.key, "tls-key", "", "its private key, in PEM")
	f.BoolVar(&o.plain, "plain-http", false, "listen beyond loopback without TLS")
	f.StringArrayVar(&o.proxies, "proxy", nil, "network of proxies whose X-Forwarded-For is believed, CIDR; repeat for more")
	f.StringVar(&o.country, "country-header", "", "header in which those proxies tell a caller's country")
	cmd.MarkFlagsMutuallyExclusive("listen", "socket")
	cmd.MarkFlagsRequiredTogether("tls-cert", "tls-key")
	return cmd
}

// check refuses to send tokens in clear text over a network.
func (o *options) check() error {
	if o.socket != "" {
		if o.cert != "" {
			return errors.New("--socket and --tls-cert: a socket is of this machine and needs no TLS")
		}
		return nil
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return fmt.Errorf("--listen %q: it is address:port, such as %s", o.listen, defaultListen)
	}
	a, err := netip.ParseAddr(host)
	local := err == nil && a.IsLoopback()
	if !local && o.cert == "" && !o.plain {
		return fmt.Errorf("--listen %q is not a loopback address, and tokens would cross the network in clear text; give --tls-cert and --tls-key, or --plain-http where something in front of it encrypts", o.listen)
	}
	return nil
}

// run serves until ctx ends.
func (o *options) run(ctx context.Context, r *registry.Registry, log *slog.Logger, more map[string]http.Handler) error {
	h, err := o.handler(r, log, more)
	if err != nil {
		return err
	}
	l, err := o.open()
	if err != nil {
		return fmt.Errorf("listening: %w", err)
	}
	srv := &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout, ReadTimeout: readTimeout, WriteTimeout: writeTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	log.Info("listening", "address", l.Addr().String(), "tls", o.cert != "")
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	err = srv.Shutdown(stop)
	if err != nil { // some did not end in time
		err = errors.Join(fmt.Errorf("stopping: %w", err), srv.Close())
	}
	if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	log.Info("stopped")
	return err
}

// open opens the listener.
func (o *options) open() (net.Listener, error) {
	if o.socket != "" {
		return openSocket(o.socket)
	}
	l, err := net.Listen("tcp", o.listen)
	if err != nil || o.cert == "" {
		return l, err
	}
	pair, err := tls.LoadX509KeyPair(o.cert, o.key)
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}}), nil
}

// openSocket listens on a socket that only its owner may open. One that a killed
// process left behind is replaced, one that somebody listens on is not.
func openSocket(path string) (net.Listener, error) {
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("%q exists and is no socket", path)
		}
		c, err := net.Dial("unix", path)
		if err == nil {
			c.Close()
			return nil, fmt.Errorf("somebody listens on %q already", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// clients is how the address of a caller is found.
func (o *options) clients() (httpauth.ClientOptions, error) {
	c := httpauth.ClientOptions{CountryHeader: o.country}
	for _, s := range o.proxies {
		p, err := bound.Network(s)
		if err != nil {
			return c, fmt.Errorf("--proxy: %w", err)
		}
		c.Proxies = append(c.Proxies, p)
	}
	return c, nil
}

// Package metrics shows what a process that lives does, to Prometheus.
//
// A Set holds collectors and answers GET /metrics, on loopback unless that is asked
// for otherwise. What is counted is told by those who do it: Watch for followed logs,
// others by collectors of their own, which they give to Register. Labels are rules,
// confidences, reasons and a bounded number of file names: never a secret, never what
// names a token. Every metric stands in docs/metrics.md, which a test holds against
// the code. Start reading at New and Flags.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/spf13/pflag"
)

// Set is the metrics of one process.
type Set struct{ reg *prometheus.Registry }

// New makes a set that holds what is the same for every process: the build, the Go
// runtime, and what the system knows of the process.
func New(version string) *Set {
	s := &Set{prometheus.NewRegistry()}
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "quench_build_info", Help: "The build that runs; always 1.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()}})
	build.Set(1)
	s.Register(build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return s
}

// Register adds collectors. It panics on two metrics of one name, which is a mistake in
// the program.
func (s *Set) Register(cs ...prometheus.Collector) {
	s.reg.MustRegister(cs...)
}

// KillBuckets are the upper bounds, in seconds, of histograms of the time that it takes
// until a leaked token is dead: from a database on the same machine, a few milliseconds,
// to a provider that is asked again for hours.
var KillBuckets = []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 15, 60, 300, 1800, 7200}

// Handler answers GET /metrics. Where only is set, it answers those alone who asked for
// a loopback address, so that no page in a browser on this machine can read it under a
// name of its own that leads here.
func (s *Set) Handler(only bool, log *slog.Logger) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.reg, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn), ErrorHandling: promhttp.ContinueOnError,
		// A scrape is a walk over the counters; more at once than a server and its twin
		// make is somebody who holds the process up.
		MaxRequestsInFlight: 4,
	}))
	if !only {
		return mux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !localHost(r.Host) {
			http.Error(w, "ask for a loopback address", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

// localHost reports whether a Host header names this machine.
func localHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.Trim(host, "[]")
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Flags are the flags of a command that shows metrics.
type Flags struct {
	addr   string
	public bool
}

// Add adds them.
func (f *Flags) Add(fl *pflag.FlagSet) {
	fl.StringVar(&f.addr, "metrics", "", "show metrics to Prometheus at http://ADDR/metrics; a port alone is one of 127.0.0.1")
	fl.BoolVar(&f.public, "metrics-public", false, "show them beyond loopback too, to whoever reaches the address")
}

// address checks the address and completes it.
func (f *Flags) address() (addr string, local bool, err error) {
	host, port, err := net.SplitHostPort(f.addr)
	if err != nil {
		host, port = "", f.addr
	}
	if n, err := net.LookupPort("tcp", port); err != nil || n < 0 {
		return "", false, fmt.Errorf("--metrics %q: want ADDRESS:PORT, or a port of 127.0.0.1", f.addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	a, err := netip.ParseAddr(host)
	if err != nil {
		return "", false, fmt.Errorf("--metrics %q: %q is not an IP address", f.addr, host)
	}
	if local = a.IsLoopback(); !local && !f.public {
		return "", false, fmt.Errorf("--metrics %q is not a loopback address, and the names of files and the rate of findings would be shown to whoever reaches it; give --metrics-public too if that is meant", f.addr)
	}
	return net.JoinHostPort(host, port), local, nil
}

const (
	// A scrape is one small request; a client that is slower holds a connection for
	// nothing.
	requestTimeout = 5 * time.Second
	// answerTimeout is more than the ten seconds that Prometheus waits by default.
	answerTimeout = 15 * time.Second
	// stopTimeout is for a scrape under way when the process ends.
	stopTimeout = time.Second
)

// Start begins to show a set as the flags say; stop ends that, and adds what went wrong to
// *err. fill adds what is to be in the set, before anybody can look: the first scrape has
// all of it. Where the flags ask for nothing it is not called. That the address is taken
// is an error here, at the start, and not in the log.
func (f *Flags) Start(version string, log *slog.Logger, fill func(*Set)) (stop func(err *error), err error) {
	if f.addr == "" {
		return func(*error) {}, nil
	}
	addr, local, err := f.address()
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("showing metrics: %w", err)
	}
	log.Info("showing metrics", "address", l.Addr().String())
	s := New(version)
	fill(s)
	srv := &http.Server{Handler: s.Handler(local, log), ReadHeaderTimeout: requestTimeout, ReadTimeout: requestTimeout, WriteTimeout: answerTimeout,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn)}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	return func(err *error) {
		ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
		defer cancel()
		if srv.Shutdown(ctx) != nil {
			srv.Close() // a scrape that is cut off is made again
		}
		if end := <-ended; !errors.Is(end, http.ErrServerClosed) {
			*err = errors.Join(*err, fmt.Errorf("showing metrics: %w", end))
		}
	}, nil
}

package revoker

import (
	"context"
	"database/sql"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// queued makes n incidents whose provider is to be told and was not, by what Contain
// does, many in a transaction. It returns the registry's options for others.
func queued(b *testing.B, n int, p policy.Policy) registry.Options {
	b.Helper()
	ctx, dir := context.Background(), b.TempDir()
	o := registry.Options{Path: storetest.Address(b, filepath.Join(dir, "r.db")), Create: true, Actor: "bench",
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper"), Checkpoints: filepath.Join(dir, "keys", "cp")}}
	reg, err := registry.Open(ctx, o)
	if err != nil {
		b.Fatal(err)
	}
	defer reg.Close()
	r, err := New(reg, p, Options{Mode: Auto})
	if err != nil {
		b.Fatal(err)
	}
	const batch = 500
	finder, err := findable.NewFinder()
	if err != nil {
		b.Fatal(err)
	}
	for from := 0; from < n; from += batch {
		var qs []registry.ImportRequest
		for i := from; i < min(from+batch, n); i++ {
			text, err := rules.Expand("Zq{30:alnum}", uint64(i+1))
			if err != nil {
				b.Fatal(err)
			}
			qs = append(qs, registry.ImportRequest{Owner: "ann", Purpose: "bench", Provider: "vendor", Value: secret.NewString(text)})
		}
		all, err := reg.PrepareImport(qs, finder)
		if err != nil {
			b.Fatal(err)
		}
		if err := reg.StoreAll(ctx, all, nil, false); err != nil {
			b.Fatal(err)
		}
		err = reg.Store().InTx(ctx, func(tx *sql.Tx) error {
			for i, e := range all {
				c := Containment{TokenID: e.Token.ID, FoundAt: time.Now(), MatchedAt: time.Now()}
				hit := scanner.Hit{Match: scanner.Match{Rule: scanner.RegistryRule, Line: 1, Secret: qs[i].Value, Confidence: rules.High, Token: &scanner.KnownToken{ID: e.Token.ID, State: "live"}},
					Origin: sources.Origin{Source: "dir", Path: fmt.Sprintf("app-%d.log", from+i)}, FoundAt: time.Now()}
				if job, err := r.containTx(ctx, tx, hit, &c); err != nil || job == 0 {
					return fmt.Errorf("job %d, %w", job, err)
				}
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return o
}

// resident is what the process has in memory, and what of it is alive, in MB.
func resident(b *testing.B) (rss, live float64) {
	b.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	for l := range strings.Lines(string(text)) {
		var kb float64
		if _, err := fmt.Sscanf(l, "VmRSS: %g", &kb); err == nil {
			rss = kb / 1024
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.Logf("sys %d heapsys %d inuse %d stack %d; goroutines %d", m.Sys>>20, m.HeapSys>>20, m.HeapInuse>>20, m.StackInuse>>20, runtime.NumGoroutine())
	runtime.GC()
	runtime.ReadMemStats(&m)
	for l := range strings.Lines(string(text)) {
		if strings.HasPrefix(l, "Rss") {
			b.Log(strings.TrimSpace(l))
		}
	}
	return rss, float64(m.HeapAlloc) / (1 << 20)
}

// A worker that finds many incidents queued, 100,000 in make bench-revoke, does them
// all in memory that does not grow with their number, nor as they are done.
func BenchmarkDrain(b *testing.B) {
	n := 2000
	if s := os.Getenv("QUENCH_BENCH_QUEUED"); s != "" {
		var err error
		if n, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	var called atomic.Int64
	marks := make(chan int64, 3)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		if c := called.Add(1); c == int64(n/10) || c == int64(n/2) || c == int64(n-n/10) {
			marks <- c
		}
	}))
	defer srv.Close()
	key := filepath.Join(b.TempDir(), "key")
	if err := os.WriteFile(key, []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := policy.Parse(fmt.Appendf(nil, "[[provider]]\nname = 'vendor'\nkind = 'webhook'\nurl = '%s/leaked'\nsecret_file = %q\n", srv.URL, key))
	if err != nil {
		b.Fatal(err)
	}
	o := queued(b, n, p)
	time.Sleep(headStart) // those who queued the last have them for so long
	reg, err := registry.Open(b.Context(), o)
	if err != nil {
		b.Fatal(err)
	}
	defer reg.Close()
	r, err := New(reg, p, Options{Mode: Auto})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if called.Load() > 0 {
			b.Fatal("run it once: -benchtime 1x")
		}
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- r.Work(b.Context(), WorkOptions{Drain: true}) }()
		for _, at := range []string{"10%", "50%", "90%"} {
			c := <-marks
			rss, live := resident(b)
			b.Logf("%d of %d: %.0f MB resident, %.1f MB of it live, %.0f a second", c, n, rss, live, float64(c)/time.Since(start).Seconds())
			b.ReportMetric(rss, "rss-MB-"+at)
			b.ReportMetric(live, "live-MB-"+at)
		}
		if err := <-done; err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "incidents/s")
		b.ReportMetric(0, "ns/op")
	}
	var left, dead int
	if err := reg.Store().Reader().QueryRow("SELECT count(*), count(CASE WHEN state = ? THEN 1 END) FROM incidents", StateDead).Scan(&left, &dead); err != nil {
		b.Fatal(err)
	}
	if dead != n || left != n || called.Load() != int64(n) {
		b.Errorf("of %d incidents %d are dead, after %d calls", left, dead, called.Load())
	}
}

package revoker_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/revoker"
	policies "github.com/quench-dev/quench/revoker/policy"
	"github.com/quench-dev/quench/revoker/revokertest"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// stage is a registry of its own for a benchmark.
type stage struct {
	dir, db string
	reg     *registry.Registry
}

func newStage(b *testing.B) *stage {
	b.Helper()
	s := &stage{dir: b.TempDir()}
	s.db = storetest.Address(b, filepath.Join(s.dir, "db", "r.db"))
	s.reg = s.open(b)
	return s
}

// open opens the registry as another process would.
func (s *stage) open(b *testing.B) *registry.Registry {
	b.Helper()
	reg, err := registry.Open(b.Context(), registry.Options{Path: s.db, Create: true, Actor: "bench",
		Pepper: registry.PepperSource{File: filepath.Join(s.dir, "keys", "pepper"), Checkpoints: filepath.Join(s.dir, "keys", "cp")}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { reg.Close() })
	return reg
}

// hits imports tokens, and gives the hits of their leaks.
func (s *stage) hits(b *testing.B, provider string, n int) []scanner.Hit {
	b.Helper()
	all := make([]scanner.Hit, n)
	for i := range all {
		text, err := rules.Expand("Zq{30:alnum}", uint64(i+1))
		if err != nil {
			b.Fatal(err)
		}
		value := secret.NewString(text)
		tok, err := s.reg.Import(b.Context(), registry.ImportRequest{Owner: "ann", Purpose: "bench", Provider: provider, Value: value})
		if err != nil {
			b.Fatal(err)
		}
		all[i] = scanner.Hit{Match: scanner.Match{Rule: scanner.RegistryRule, Line: 1, Secret: value, Confidence: rules.High, Token: &scanner.KnownToken{ID: tok.ID, State: "live"}},
			Origin: sources.Origin{Source: "tail", Root: fmt.Sprint("file", i), Path: fmt.Sprintf("app-%d.log", i), Time: time.Now()}}
	}
	return all
}

// percentiles tells those of times, in milliseconds.
func percentiles(b *testing.B, took []time.Duration) {
	b.Helper()
	slices.Sort(took)
	at := func(p int) float64 { return took[min(len(took)*p/100, len(took)-1)].Seconds() * 1000 }
	b.ReportMetric(at(50), "p50-ms")
	b.ReportMetric(at(99), "p99-ms")
	b.ReportMetric(took[len(took)-1].Seconds()*1000, "max-ms")
	b.ReportMetric(0, "ns/op")
}

// noBrake lets a thousand tokens be revoked in ten seconds: by default a hundred are, and
// the next suspended.
const noBrake = "[brake]\ntokens_per_hour = 1000000\n"

// From a finding to the refusal of its token by another process that has it in use.
// To reach: p50 5 ms, p99 25 ms on SQLite, p99 50 ms on PostgreSQL.
func BenchmarkFoundToRefused(b *testing.B) {
	s := newStage(b)
	asked := s.open(b)
	const n = 1000
	hits := s.hits(b, "", n)
	p, err := policies.Parse([]byte(noBrake))
	if err != nil {
		b.Fatal(err)
	}
	r, err := revoker.New(s.reg, p, revoker.Options{Mode: revoker.Auto})
	if err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for b.Loop() {
		if took != nil {
			b.Fatal("run it once: -benchtime 1x")
		}
		for _, h := range hits {
			if v, err := asked.Verify(b.Context(), h.Secret, registry.Use{}); err != nil || !v.Valid {
				b.Fatal(v, err)
			}
			h.FoundAt = time.Now()
			if _, err := r.Contain(b.Context(), h); err != nil {
				b.Fatal(err)
			}
			for {
				v, err := asked.Verify(b.Context(), h.Secret, registry.Use{})
				if err != nil {
					b.Fatal(err)
				}
				if !v.Valid {
					break
				}
			}
			took = append(took, time.Since(h.FoundAt))
		}
	}
	percentiles(b, took)
}

// vendor is a provider on loopback that notes when it is first called about what.
type vendor struct {
	mu     sync.Mutex
	called map[string]time.Time
}

func (v *vendor) hear(about string) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, again := v.called[about]; !again {
		v.called[about] = now
	}
}

// webhook is a policy that tells it by signed webhook, over plain HTTP.
func (v *vendor) webhook(b *testing.B) revoker.Policy {
	b.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.hear(r.Header.Get("webhook-id"))
		w.WriteHeader(http.StatusAccepted)
	}))
	b.Cleanup(srv.Close)
	key := filepath.Join(b.TempDir(), "key")
	if err := os.WriteFile(key, []byte("whsec_"+base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32)))), 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := policies.Parse(fmt.Appendf(nil, noBrake+"[[provider]]\nname = 'vendor'\nkind = 'webhook'\nurl = '%s/leaked'\nsecret_file = %q\n", srv.URL, key))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// api is a policy that ends secrets at its interface, over TLS, and asks whether they
// are dead.
func (v *vendor) api(b *testing.B) revoker.Policy {
	b.Helper()
	net := revokertest.Serve(b, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v.hear(r.Header.Get("Private-Token"))
		w.Header().Set("Content-Type", "application/json")
		if r.Method == http.MethodDelete {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"message":"401 Unauthorized"}`)
	}))
	ca := filepath.Join(b.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, net.CA, 0o600); err != nil {
		b.Fatal(err)
	}
	p, err := policies.Parse(fmt.Appendf(nil, noBrake+"[[provider]]\nname = 'gitlab'\nkind = 'api'\nhost = %q\nca_file = %q\n[[leak]]\nprovider = ['gitlab']\ndo = 'revoke'\n", net.Addr(), ca))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// From a finding to its provider being called, while 1,000 leaks come in ten seconds.
// To reach: p99 100 ms.
func BenchmarkFoundToCalled(b *testing.B) {
	b.Run("webhook", func(b *testing.B) {
		v := &vendor{called: map[string]time.Time{}}
		benchmarkCalled(b, v, "vendor", v.webhook(b), func(c revoker.Containment, _ scanner.Hit) string { return c.IncidentID })
	})
	b.Run("api", func(b *testing.B) {
		v := &vendor{called: map[string]time.Time{}}
		benchmarkCalled(b, v, "gitlab", v.api(b), func(_ revoker.Containment, h scanner.Hit) string { return string(h.Secret.Reveal()) })
	})
}

func benchmarkCalled(b *testing.B, v *vendor, provider string, p revoker.Policy, about func(revoker.Containment, scanner.Hit) string) {
	s := newStage(b)
	const n, every = 1000, 10 * time.Millisecond
	hits := s.hits(b, provider, n)
	r, err := revoker.New(s.reg, p, revoker.Options{Mode: revoker.Auto})
	if err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	found := map[string]time.Time{}
	for b.Loop() {
		if len(found) > 0 {
			b.Fatal("run it once: -benchtime 1x")
		}
		var wg sync.WaitGroup
		tick := time.NewTicker(every)
		for _, h := range hits {
			<-tick.C
			wg.Go(func() {
				h.FoundAt = time.Now()
				c, err := r.Contain(context.WithoutCancel(b.Context()), h)
				if err != nil || c.Action != revoker.Revoked {
					b.Errorf("%+v, %v", c, err)
				}
				mu.Lock()
				found[about(c, h)] = h.FoundAt
				mu.Unlock()
			})
		}
		tick.Stop()
		wg.Wait()
	}
	var took []time.Duration
	for about, at := range found {
		if v.called[about].IsZero() {
			b.Fatal("the provider was not called about an incident")
		}
		took = append(took, v.called[about].Sub(at))
	}
	percentiles(b, took)
}

package registry

import (
	"cmp"
	"context"
	"database/sql"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// issuedValues are tokens' values, flat: a million pointers would be the collector's load.
type issuedValues struct {
	flat []byte
	len  int
}

func (v *issuedValues) add(s secret.Secret) { v.flat, v.len = append(v.flat, s.Reveal()...), s.Len() }

func (v *issuedValues) at(i int) secret.Secret { return secret.New(v.flat[i*v.len : (i+1)*v.len]) }

// fill gives r n tokens that were used before.
func fill(tb testing.TB, r *Registry, n int) (v issuedValues) {
	ctx := context.Background()
	q := IssueRequest{Owner: "team-payments", Purpose: "nightly export of invoices", Scopes: []string{"read:invoices/*", "write:exports"}}
	for left := n; left > 0; left -= 10_000 {
		all := r.PrepareIssue(slices.Repeat([]IssueRequest{q}, min(left, 10_000)))
		if err := r.StoreAll(ctx, all, nil, false); err != nil {
			tb.Fatal(err)
		}
		for _, e := range all {
			v.add(e.Value)
		}
	}
	err := r.store.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO token_uses (token_id, uses, last_used_at) SELECT id, 1, created_at FROM tokens ORDER BY id")
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	return v
}

// BenchmarkLoad verifies as a service does, from many goroutines at once, and
// tells verifications a second, the processor time of one with its share of what is
// written, and how long the slowest hundredth takes.
//
//	QUENCH_LARGE=1000000 go test ./registry -run '^$' -bench Load -benchtime 5s
//	QUENCH_LARGE=1000000 go run ./testdata/postgres go test ./registry -run '^$' -bench Load -benchtime 5s
func BenchmarkLoad(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("QUENCH_LARGE"))
	if n == 0 {
		n = 20_000
	}
	each, _ := strconv.Atoi(os.Getenv("QUENCH_CALLERS")) // for each CPU
	ctx := context.Background()
	dir := b.TempDir()
	path := storetest.Address(b, filepath.Join(dir, "db", "registry.db"))
	r, err := Open(ctx, Options{Path: path, Create: true, Pepper: PepperSource{File: filepath.Join(dir, "pepper", "pepper")}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	known := fill(b, r, n)
	var mu sync.Mutex
	cases := []struct {
		name string
		next func(g *rand.Rand, z *rand.Zipf) (secret.Secret, Use, bool)
	}{
		// A few tokens do most of the work, as the use of anything is spread.
		{"busy and idle tokens", func(_ *rand.Rand, z *rand.Zipf) (secret.Secret, Use, bool) {
			return known.at(int(z.Uint64())), Use{Scope: "read:invoices/a"}, true
		}},
		{"all tokens alike", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) {
			return known.at(g.IntN(n)), Use{Scope: "read:invoices/a"}, true
		}},
		{"one token", func(*rand.Rand, *rand.Zipf) (secret.Secret, Use, bool) {
			return known.at(7), Use{Scope: "read:invoices/a"}, true
		}},
		{"refusals", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) {
			return known.at(g.IntN(n)), Use{Scope: "delete:invoices/a"}, false
		}},
		{"unknown", func(*rand.Rand, *rand.Zipf) (secret.Secret, Use, bool) {
			plain, err := rules.QuenchToken("qnk", "live", []byte(values.Random(rules.TokenIDLen)), []byte(values.Random(rules.TokenSecretLen)))
			if err != nil {
				b.Error(err)
			}
			return secret.New(plain), Use{}, false
		}},
		{"first uses", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) { return secret.Secret{}, Use{}, true }},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			if c.name == "first uses" {
				unused := firsts(b, r, b.N)
				i := 0
				c.next = func(*rand.Rand, *rand.Zipf) (secret.Secret, Use, bool) {
					mu.Lock()
					defer mu.Unlock()
					i++
					return unused[i-1], Use{}, true
				}
			}
			var all []time.Duration
			b.SetParallelism(cmp.Or(each, 8))
			b.ResetTimer()
			start, busy := time.Now(), cpu(b)
			b.RunParallel(func(pb *testing.PB) {
				g := rand.New(rand.NewPCG(rand.Uint64(), 1))
				z := rand.NewZipf(g, 1.1, 10, uint64(n-1))
				var took []time.Duration
				for pb.Next() {
					value, use, valid := c.next(g, z)
					at := time.Now()
					v, err := r.Verify(ctx, value, use)
					took = append(took, time.Since(at))
					if err != nil || v.Valid != valid {
						b.Error(v, err)
						return
					}
				}
				mu.Lock()
				all = append(all, took...)
				mu.Unlock()
			})
			if err := r.Flush(ctx); err != nil {
				b.Fatal(err)
			}
			b.StopTimer()
			slices.Sort(all)
			if len(all) > 0 {
				b.ReportMetric(float64(len(all))/time.Since(start).Seconds(), "verify/s")
				b.ReportMetric(float64((cpu(b)-busy).Microseconds())/float64(len(all)), "cpu-us")
				b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
				b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
			}
		})
	}
}

// cpu is the processor time this process has had.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// firsts makes n tokens that were not used.
func firsts(b *testing.B, r *Registry, n int) (unused []secret.Secret) {
	all := r.PrepareIssue(slices.Repeat([]IssueRequest{{Owner: "o", Purpose: "p"}}, n))
	if err := r.StoreAll(context.Background(), all, nil, false); err != nil {
		b.Fatal(err)
	}
	for _, e := range all {
		unused = append(unused, e.Value)
	}
	return unused
}

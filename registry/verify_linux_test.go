package registry

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// benchValue is the value of token i.
func benchValue(tb testing.TB, i int) secret.Secret {
	plain, err := rules.QuenchToken("qnk", "live", fmt.Appendf(nil, "%010d", i), fmt.Appendf(nil, "%032d", i))
	if err != nil {
		tb.Fatal(err)
	}
	return secret.New(plain)
}

// fill gives r n tokens that were used before. Rows are copies of an issued one, as
// issuing would leave them.
func fill(tb testing.TB, r *Registry, n int) {
	ctx := context.Background()
	tok, _, err := r.Issue(ctx, IssueRequest{Owner: "team-payments", Purpose: "nightly export of invoices", Scopes: []string{"read:invoices/*", "write:exports"}})
	if err != nil {
		tb.Fatal(err)
	}
	key := r.ring.Load().Primary()
	row := `(SELECT ?, key_id, ?, ?, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, expires_at, shape_len, shape_extra, hard_to_find,
		? + 2, id, predecessor, brand, networks, countries, max_uses, 1, created_at FROM tokens WHERE id = ?)`
	const step = 100
	err = r.store.InTx(ctx, func(tx *sql.Tx) error {
		tx.ExecContext(ctx, "PRAGMA cache_size = -500000") // SQLite alone; for the filling
		for i := 0; i < n; i += step {
			var args []any
			for j := i; j < min(i+step, n); j++ {
				v := benchValue(tb, j)
				mac := v.MAC(key.MAC)
				args = append(args, fmt.Sprintf("%010d", j), mac[:], fingerprint(key, v), j, tok.ID)
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, expires_at,
				shape_len, shape_extra, hard_to_find, seq, family, predecessor, brand, networks, countries, max_uses, uses, last_used_at) SELECT * FROM `+
				strings.Join(slices.Repeat([]string{row}, len(args)/5), " UNION ALL SELECT * FROM "), args...)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// BenchmarkLoad verifies as a service does, from many goroutines at once, and
// tells verifications a second, the processor time of one with its share of what is
// written, and how long the slowest hundredth takes.
//
//	QUENCH_LARGE=1000000 go test ./registry -run '^$' -bench Load -benchtime 5s
func BenchmarkLoad(b *testing.B) {
	n, _ := strconv.Atoi(os.Getenv("QUENCH_LARGE"))
	if n == 0 {
		n = 20_000
	}
	ctx := context.Background()
	dir := b.TempDir()
	r, err := Open(ctx, Options{Path: filepath.Join(dir, "db", "registry.db"), Create: true, Pepper: PepperSource{File: filepath.Join(dir, "pepper", "pepper")}})
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	fill(b, r, n)
	var mu sync.Mutex
	cases := []struct {
		name string
		next func(g *rand.Rand, z *rand.Zipf) (secret.Secret, Use, bool)
	}{
		// A few tokens do most of the work, as the use of anything is spread.
		{"busy and idle tokens", func(_ *rand.Rand, z *rand.Zipf) (secret.Secret, Use, bool) {
			return benchValue(b, int(z.Uint64())), Use{Scope: "read:invoices/a"}, true
		}},
		{"all tokens alike", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) {
			return benchValue(b, g.IntN(n)), Use{Scope: "read:invoices/a"}, true
		}},
		{"one token", func(*rand.Rand, *rand.Zipf) (secret.Secret, Use, bool) {
			return benchValue(b, 7), Use{Scope: "read:invoices/a"}, true
		}},
		{"refusals", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) {
			return benchValue(b, g.IntN(n)), Use{Scope: "delete:invoices/a"}, false
		}},
		{"unknown", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) {
			return benchValue(b, 2_000_000_000+g.IntN(n)), Use{}, false
		}},
		{"first uses", func(g *rand.Rand, _ *rand.Zipf) (secret.Secret, Use, bool) { return secret.Secret{}, Use{}, true }},
	}
	for _, c := range cases {
		b.Run(c.name, func(b *testing.B) {
			if c.name == "first uses" {
				values := firsts(b, r, b.N)
				i := 0
				c.next = func(*rand.Rand, *rand.Zipf) (secret.Secret, Use, bool) {
					mu.Lock()
					defer mu.Unlock()
					i++
					return values[i-1], Use{}, true
				}
			}
			var all []time.Duration
			b.SetParallelism(8)
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
func firsts(b *testing.B, r *Registry, n int) (values []secret.Secret) {
	all := r.PrepareIssue(slices.Repeat([]IssueRequest{{Owner: "o", Purpose: "p"}}, n))
	if err := r.StoreAll(context.Background(), all, nil, false); err != nil {
		b.Fatal(err)
	}
	for _, e := range all {
		values = append(values, e.Value)
	}
	return values
}

package brake

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
)

// filled is a database with n tokens that were ended just now.
func filled(tb testing.TB, n int, now time.Time) *store.Store {
	tb.Helper()
	s, err := store.Open(context.Background(), filepath.Join(tb.TempDir(), "r.db"), store.Options{Create: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	err = s.InTx(context.Background(), func(tx *sql.Tx) error {
		for i := range n {
			id := fmt.Sprint(i)
			if _, err := tx.Exec(`INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
				VALUES (?, x'01020304', ?, ?, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', ?)`, id, fmt.Appendf(nil, "%032d", i), i, i+1); err != nil {
				return err
			}
			if _, err := tx.Exec("INSERT INTO incidents (id, token_id, state, provider, note, found_at, matched_at, automatic_at) VALUES (?, ?, 'dead', '', '', 1, 2, ?)", id, id, now.UnixMicro()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// What each containment asks is answered from an index alone, however many incidents
// there were.
func TestDecidedByIndex(t *testing.T) {
	s := filled(t, 3, time.Now())
	for _, of := range []string{Tokens, Secrets} {
		var a, b, c int
		var plan string
		if err := s.Reader().QueryRow("EXPLAIN QUERY PLAN SELECT count(*) FROM incidents WHERE automatic_at > ? AND "+where[of], 1).Scan(&a, &b, &c, &plan); err != nil || !strings.Contains(plan, "INDEX incidents_automatic") {
			t.Errorf("%s: %q, %v", of, plan, err)
		}
	}
	if n, err := Decided(t.Context(), s.Reader(), Tokens, time.Now().Add(2*time.Hour)); err != nil || n != 0 {
		t.Errorf("two hours later: %d, %v", n, err)
	}
}

func BenchmarkDecided(b *testing.B) {
	for _, n := range []int{100, 1000, 10_000} {
		now := time.Now()
		s := filled(b, n, now)
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				if got, err := Decided(context.Background(), s.Reader(), Tokens, now); err != nil || got != n {
					b.Fatal(got, err)
				}
			}
		})
	}
}

package registry

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/scanner/secret"
)

// rss is a figure of this process in MB, as the kernel counts it: VmRSS, VmHWM.
func rss(t *testing.T, field string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kb, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(rest, "kB")))
			if err != nil {
				t.Fatal(err)
			}
			return kb >> 10
		}
	}
	t.Fatalf("no %s", field)
	return 0
}

// peakAnew sets the high-water mark back to what is held now, without what SQLite and
// the test itself were done with and the runtime had not given back.
func peakAnew(t *testing.T) {
	t.Helper()
	debug.FreeOSMemory()
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Logf("the most that was held is that of the whole test: %v", err)
	}
}

// The set of ten million tokens: what it takes to load and to hold.
//
//	QUENCH_LARGE=10000000 go test ./registry -run TestLargeMatchSet -v
func TestLargeMatchSet(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("QUENCH_LARGE"))
	if n == 0 {
		n = 20_000
	}
	ctx := context.Background()
	dir := t.TempDir()
	path := filepath.Join(dir, "db", "registry.db")
	pepper := PepperSource{File: filepath.Join(dir, "pepper", "pepper")}
	r, err := Open(ctx, Options{Path: path, Create: true, Pepper: pepper})
	if err != nil {
		t.Fatal(err)
	}
	tok, value, err := r.Issue(ctx, IssueRequest{Owner: "o", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	for done := 0; done < n; {
		step := min(500_000, n-done)
		err := r.store.InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < ?2)
				INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
				SELECT printf('x%09d', ?1 + i), x'00000000', CAST(printf('%032d', ?1 + i) AS BLOB), random(), 'imported', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20 + i % 3, '_', 100 + ?1 + i FROM c`, done, step)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		done += step
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	// A process of its own would be cleaner: the rows were made by SQLite.
	peakAnew(t)
	if r, err = Open(ctx, Options{Path: path, Pepper: pepper}); err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	before := rss(t, "VmRSS")
	start := time.Now()
	set, err := r.Match(ctx)
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	if set.Len() != n+1 {
		t.Errorf("%d fingerprints of %d tokens", set.Len(), n+1)
	}
	if k, ok := set.Lookup(value.Reveal()); !ok || k.ID != tok.ID {
		t.Errorf("the token that was issued is not found: %v %v", k, ok)
	}
	if _, ok := set.Lookup(secret.NewString("not a token of the registry").Reveal()); ok {
		t.Error("what is no token is found")
	}
	c := []byte("a run of forty characters or so, 00000000")
	start = time.Now()
	const asked = 1_000_000
	for i := range asked {
		binary.LittleEndian.PutUint64(c[32:], uint64(i))
		set.Lookup(c)
	}
	fmt.Printf("%d tokens: loaded in %.1f s, RSS %d MB before, %d MB after, at most %d MB; a candidate that is none costs %d ns\n",
		n, took.Seconds(), before, rss(t, "VmRSS"), rss(t, "VmHWM"), time.Since(start).Nanoseconds()/asked)
	// An eighth more, as a refresh while it is in use sees it.
	// It is another that writes them, since a writer keeps 64 MB of pages; and the set is
	// to see them when it is measured.
	set.Close()
	writer, err := Open(ctx, Options{Path: path, Pepper: pepper})
	if err != nil {
		t.Fatal(err)
	}
	more := n/8 + 2000
	err = writer.store.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i < ?2)
			INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
			SELECT printf('y%09d', i), x'00000000', CAST(printf('y%031d', i) AS BLOB), random(), 'imported', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20 + i % 3, '_', 1000 + ?1 + i FROM c`, n, more)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	peakAnew(t)
	start = time.Now()
	before = rss(t, "VmRSS")
	if err := set.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	if set.Len() != n+1+more {
		t.Errorf("%d fingerprints after %d more", set.Len(), more)
	}
	fmt.Printf("%d more: in %.1f s, RSS %d MB before, %d MB after, at most %d MB\n", more, time.Since(start).Seconds(), before, rss(t, "VmRSS"), rss(t, "VmHWM"))
}

package sealed

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/scanner/secret"
)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), filepath.Join(t.TempDir(), "db", "r.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *store.Store, b *Box, id string, c Content, now time.Time) error {
	t.Helper()
	return s.InTx(t.Context(), func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO incidents (id, state, provider, note, found_at, matched_at) VALUES (?, 'asking', '', '', 0, 0) ON CONFLICT DO NOTHING", id); err != nil {
			return err
		}
		return b.Put(t.Context(), tx, id, "acme", c, now)
	})
}

// What was put comes back whole, for its incident and provider alone, for seven days.
func TestBox(t *testing.T) {
	ctx, s, now := context.Background(), open(t), time.Now()
	key := filepath.Join(t.TempDir(), "keys", "sealed.key")
	b := New(key)
	c := Content{Secret: secret.NewString("the leaked value"), Parts: map[string]secret.Secret{"key_id": secret.NewString("AK"), "": secret.NewString("")}}
	for _, id := range []string{"i", "j"} {
		if err := put(t, s, b, id, c, now); err != nil {
			t.Fatal(err)
		}
	}
	got, err := New(key).Take(ctx, s.Reader(), "i", "acme", now)
	if err != nil || !got.Secret.Equal(c.Secret) || len(got.Parts) != 2 || !got.Parts["key_id"].Equal(c.Parts["key_id"]) {
		t.Fatalf("%v, %v", got, err)
	}
	if _, err := b.Take(ctx, s.Reader(), "i", "other", now); !errors.Is(err, ErrKey) {
		t.Errorf("for another provider: %v", err)
	}
	if err := s.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("UPDATE sealed_secrets SET box = (SELECT box FROM sealed_secrets WHERE incident_id = 'j') WHERE incident_id = 'i'")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(ctx, s.Reader(), "i", "acme", now); !errors.Is(err, ErrKey) {
		t.Errorf("the box of another incident: %v", err)
	}
	if _, err := b.Take(ctx, s.Reader(), "j", "acme", now.Add(Keep)); !errors.Is(err, ErrGone) {
		t.Errorf("after a week: %v", err)
	}
	var box []byte
	if err := s.Reader().QueryRow("SELECT box FROM sealed_secrets WHERE incident_id = 'j'").Scan(&box); err != nil || bytes.Contains(box, []byte("leaked")) {
		t.Errorf("%q, %v", box, err)
	}
	if err := s.InTx(ctx, func(tx *sql.Tx) error { return Expire(ctx, tx, now.Add(Keep)) }); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Take(ctx, s.Reader(), "j", "acme", now); !errors.Is(err, ErrGone) {
		t.Errorf("after it was deleted: %v", err)
	}
	if st, err := os.Stat(key); err != nil || runtime.GOOS != "windows" && st.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", st, err)
	}
}

// A key that others can read, that is none, or that is missing is refused, and a
// missing one is made by sealing alone.
func TestKey(t *testing.T) {
	ctx, s, now := context.Background(), open(t), time.Now()
	key := filepath.Join(t.TempDir(), "sealed.key")
	c := Content{Secret: secret.NewString("the leaked value")}
	if err := put(t, s, New(key), "i", c, now); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		os.Chmod(key, 0o644)
		if _, err := New(key).Take(ctx, s.Reader(), "i", "acme", now); !errors.Is(err, ErrKey) {
			t.Errorf("a key that others can read: %v", err)
		}
		os.Chmod(key, 0o600)
	}
	os.WriteFile(key, []byte("c2hvcnQ=\n"), 0o600)
	if err := put(t, s, New(key), "i", c, now); !errors.Is(err, ErrKey) {
		t.Errorf("a short key: %v", err)
	}
	os.Remove(key)
	if _, err := New(key).Take(ctx, s.Reader(), "i", "acme", now); !errors.Is(err, ErrKey) {
		t.Errorf("no key: %v", err)
	}
	// Many that begin at once have one key.
	var all sync.WaitGroup
	keys := make([][]byte, 8)
	for n := range keys {
		all.Go(func() {
			if _, err := New(key).open(true); err != nil {
				t.Error(err)
			}
			keys[n], _ = readKey(key)
		})
	}
	all.Wait()
	for _, k := range keys {
		if !bytes.Equal(k, keys[0]) || len(k) != keyLen {
			t.Error("two keys")
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Content{Secret: secret.NewString("a"), Parts: map[string]secret.Secret{"b": secret.NewString("c")}}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decode(b)
		if err != nil {
			return
		}
		again, err := decode(c.encode())
		if err != nil || !again.Secret.Equal(c.Secret) || len(again.Parts) != len(c.Parts) {
			t.Errorf("%v, %v", again, err)
		}
	})
}

// A sweep is due at once, then hourly, and after the clock was set back.
func TestSweepIsDue(t *testing.T) {
	var s Sweep
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {0, false}, {59 * time.Minute, false}, {time.Hour, true}, {119 * time.Minute, false}, {2 * time.Hour, true}, {-time.Hour, true}, {-time.Minute, false}, {0, true}} {
		if got := s.due(at.Add(c.after)); got != c.want {
			t.Errorf("after %v: due %v", c.after, got)
		}
	}
}

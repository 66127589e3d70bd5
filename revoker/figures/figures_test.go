package figures

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

func TestMain(m *testing.M) { os.Exit(storetest.Main(m)) }

// Each time of an incident counts once, however often and late it is looked at.
func TestFigures(t *testing.T) {
	s, err := store.Open(t.Context(), storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	do := func(query string, args ...any) {
		t.Helper()
		err := s.InTx(t.Context(), func(tx *sql.Tx) error { _, err := tx.ExecContext(t.Context(), query, args...); return err })
		if err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	open := func(provider, state string, leaked any) string {
		n++
		id := fmt.Sprintf("incident-%d", n)
		do("INSERT INTO incidents (id, secret_mac, state, provider, note, leaked_at, found_at, matched_at) VALUES (?, ?, ?, ?, '', ?, ?, ?)",
			id, []byte(id), state, provider, leaked, now.UnixMicro(), now.Add(time.Millisecond).UnixMicro())
		return id
	}
	f := New(s, func() time.Time { return now }, []float64{.01, 1, 100})
	look := func(want ...Time) {
		t.Helper()
		now = now.Add(2 * time.Second)
		got, _, err := f.Read(t.Context())
		if err != nil || len(got) != len(want) {
			t.Fatalf("%v, %+v", err, got)
		}
		for i := range want {
			got[i].Sum = float64(int(got[i].Sum*1000+.5)) / 1000
			if !reflect.DeepEqual(got[i], want[i]) {
				t.Errorf("got %+v, want %+v", got[i], want[i])
			}
		}
	}
	look()
	first := open("acme", "revoking", now.Add(-time.Minute).UnixMicro())
	matched := Time{FoundMatched, "acme", 1, .001, []uint64{1, 1, 1}}
	leaked := Time{LeakedFound, "acme", 1, 60, []uint64{0, 0, 1}}
	look(matched, leaked)
	look(matched, leaked)
	found := now
	// Its transaction took a while, and another machine's clock is ahead of ours.
	do("UPDATE incidents SET state = 'dead', dead_at = found_at + 500000, confirmed_at = ? WHERE id = ?", now.Add(10*time.Second).UnixMicro(), first)
	dead := Time{FoundDead, "acme", 1, .5, []uint64{0, 1, 1}}
	confirmed := Time{DeadConfirmed, "acme", 1, now.Add(10*time.Second).Sub(found.Add(-4*time.Second)).Seconds() - .5, []uint64{0, 0, 1}}
	look(confirmed, dead, matched, leaked)
	for range 40 { // past the overlap
		now = now.Add(5 * time.Second)
		look(confirmed, dead, matched, leaked)
	}
	open("", "reported", nil)
	_, _, _ = f.Read(t.Context())
	look(confirmed, dead, Time{FoundMatched, "", 1, .001, []uint64{1, 1, 1}}, matched, leaked)
	if _, states, err := f.Read(t.Context()); err != nil || !reflect.DeepEqual(states, map[string]uint64{"dead": 1, "reported": 1}) {
		t.Errorf("%v, %v", states, err)
	}
	if len(f.seen) > 1 {
		t.Errorf("%d incidents are kept", len(f.seen))
	}
}

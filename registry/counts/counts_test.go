package counts_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/counts"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/use"
)

// Counts are added up, whoever writes them and in whatever order, and the last use
// stays the latest.
func TestWrite(t *testing.T) {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "r.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	at := time.Unix(1_800_000_000, 0)
	err = s.InTx(ctx, func(tx *sql.Tx) error {
		for _, id := range []string{"a", "b"} {
			_, err := tx.Exec(`INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
				VALUES (?1, x'01020304', CAST(?1 || printf('%031d', 0) AS BLOB), 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', unicode(?1))`, id)
			if err != nil {
				return err
			}
		}
		if err := counts.Add(ctx, tx, "a", at); err != nil {
			return err
		}
		var all []counts.Used
		for i := range 1000 { // late ones first: another process was slow
			all = append(all, counts.Used{TokenID: "a", Use: &use.Use{}, At: at.Add(time.Duration(i-999) * time.Millisecond)})
		}
		return counts.Write(ctx, tx, at, "me", all)
	})
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]int64{"a": 1001, "b": 0} {
		var uses, last sql.NullInt64
		if err := s.Reader().QueryRow("SELECT "+counts.Columns+" FROM "+counts.Tokens+" WHERE id = ?", id).Scan(&uses, &last); err != nil || uses.Int64 != want || want > 0 && last.Int64 != at.UnixMicro() {
			t.Errorf("%s: %v uses, last %v, %v", id, uses, last, err)
		}
	}
	var events int
	if err := s.Reader().QueryRow("SELECT count(*) FROM audit_leaves").Scan(&events); err != nil || events != 2 {
		t.Errorf("%d events, %v; want one of each second", events, err)
	}
}

package version_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/version"
)

// The numbers of a commit are there once it has returned, and what changed is listed
// unless it is much.
func TestVersions(t *testing.T) {
	ctx := context.Background()
	s, err := store.Open(ctx, filepath.Join(t.TempDir(), "r.db"), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	v, err := version.New(ctx, s.Reader())
	if err != nil {
		t.Fatal(err)
	}
	add := func(from, to int) {
		err := s.InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec(`WITH RECURSIVE c(i) AS (VALUES (?1) UNION ALL SELECT i + 1 FROM c WHERE i < ?2)
				INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
				SELECT i, x'01020304', CAST(printf('%032d', i) AS BLOB), 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', i FROM c`, from, to)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := v.Now(ctx); err != nil || n.Tokens != int64(to) || n.Peppers != 0 {
			t.Fatalf("%+v, %v; want %d", n, err, to)
		}
	}
	add(1, 1)
	add(2, 4)
	if all, err := v.Changed(ctx, 1); err != nil || len(all) != 3 || string(all[0][30:]) != "02" {
		t.Errorf("%q, %v", all, err)
	}
	if all, err := v.Changed(ctx, 4); err != nil || all == nil || len(all) != 0 {
		t.Errorf("%q, %v; want none, and not nil, which is all", all, err)
	}
	add(5, 1100)
	if all, err := v.Changed(ctx, 4); err != nil || all != nil {
		t.Errorf("%d, %v; want nil", len(all), err)
	}
}

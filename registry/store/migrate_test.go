package store

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/pressly/goose/v3"
)

// migrations are all that there are, for db.
func migrations(t *testing.T, db *sql.DB) *goose.Provider {
	t.Helper()
	files, err := fs.Sub(migrationFiles, "migrations/sqlite")
	if err != nil {
		t.Fatal(err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, files, goose.WithGoMigrations((&Store{}).goMigrations()...), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// at makes a database of an older schema.
func at(t *testing.T, version int64, rows ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path+"?_pragma=synchronous(0)") // nothing here outlives a power cut
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := migrations(t, db).UpTo(context.Background(), version); err != nil {
		t.Fatal(err)
	}
	for _, row := range append(rows, "PRAGMA application_id = 0x716e6368") {
		if _, err := db.Exec(row); err != nil {
			t.Fatal(row, err)
		}
	}
	return path
}

// From every schema that there was, a token and what refers to it comes through all
// migrations as it was, into a database that is whole.
func TestMigratesEverySchema(t *testing.T) {
	ctx := context.Background()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "none.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sources := migrations(t, db).ListSources()
	newest := sources[len(sources)-1].Version
	for i, m := range sources {
		if testing.Short() && i%6 != 0 {
			continue // each is some hundred writes to the disk
		}
		s, err := Open(ctx, at(t, m.Version,
			`INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, expires_at, revoked_at, revoked_by, revoked_reason, shape_len, shape_extra, hard_to_find, seq)
			VALUES ('a', x'01020304', zeroblob(32), -7, 'imported', 'h', 'o', 'p', 'test', 'v', '["r:x"]', '["t"]', 'revoked', 1, 2, 3, 'by', 'why', 20, '-', '["c"]', 4)`,
			`INSERT INTO findings (id, source, identity, offset, rule, path, line, commit_id, redacted, confidence, token_id, finding_id, found_at)
			VALUES ('f', 's', 'i', 5, 'r', 'path', 6, 'c', 'red', 'high', 'a', 'fid', 8)`), Options{})
		if err != nil {
			t.Fatal(m.Version, err)
		}
		var got string
		err = s.Reader().QueryRow(`SELECT hex(key_id) || length(mac) || fingerprint || origin || hint || owner || purpose || env || provider || scopes || tags || state || created_at || expires_at
			|| revoked_at || revoked_by || revoked_reason || shape_len || shape_extra || hard_to_find || seq || offset || path || f.finding_id FROM tokens t JOIN findings f ON f.token_id = t.id`).Scan(&got)
		if want := `0102030432-7importedhoptestv["r:x"]["t"]revoked123bywhy20-["c"]45pathfid`; err != nil || got != want {
			t.Errorf("from schema %d: %q, %v; want %q", m.Version, got, err, want)
		}
		if err := s.Sound(ctx); err != nil {
			t.Errorf("from schema %d: %v", m.Version, err)
		}
		if v, err := s.Version(ctx); err != nil || v != newest {
			t.Errorf("from schema %d: to %d, %v; want %d", m.Version, v, err, newest)
		}
		s.Close()
	}
}

// The key check that a database had of its one pepper becomes the row of its first.
func TestMigratesTheKeyCheck(t *testing.T) {
	ctx := context.Background()
	const token = `INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
		VALUES ('a', x'01020304', zeroblob(32), 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', 1)`
	for name, c := range map[string]struct {
		rows []string
		want string
	}{
		"new":          {nil, ""},
		"with tokens":  {[]string{"INSERT INTO meta VALUES ('key_check', x'0a0b')", token}, "primary 0A0B 01020304 1"},
		"without them": {[]string{"INSERT INTO meta VALUES ('key_check', x'0a0b')"}, "primary 0A0B  1"},
	} {
		s, err := Open(ctx, at(t, 8, c.rows...), Options{})
		if err != nil {
			t.Fatal(name, err)
		}
		var got string
		err = s.Reader().QueryRow("SELECT coalesce(group_concat(state || ' ' || hex(key_check) || ' ' || hex(key_id) || ' ' || seq), '') FROM peppers").Scan(&got)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
		var left int
		if err := s.Reader().QueryRow("SELECT count(*) FROM meta").Scan(&left); err != nil || left != 0 {
			t.Errorf("%s: %d rows of meta are left, %v", name, left, err)
		}
		s.Close()
	}
}

// Incidents that were there stay, with all that refers to them, when their table is
// made anew for secrets that are no tokens.
func TestMigratesIncidents(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, at(t, 24,
		`INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
		VALUES ('a', x'01020304', zeroblob(32), 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', 1)`,
		`INSERT INTO incidents (id, token_id, state, provider, note, found_at, matched_at) VALUES ('i', 'a', 'dead', 'v', '', 1, 2)`,
		`INSERT INTO receipts (incident_id, provider, outcome, status, detail, at, took_us) VALUES ('i', 'v', 'accepted', 202, '', 3, 4)`,
		`INSERT INTO leases (incident_id, owner, until) VALUES ('i', 'me', 5)`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got string
	err = s.Reader().QueryRow(`SELECT i.token_id || i.state || i.outcome || r.outcome || l.owner FROM incidents i JOIN receipts r ON r.incident_id = i.id JOIN leases l ON l.incident_id = i.id`).Scan(&got)
	if err != nil || got != "adeadacceptedme" {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Sound(ctx); err != nil {
		t.Error(err)
	}
	if err := s.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO leases (incident_id, owner, until) VALUES ('none', 'me', 5)")
		return err
	}); err == nil {
		t.Error("a lease of no incident was taken")
	}
}

// Those that are asked about, or whose secret is sealed, stay so when their table is made
// anew for what is held back.
func TestMigratesHeldIncidents(t *testing.T) {
	s, err := Open(t.Context(), at(t, 84,
		`INSERT INTO incidents (id, secret_mac, rule, hint, state, provider, note, leaked_at, found_at, matched_at, automatic_at, next_at, job_id)
		VALUES ('i', x'0102', 'r', 'h', 'asking', 'v', 'why', 7, 1, 2, 3, 4, 5)`,
		`INSERT INTO sealed_secrets (incident_id, box, expires_at) VALUES ('i', x'03', 6)`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got string
	err = s.Reader().QueryRow(`SELECT hex(secret_mac) || rule || hint || state || provider || note || leaked_at || found_at || matched_at || automatic_at || next_at || job_id
		|| expires_at || grace_us || hours FROM incidents JOIN sealed_secrets ON incident_id = id`).Scan(&got)
	if err != nil || got != "0102rhaskingvwhy71234560" {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Sound(t.Context()); err != nil {
		t.Error(err)
	}
}

// Positions of names become positions of files, known as their findings know them.
func TestMigratesPositions(t *testing.T) {
	s, err := Open(context.Background(), at(t, 30, "INSERT INTO watch_positions VALUES ('/a', 7, 9, x'01', 5, 2, 0)",
		"INSERT INTO watch_positions VALUES ('/link to a', 7, 9, x'01', 5, 2, 0)"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.Positions(context.Background())
	if err != nil || len(all) != 1 || all[0].File != "7:9" || all[0].Path != "/a" || all[0].Offset != 5 || all[0].Line != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}

// Counts of uses that stood in the tokens' rows are kept.
func TestMigratesUses(t *testing.T) {
	ctx := context.Background()
	const token = `INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq, uses, last_used_at)
		VALUES (?, x'01020304', ?, 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 7, 20, '', ?, ?, ?)`
	path := at(t, 30)
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range [][]any{{"a", make([]byte, 32), 1, 0, nil}, {"b", append(make([]byte, 31), 1), 2, 5, 9}} {
		if _, err := db.Exec(token, row...); err != nil {
			t.Fatal(i, err)
		}
	}
	db.Close()
	s, err := Open(ctx, path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var got string
	err = s.Reader().QueryRow("SELECT group_concat(t.id || coalesce(u.uses || '/' || u.last_used_at, '-')) FROM tokens t LEFT JOIN token_uses u ON u.token_id = t.id ORDER BY t.id").Scan(&got)
	if err != nil || got != "a-,b5/9" {
		t.Errorf("%q, %v", got, err)
	}
	if err := s.Sound(ctx); err != nil {
		t.Error(err)
	}
}

package store_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

// onPostgres is the address of a new schema, in the run on PostgreSQL.
func onPostgres(t *testing.T) string {
	t.Helper()
	if !storetest.OnPostgres() {
		t.Skip("of PostgreSQL only: " + storetest.Variable + " names a server")
	}
	return storetest.Postgres(t)
}

// schema is the one that an address names.
func schema(address string) string {
	_, name, _ := strings.Cut(address, "search_path=")
	return name
}

func run(t *testing.T, address, statements string) {
	t.Helper()
	if err := storetest.Exec(address, statements); err != nil {
		t.Fatal(statements, err)
	}
}

func TestPostgresOpens(t *testing.T) {
	ctx := context.Background()
	address := onPostgres(t)
	if _, err := store.Open(ctx, address, store.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no schema: %v, want fs.ErrNotExist", err)
	}
	run(t, address, "CREATE SCHEMA "+schema(address))
	if _, err := store.Open(ctx, address, store.Options{}); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty schema: %v, want fs.ErrNotExist", err)
	}
	s := open(t, address)
	if !s.Created() || !s.Postgres() || s.Path() != "" || !strings.Contains(s.Name(), schema(address)) {
		t.Errorf("created %v, path %q, name %q", s.Created(), s.Path(), s.Name())
	}
	if again := open(t, address); again.Created() {
		t.Error("made twice")
	}
	if _, err := s.Reader().Exec("DELETE FROM tokens"); !errors.Is(store.Explain(err), store.ErrReadOnly) {
		t.Errorf("the reader writes: %v", err)
	}
	run(t, address, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (99999, true)")
	if _, err := store.Open(ctx, address, store.Options{Create: true}); !errors.Is(err, store.ErrNewer) {
		t.Errorf("a newer schema: %v, want ErrNewer", err)
	}
}

func TestPostgresRefuses(t *testing.T) {
	ctx := context.Background()
	foreign := onPostgres(t)
	run(t, foreign, fmt.Sprintf("CREATE SCHEMA %[1]s; CREATE TABLE %[1]s.tokens (x int)", schema(foreign)))
	role := schema(foreign) + "_role"
	run(t, foreign, "CREATE ROLE "+role+" LOGIN")
	t.Cleanup(func() { run(t, foreign, "DROP ROLE "+role) })
	missing := storetest.Postgres(t)
	for name, c := range map[string]struct {
		address string
		want    error
		hint    string
	}{
		"another program's schema": {foreign, store.ErrForeign, "search_path"},
		"no right to make one":     {strings.Replace(missing, "quench@", role+"@", 1), store.ErrReadOnly, schema(missing)},
		"no such database":         {strings.Replace(missing, "/postgres?", "/nothere?", 1), store.ErrUnreachable, "nothere"},
		"no server":                {"postgres://u:hunter" + "2@127.0.0.1:1/db?sslmode=disable", store.ErrUnreachable, "127.0.0.1:1"},
		"no address":               {"postgres://u:hunter" + "2@[/db", nil, "percent"},
	} {
		s, err := store.Open(ctx, c.address, store.Options{Create: true})
		if err == nil {
			s.Close()
		}
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.hint) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: %v, want %v and %q", name, err, c.want, c.hint)
		}
	}
}

// A transaction is there once, or not at all, whenever connections are cut; and what
// InTx says of it is true.
func TestPostgresCuts(t *testing.T) {
	ctx := context.Background()
	address := onPostgres(t)
	s := open(t, address)
	var acknowledged, refused sync.Map
	var cuts atomic.Int64
	credit := make(chan struct{}, 1000) // one cut a transaction, else nothing gets anywhere
	var load, killer sync.WaitGroup
	for w := range 4 {
		load.Go(func() {
			for n := range 60 {
				credit <- struct{}{}
				key := fmt.Sprintf("%d-%d", w, n)
				err := s.InTx(ctx, func(tx *sql.Tx) error {
					for part := range 3 {
						if _, err := tx.Exec("INSERT INTO meta (key, value) VALUES (?, ?)", fmt.Sprintf("%s-%d", key, part), []byte{1}); err != nil {
							return err
						}
					}
					return nil
				})
				if err == nil {
					acknowledged.Store(key, true)
				} else {
					refused.Store(key, err)
				}
			}
		})
	}
	killer.Go(func() {
		for range credit {
			n, err := storetest.Cut(address, 1)
			if err != nil {
				t.Error(err)
			}
			cuts.Add(int64(n))
		}
	})
	load.Wait()
	close(credit)
	killer.Wait()
	n := 0
	acknowledged.Range(func(any, any) bool { n++; return true })
	refused.Range(func(key, err any) bool { t.Errorf("%v: %v", key, err); return true })
	var rows, broken int
	if err := s.Reader().QueryRow("SELECT count(*) FROM meta").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	if err := s.Reader().QueryRow("SELECT count(*) FROM (SELECT 1 FROM meta GROUP BY substr(key, 1, length(key) - 2) HAVING count(*) <> 3) AS odd").Scan(&broken); err != nil {
		t.Fatal(err)
	}
	if rows != 3*n || broken > 0 || n != 240 || cuts.Load() < 5 {
		t.Errorf("%d transactions were acknowledged, and there are %d rows, %d transactions half done", n, rows, broken)
	}
	t.Logf("%d transactions, %d connections were cut", n, cuts.Load())
}

// proxy stands between a store and its server; cut says which connections lose the
// answer to their commit.
type proxy struct {
	net.Listener
	network, server string
	cut             func() bool
	wg              sync.WaitGroup
}

// through starts a proxy to the server of address, and returns the address that
// leads through it.
func through(t *testing.T, address string, cut func() bool) string {
	t.Helper()
	conf, err := pgconn.ParseConfig(address)
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "pg") // the folder of a test may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &proxy{cut: cut}
	p.network, p.server = pgconn.NetworkAddress(conf.Host, conf.Port)
	if p.Listener, err = net.Listen("unix", filepath.Join(dir, ".s.PGSQL.5432")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close(); p.wg.Wait() })
	p.wg.Go(func() {
		for {
			c, err := p.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.serve(c) })
		}
	})
	return fmt.Sprintf("postgres://%s@/%s?host=%s&search_path=%s", conf.User, conf.Database, dir, schema(address))
}

func (p *proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial(p.network, p.server)
	if err != nil {
		return
	}
	defer server.Close()
	var mute atomic.Bool
	p.wg.Go(func() {
		defer server.Close()
		buf := make([]byte, 1<<16)
		for {
			n, err := client.Read(buf)
			if err != nil {
				return
			}
			if bytes.Equal(buf[:n], []byte("Q\x00\x00\x00\x0bcommit\x00")) && p.cut() {
				mute.Store(true)
			}
			if _, err := server.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	buf := make([]byte, 1<<16)
	for {
		n, err := server.Read(buf)
		if err != nil || mute.Load() { // answered, and nobody hears of it
			return
		}
		if _, err := client.Write(buf[:n]); err != nil {
			return
		}
	}
}

// A commit whose answer is lost is asked for, and not done twice.
func TestPostgresLostAnswer(t *testing.T) {
	ctx := context.Background()
	address := onPostgres(t)
	open(t, address).Close()
	var lost atomic.Int32
	s := open(t, through(t, address, func() bool { return lost.Add(1) <= 2 }))
	runs := 0
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		runs++
		_, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('k', ?)", []byte{1})
		return err
	})
	if err != nil || runs != 1 || lost.Load() == 0 {
		t.Fatalf("%v after %d runs, %d answers lost; want one run", err, runs, lost.Load())
	}
	if !s.Wrote() {
		t.Error("Wrote is false")
	}
	var n int
	if err := s.Reader().QueryRow("SELECT count(*) FROM meta WHERE key = 'k'").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// A commit that the server ends instead of doing is done by the next run.
func TestPostgresCommitEnded(t *testing.T) {
	ctx := context.Background()
	address := onPostgres(t)
	s := open(t, address)
	name := schema(address)
	run(t, address, fmt.Sprintf(`CREATE SEQUENCE %[1]s.commits;
		CREATE FUNCTION %[1]s.die() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF nextval('%[1]s.commits') <= 2 THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF;
			RETURN NULL;
		END $$;
		CREATE CONSTRAINT TRIGGER die AFTER INSERT ON %[1]s.meta DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION %[1]s.die()`, name))
	runs := 0
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		runs++
		_, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('k', ?)", []byte{1})
		return err
	})
	if err != nil || runs != 3 {
		t.Errorf("%v after %d runs; want success by the third", err, runs)
	}
}

// What ends the context of a transaction ends it, and nothing of it happened.
func TestPostgresGivenUp(t *testing.T) {
	s := open(t, onPostgres(t))
	ctx, cancel := context.WithCancel(context.Background())
	err := s.InTx(ctx, func(tx *sql.Tx) error {
		if _, err := tx.Exec("INSERT INTO meta (key, value) VALUES ('k', ?)", []byte{1}); err != nil {
			return err
		}
		cancel()
		_, err := tx.ExecContext(ctx, "SELECT pg_sleep(10)")
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
	var n int
	if err := s.Reader().QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

// Reads outlive the connection that they used.
func TestPostgresReadsAgain(t *testing.T) {
	address := onPostgres(t)
	s := open(t, address)
	stmt, err := s.Reader().Prepare("SELECT count(*) FROM meta WHERE key = ?")
	if err != nil {
		t.Fatal(err)
	}
	defer stmt.Close()
	for range 5 {
		var n int
		if err := stmt.QueryRow("x").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if err := s.Reader().QueryRow("SELECT count(*) FROM meta").Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n, err := storetest.Cut(address, 100); err != nil || n == 0 {
			t.Fatalf("%d connections were cut, %v", n, err)
		}
	}
}

const aToken = `INSERT INTO tokens (id, key_id, mac, fingerprint, origin, hint, owner, purpose, env, provider, scopes, tags, state, created_at, shape_len, shape_extra, seq)
	VALUES (?, ?, ?, 0, 'issued', '', 'o', 'p', 'live', '', '[]', '[]', 'live', 0, 20, '', ?)`

// A change is told to the other processes, also over a connection that had to be
// made anew; on SQLite nobody is told.
func TestChanges(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx := context.Background()
	address := storetest.Address(t, filepath.Join(t.TempDir(), "registry.db"))
	a, b := open(t, address), open(t, address)
	c, stop := a.Changes()
	other, stopOther := a.Changes()
	if !storetest.OnPostgres() {
		if c != nil {
			t.Error("SQLite tells of changes")
		}
		stop()
		a.Close()
		b.Close()
		return
	}
	await := func(what string, c <-chan struct{}) {
		t.Helper()
		select {
		case <-c:
		case <-time.After(10 * time.Second):
			t.Fatal("not told: " + what)
		}
	}
	g := a.TokenGlance()
	if !g.Changed() {
		t.Error("the first look says that nothing changed")
	}
	await("that it listens", c)
	await("that it listens", other)
	// What was said before it listened comes once more.
	glances := func(what string, want bool) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); g.Changed() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: a look says that tokens changed is %v", what, !want)
			}
		}
	}
	glances("it listens", false)
	for n := range 3 {
		if err := b.InTx(ctx, func(tx *sql.Tx) error {
			_, err := tx.Exec(aToken, fmt.Sprint(n), []byte("0000"), bytes.Repeat([]byte{byte(n)}, 32), n+1)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		await("a token", c)
		await("a token", other)
		if !g.Changed() {
			t.Error("a token changed, and a look says nothing did")
		}
		glances("nothing happens", false)
		run(t, address, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN quench_"+schema(address)+"%' AND pid <> pg_backend_pid()")
		await("a new connection", c)
		await("a new connection", other)
		if !g.Changed() {
			t.Error("nobody listened, and a look says that nothing changed")
		}
		glances("nothing happens", false)
	}
	if err := b.InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.Exec("INSERT INTO token_uses (token_id, uses, last_used_at) SELECT id, 1, 0 FROM tokens")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	stop()
	stop()
	if _, open := <-c; open {
		t.Error("a use was told, or the channel is open")
	}
	a.Close()
	if _, open := <-other; open {
		t.Error("the channel of a closed store is open")
	}
	for range 2 {
		if !g.Changed() {
			t.Error("nobody listens, and a look says that nothing changed")
		}
	}
	stopOther()
	if c, stop := a.Changes(); c != nil {
		if _, open := <-c; open {
			t.Error("a closed store tells")
		}
		stop()
	}
	b.Close()
}

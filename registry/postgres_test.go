package registry_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// What was acknowledged of issuing, rotating, revoking and verifying is there and
// nothing is half done, however often connections are cut meanwhile.
func TestCutConnections(t *testing.T) {
	if !storetest.OnPostgres() {
		t.Skip("of PostgreSQL only; SQLite has TestKill")
	}
	ctx := context.Background()
	p := newPlace(t)
	a, b := open(t, p.options()), open(t, p.options()) // as two machines with one pepper
	type fact struct {
		value     secret.Secret
		successor string
		revoked   bool
	}
	var mu sync.Mutex
	facts := map[string]fact{}
	var cuts atomic.Int64
	credit := make(chan struct{}, 1000) // one cut a step, else nothing gets anywhere
	var load, killer sync.WaitGroup
	for w, r := range []*registry.Registry{a, a, b} {
		load.Go(func() {
			for n := range 40 {
				credit <- struct{}{}
				tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: fmt.Sprint(w), Purpose: "load"})
				if err != nil {
					t.Error("issue:", err)
					continue
				}
				f := fact{value: value}
				if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
					t.Errorf("verify: %+v, %v", v, err)
				}
				credit <- struct{}{}
				switch n % 3 {
				case 0:
					next, _, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{})
					if err != nil {
						t.Error("rotate:", err)
					}
					f.successor, f.revoked = next.ID, true
				case 1:
					if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{Reason: "load"}); err != nil {
						t.Error("revoke:", err)
					}
					f.revoked = true
				}
				mu.Lock()
				facts[tok.ID] = f
				mu.Unlock()
			}
		})
	}
	killer.Go(func() {
		for range credit {
			n, err := storetest.Cut(p.db, 1)
			if err != nil {
				t.Error(err)
			}
			cuts.Add(int64(n))
		}
	})
	load.Wait()
	close(credit)
	killer.Wait()
	t.Logf("%d connections were cut", cuts.Load())
	if cuts.Load() < 30 {
		t.Error("too few to mean anything")
	}

	events := map[string]int{}
	if err := a.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Audit().Verify(ctx); err != nil {
		t.Fatal(err)
	}
	if err := a.Audit().Each(ctx, 0, "", func(e audit.Entry) error { events[e.Kind+" "+e.TokenID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	all, err := a.List(ctx, registry.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]registry.Token{}
	for _, tok := range all {
		there[tok.ID] = tok
		if events["token.issue "+tok.ID] != 1 || (tok.State == registry.Revoked) != (events["token.revoke "+tok.ID] == 1) {
			t.Errorf("token %s is %s, and its events are %d of issue and %d of revoke", tok.ID, tok.State, events["token.issue "+tok.ID], events["token.revoke "+tok.ID])
		}
	}
	want := 0
	for id, f := range facts {
		want++
		if tok, ok := there[id]; !ok || (tok.State == registry.Revoked) != f.revoked {
			t.Errorf("%s: %v %s; revoked %v was acknowledged", id, ok, tok.State, f.revoked)
		}
		if events["token.first_use "+id] != 1 {
			t.Errorf("%s: %d first uses", id, events["token.first_use "+id])
		}
		if f.successor != "" {
			want++
			if s, ok := there[f.successor]; !ok || s.Predecessor != id {
				t.Errorf("the successor of %s is not there", id)
			}
		}
		if v, err := b.Verify(ctx, f.value, registry.Use{}); err != nil || v.Valid == f.revoked {
			t.Errorf("%s: %+v, %v", id, v, err)
		}
	}
	if len(all) != want {
		t.Errorf("%d tokens, and %d were acknowledged: something was done twice", len(all), want)
	}
}

// Of two machines that begin one registry at once, one makes the pepper; the other is
// told to bring it, and makes none.
func TestTwoHosts(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	db := storetest.Address(t, filepath.Join(dir, "state", "registry.db"))
	at := func(host int) registry.Options {
		return registry.Options{Path: db, Create: true, Pepper: registry.PepperSource{File: filepath.Join(dir, fmt.Sprint("host", host), "pepper")}, Actor: "tester"}
	}
	const hosts = 4
	var all [hosts]*registry.Registry
	var errs [hosts]error
	var wg sync.WaitGroup
	for i := range hosts {
		wg.Go(func() { all[i], errs[i] = registry.Open(ctx, at(i)) })
	}
	wg.Wait()
	first := -1
	for i, r := range all {
		if r != nil {
			defer r.Close()
			if first >= 0 {
				t.Errorf("hosts %d and %d have a pepper each", first, i)
			}
			first = i
			continue
		}
		if !errors.Is(errs[i], registry.ErrPepper) || !strings.Contains(errs[i].Error(), "bring") {
			t.Errorf("host %d: %v, want ErrPepper and how to bring it", i, errs[i])
		}
		if left, _ := filepath.Glob(filepath.Join(dir, fmt.Sprint("host", i), "*")); len(left) > 0 {
			t.Errorf("host %d was refused, and left %v", i, left)
		}
	}
	if first < 0 {
		t.Fatal("nobody began it:", errs)
	}
	_, value := issue(t, all[first], registry.IssueRequest{})
	other := at((first + 1) % hosts)
	other.Pepper.File = at(first).Pepper.File
	if v, err := open(t, other).Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("a host that was brought the pepper: %+v, %v", v, err)
	}
}

// noPlaintextInTables reads every row of every table as text.
func noPlaintextInTables(t *testing.T, r *registry.Registry, values []secret.Secret) {
	db := r.Store().Reader()
	column := func(query string) (all []string) {
		rows, err := db.Query(query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var s string
			if err := rows.Scan(&s); err != nil {
				t.Fatal(err)
			}
			all = append(all, s)
		}
		return all
	}
	tables := column("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
	if len(tables) < 10 {
		t.Fatalf("the tables are %v", tables)
	}
	n := 0
	for _, table := range tables {
		for _, row := range column("SELECT CAST(x AS text) FROM " + table + " AS x") {
			n++
			for i, v := range values {
				part := v.Reveal()[10:]
				if strings.Contains(row, string(part)) || strings.Contains(row, hex.EncodeToString(part)) {
					t.Errorf("table %s holds value %d", table, i)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("there are %d rows", n)
	}
}

// Processes of one machine that begin a registry at once all have it.
func TestBegunTogether(t *testing.T) {
	for range 6 {
		p := newPlace(t)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				r, err := registry.Open(context.Background(), p.options())
				if err != nil {
					t.Error(err)
					return
				}
				r.Close()
			})
		}
		wg.Wait()
	}
}

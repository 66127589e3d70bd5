package registry_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/httpauth"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// TestServerRestart runs TestRestartedServer beside a server of its own, since others
// use the one that there is. QUENCH_TEST_RESTARTS says how often it is restarted.
func TestServerRestart(t *testing.T) {
	if !storetest.OnPostgres() || testing.Short() {
		t.Skip("of PostgreSQL only, and a server takes seconds to start")
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("testdata/postgres is run by go run")
	}
	child := exec.Command(goTool, "run", "../testdata/postgres", os.Args[0], "-test.run=^TestRestartedServer$", "-test.v")
	child.Env = append(os.Environ(), "QUENCH_TEST_RESTARTED=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestRestartedServer") {
		t.Fatalf("%v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "restart_test.go:") {
			t.Log(strings.TrimSpace(line))
		}
	}
}

// server says something to testdata/postgres.
func server(t *testing.T, what string) {
	t.Helper()
	c, err := net.Dial("unix", os.Getenv("QUENCH_POSTGRES_CONTROL"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fmt.Fprintln(c, what)
	if said, err := bufio.NewReader(c).ReadString('\n'); err != nil || said != "ok\n" {
		t.Fatalf("%s: %s %v", what, said, err)
	}
}

// acknowledged is what a load was told of its tokens.
type acknowledged struct {
	mu                sync.Mutex
	facts             map[string]*fact
	unsaid, uncertain int // changes that failed, and those of which nobody knows
}

type fact struct {
	value                   secret.Secret
	used, revoked           bool
	mayBeRevoked, mayBeUsed bool // it was tried, and failed
}

// change issues, verifies and revokes a token, and notes what was acknowledged.
func (a *acknowledged) change(t *testing.T, ctx context.Context, r *registry.Registry) {
	failed := func(err error) bool {
		if err == nil {
			return false
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		a.unsaid++
		if strings.Contains(err.Error(), "look before you repeat") {
			a.uncertain++
		}
		return true
	}
	tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "load"})
	if failed(err) {
		return
	}
	f := &fact{value: value}
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.facts[tok.ID] = f
	}()
	v, err := r.Verify(ctx, value, registry.Use{})
	if f.mayBeUsed = failed(err); f.mayBeUsed {
		if v.Valid {
			t.Errorf("valid, and %v", err)
		}
		return
	}
	if f.used = v.Valid; !v.Valid {
		t.Errorf("a live token is %s", v.Reason)
	}
	if rand.IntN(2) == 0 {
		_, _, err = r.Do(ctx, registry.Revoke, tok.ID, registry.Change{})
		f.mayBeRevoked = failed(err)
		f.revoked = err == nil
	}
}

func (a *acknowledged) count() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.facts)
}

// While a server is stopped, in order or as by a crash, and started again: what was
// acknowledged of issuing, verifying and revoking is there, and nothing twice; nobody is
// let in meanwhile; all of it goes on by itself.
func TestRestartedServer(t *testing.T) {
	if os.Getenv("QUENCH_TEST_RESTARTED") == "" || !storetest.OnPostgres() {
		t.Skip("only as the child of TestServerRestart")
	}
	rounds := 2
	if n, err := strconv.Atoi(os.Getenv("QUENCH_TEST_RESTARTS")); err == nil {
		rounds = n
	}
	ctx := context.Background()
	p := newPlace(t)
	a, b := open(t, p.options()), open(t, p.options())
	set := newMatch(t, a)
	defer set.Close()
	told, stop := a.Store().Changes()
	defer stop()
	_, old := issue(t, a, registry.IssueRequest{Scopes: []string{"read:a"}})
	if v, err := a.Verify(ctx, old, registry.Use{}); err != nil || !v.Valid {
		t.Fatal(v, err)
	}
	said := &acknowledged{facts: map[string]*fact{}}
	loading, end := context.WithCancel(ctx)
	var load sync.WaitGroup
	for _, r := range []*registry.Registry{a, a, b, b} {
		load.Go(func() {
			for loading.Err() == nil {
				said.change(t, ctx, r)
			}
		})
	}
	for n := range rounds {
		for said.count() < 10*(n+1) { // however slow the machine is
			<-time.After(time.Millisecond)
		}
		<-time.After(time.Duration(rand.Int64N(int64(300 * time.Millisecond))))
		mode := []string{"immediate", "fast"}[n%2]
		server(t, mode)
		down := time.Now()
		refusedWhileDown(t, a, old)
		server(t, "start")
		up := time.Now()
		if v, err := a.Verify(ctx, old, registry.Use{}); err != nil || !v.Valid {
			t.Fatalf("after the restart: %+v, %v", v, err)
		}
		verified := time.Since(up)
		// The set learns of what another process does after the restart.
		if _, err := b.Import(ctx, registry.ImportRequest{Value: odd(n), Owner: "o", Purpose: "p"}); err != nil {
			t.Fatal(err)
		}
		at := time.Now()
		for !found(set.Lookup(odd(n).Reveal())) {
			if time.Since(at) > 15*time.Second {
				t.Fatalf("the set did not catch up: %v", set.Err())
			}
			<-time.After(time.Millisecond)
		}
		reached := time.Since(at)
		// And it is told, and does not merely look.
		for len(told) > 0 {
			<-told
		}
		select {
		case <-told: // the load changes tokens all the time
		case <-time.After(15 * time.Second):
			t.Fatal("nobody is told of changes any more")
		}
		t.Logf("%s: down for %.1f s; verified %.0f ms after it was up; a change reached the set in %.0f ms", mode, up.Sub(down).Seconds(), verified.Seconds()*1000, reached.Seconds()*1000)
	}
	end()
	load.Wait()
	t.Logf("%d restarts under load: %d tokens acknowledged, %d calls failed, %d of them uncertain", rounds, len(said.facts), said.unsaid, said.uncertain)
	said.check(t, a)
}

func found[T any](_ T, ok bool) bool { return ok }

// refusedWhileDown holds that a live token is let in by nobody but who asked for that.
func refusedWhileDown(t *testing.T, r *registry.Registry, value secret.Secret) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	if v, err := r.Verify(ctx, value, registry.Use{}); err == nil || v.Valid {
		t.Errorf("with the server down: %+v, %v", v, err)
	}
	for open, want := range map[bool]int{false: http.StatusServiceUnavailable, true: http.StatusOK} {
		guard, err := httpauth.New(httpauth.Options{Verifier: r, Scope: "read:a", Open: open})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
		defer cancel()
		req := httptest.NewRequestWithContext(ctx, "GET", "/", nil)
		req.Header.Set("Authorization", "Bearer "+string(value.Reveal()))
		w := httptest.NewRecorder()
		guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, req)
		if w.Code != want {
			t.Errorf("with the server down and Open %v: %d, want %d", open, w.Code, want)
		}
	}
}

// check holds the registry against what was acknowledged, and its rows against its log.
func (a *acknowledged) check(t *testing.T, r *registry.Registry) {
	ctx := context.Background()
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	if err := r.Audit().Each(ctx, 0, "", func(e audit.Entry) error { events[e.Kind+" "+e.TokenID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	for id, f := range a.facts {
		tok, err := r.Token(ctx, id)
		if errors.Is(err, registry.ErrNoToken) {
			t.Errorf("%s was issued, and is not there", id)
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		revoked := tok.State == registry.Revoked
		if revoked != f.revoked && !(f.mayBeRevoked && revoked) {
			t.Errorf("%s is %s; its revocation was acknowledged: %v", id, tok.State, f.revoked)
		}
		want := 0
		if revoked {
			want = 1
		}
		used := events["token.first_use "+id]
		if events["token.issue "+id] != 1 || events["token.revoke "+id] != want || used != 1 && !(f.mayBeUsed && used == 0) {
			t.Errorf("%s is %s; its events are %d of issue, %d of revoke, %d of its first use", id, tok.State, events["token.issue "+id], events["token.revoke "+id], used)
		}
		v, err := r.Verify(ctx, f.value, registry.Use{})
		if err != nil || v.Valid == revoked {
			t.Errorf("%s is %s and verifies as %+v, %v", id, tok.State, v, err)
		}
	}
}

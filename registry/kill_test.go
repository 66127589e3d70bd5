package registry_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// TestChangeUntilKilled is the child of TestKill: it issues, uses, rotates, suspends
// and revokes from several goroutines until it is killed. Each change is told twice:
// "? ID STATE" before it, and "! ID STATE VALUE" once it is acknowledged.
func TestChangeUntilKilled(t *testing.T) {
	dir := os.Getenv("QUENCH_TEST_KILL")
	if dir == "" {
		t.Skip("only as the child of TestKill")
	}
	r := open(t, place{os.Getenv("QUENCH_TEST_KILL_DB"), filepath.Join(dir, "config", "pepper")}.options())
	var mu sync.Mutex
	tell := func(words ...any) { mu.Lock(); defer mu.Unlock(); fmt.Println(words...) }
	ctx := context.Background()
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				changeOne(ctx, r, tell)
			}
		})
	}
	wg.Wait()
}

// changeOne takes a token through a part of its life.
func changeOne(ctx context.Context, r *registry.Registry, tell func(...any)) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: "kill", MaxUses: 5})
	must(err)
	tell("!", tok.ID, registry.Live, string(value.Reveal()))
	for range rand.IntN(4) {
		tell("?", tok.ID, "use")
		_, err := r.Verify(ctx, value, registry.Use{})
		must(err)
		tell("!", tok.ID, "use")
	}
	if rand.IntN(2) == 0 {
		tell("?", tok.ID, registry.Suspended)
		_, _, err := r.Do(ctx, registry.Suspend, tok.ID, registry.Change{})
		must(err)
		tell("!", tok.ID, registry.Suspended)
		return
	}
	tell("?", tok.ID, registry.Revoked)
	if rand.IntN(2) == 0 {
		next, value, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{})
		must(err)
		tell("!", next.ID, registry.Live, string(value.Reveal()))
	} else {
		_, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{})
		must(err)
	}
	tell("!", tok.ID, registry.Revoked)
}

// lot is what the children said of a token.
type lot struct {
	state, begun string // acknowledged, and begun and not acknowledged
	uses         int64
	using        bool // a use was begun and not acknowledged
	value        secret.Secret
}

type lots map[string]*lot

// hear takes a line of a child.
func (l lots) hear(line string) {
	f := strings.Fields(line)
	if len(f) < 3 || f[0] != "!" && f[0] != "?" {
		return
	}
	x := l[f[1]]
	if x == nil {
		x = &lot{}
		l[f[1]] = x
	}
	switch {
	case f[2] == "use":
		if x.using = f[0] == "?"; !x.using {
			x.uses++
		}
	case f[0] == "?":
		x.begun = f[2]
	default:
		x.state, x.begun = f[2], ""
	}
	if len(f) == 4 {
		x.value = secret.NewString(f[3])
	}
}

// A process killed at any moment loses nothing that it acknowledged, and leaves
// nothing half done; the log is sound, and no file holds a token. QUENCH_TEST_KILLS
// says how often (make crash: 200 times).
func TestKill(t *testing.T) {
	rounds := 25
	if testing.Short() || storetest.OnPostgres() {
		rounds = 6
	}
	if n, err := strconv.Atoi(os.Getenv("QUENCH_TEST_KILLS")); err == nil {
		rounds = n
	}
	p := newPlace(t)
	dir := filepath.Dir(filepath.Dir(p.pepper))
	said := lots{}
	var errs bytes.Buffer
	for round := range rounds {
		child := exec.Command(os.Args[0], "-test.run=^TestChangeUntilKilled$")
		child.Env = append(os.Environ(), "QUENCH_TEST_KILL="+dir, "QUENCH_TEST_KILL_DB="+p.db)
		child.Stderr = &errs
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			said.hear(lines.Text())
			if n == 0 { // a change takes a millisecond or two: any of its moments
				time.AfterFunc(time.Duration(rand.Int64N(int64(30*time.Millisecond))), func() { child.Process.Kill() })
			}
		}
		if err := child.Wait(); err == nil || errs.Len() > 0 {
			t.Fatalf("round %d: the child was not killed: %v, %s", round, err, errs.String())
		}
		checkLots(t, p, said)
		if t.Failed() {
			t.Fatalf("after kill %d", round+1)
		}
	}
	t.Logf("%d kills, %d tokens", rounds, len(said))
	checkValues(t, p, said)
	noValue(t, dir, said)
}

// checkLots holds the registry against what was said of it, and its rows against its log.
func checkLots(t *testing.T, p place, said lots) {
	ctx := context.Background()
	r := open(t, p.options())
	defer r.Close()
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
	all, err := r.List(ctx, registry.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	events := map[string]int{}
	if err := r.Audit().Each(ctx, 0, "", func(e audit.Entry) error { events[e.Kind+" "+e.TokenID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	have, followed := map[string]bool{}, map[string]int{}
	for _, tok := range all {
		have[tok.ID] = true
		followed[tok.Predecessor]++
		n := func(kind string) int { return events["token."+kind+" "+tok.ID] }
		uses := int64(n("first_use") + n("use"))
		if n("issue") != 1 || (tok.State == registry.Revoked) != (n("revoke") == 1) || (tok.State == registry.Suspended) != (n("suspend") == 1) || tok.Uses != uses {
			t.Errorf("token %s is %s with %d uses; its events are %v", tok.ID, tok.State, tok.Uses, events)
		}
		x := said[tok.ID]
		if x == nil { // issued, and killed before it could say so
			continue
		}
		if x.state != "" && tok.State != x.state && tok.State != x.begun {
			t.Errorf("token %s is %s; acknowledged was %q, begun %q", tok.ID, tok.State, x.state, x.begun)
		}
		if tok.Uses != x.uses && !(x.using && tok.Uses == x.uses+1) {
			t.Errorf("token %s has %d uses; %d were acknowledged, one more begun: %v", tok.ID, tok.Uses, x.uses, x.using)
		}
		x.uses, x.using = tok.Uses, false // what came of it is known now
		if x.begun != "" {
			x.state, x.begun = tok.State, ""
		}
	}
	for _, tok := range all {
		// A rotation is the successor, the event of it, and the end of the old one.
		if n := events["token.rotate "+tok.ID]; n != followed[tok.ID] || n == 1 && tok.State != registry.Revoked {
			t.Errorf("token %s is %s, was rotated %d times and has %d successors", tok.ID, tok.State, n, followed[tok.ID])
		}
	}
	for id, x := range said {
		if x.state != "" && !have[id] {
			t.Errorf("token %s was acknowledged as %s and is not there", id, x.state)
		}
	}
}

// checkValues verifies what was issued.
func checkValues(t *testing.T, p place, said lots) {
	r := open(t, p.options())
	defer r.Close()
	for id, x := range said {
		if x.value.IsZero() {
			continue
		}
		want := x.state
		if want == registry.Live {
			want = registry.ReasonValid
			if x.uses >= 5 {
				want = registry.ReasonUsedUp
			}
		}
		if v, err := r.Verify(context.Background(), x.value, registry.Use{}); err != nil || v.Reason != want || v.Token.ID != id {
			t.Errorf("token %s, %s: %+v, %v", id, x.state, v, err)
		}
	}
}

// noValue looks for the secret part of each value in every file below dir: the
// database, its WAL, the folder of the pepper.
func noValue(t *testing.T, dir string, said lots) {
	t.Helper()
	const n = 32
	secrets := map[string]string{}
	for id, x := range said {
		if b := x.value.Reveal(); len(b) > n+6 {
			secrets[string(b[len(b)-n-6:len(b)-6])] = id
		}
	}
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		files++
		for i := 0; i+n <= len(b); i++ {
			if id, ok := secrets[string(b[i:i+n])]; ok {
				t.Errorf("%s holds the value of token %s at %d", path, id, i)
			}
		}
		return nil
	})
	if err != nil || files == 0 || len(secrets) == 0 {
		t.Errorf("%d files, %d values, %v", files, len(secrets), err)
	}
}

// A full disk refuses changes in words, undoes them whole, and is over when there is
// room again. Refusals and limited uses are not answered, since they could not be
// written down.
func TestDiskFull(t *testing.T) {
	storetest.OnlySQLite(t)
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	limited, value := issue(t, r, registry.IssueRequest{MaxUses: 1000})
	var pages int
	if err := r.Store().Writer().QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if _, err := r.Store().Writer().Exec(fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages + 3)
	issued := []string{limited.ID}
	var full error
	for range 1000 {
		tok, _, err := r.Issue(ctx, registry.IssueRequest{Owner: "ann", Purpose: strings.Repeat("long", 200)})
		if err != nil {
			full = err
			break
		}
		issued = append(issued, tok.ID)
	}
	if !errors.Is(full, store.ErrFull) {
		t.Fatalf("%d issued, %v; want ErrFull", len(issued), full)
	}
	var uses int64
	for range 1000 {
		v, err := r.Verify(ctx, value, registry.Use{})
		if err != nil {
			if !errors.Is(err, store.ErrFull) || v.Valid {
				t.Errorf("a use: %+v, %v", v, err)
			}
			break
		}
		uses++
	}
	check := func(more int64) {
		all, err := r.List(ctx, registry.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, tok := range all {
			ids = append(ids, tok.ID)
			if tok.ID == limited.ID && tok.Uses != uses+more {
				t.Errorf("%d uses, want %d", tok.Uses, uses+more)
			}
		}
		slices.Sort(ids)
		if want := slices.Sorted(slices.Values(issued)); !slices.Equal(ids, want) {
			t.Errorf("tokens %v, want %v", ids, want)
		}
		if _, err := r.Audit().Verify(ctx); err != nil {
			t.Error(err)
		}
	}
	check(0)
	limit(1 << 30)
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("with room again: %+v, %v", v, err)
	}
	check(1)
}

// A clock set back by a day stops nothing and breaks no record: what was revoked
// stays so, and uses, changes and the log go on.
func TestClockSetBackWhileChanging(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{TTL: 2 * time.Hour})
	gone, goneValue := issue(t, r, registry.IssueRequest{})
	if _, _, err := r.Do(ctx, registry.Revoke, gone.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Verify(ctx, value, registry.Use{}); err != nil {
		t.Fatal(err)
	}
	c.move(-24 * time.Hour)
	for range 2 {
		if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if v, err := r.Verify(ctx, goneValue, registry.Use{}); err != nil || v.Reason != registry.ReasonRevoked {
		t.Errorf("a revoked one: %+v, %v", v, err)
	}
	next, _, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{Overlap: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	old, err := r.Token(ctx, tok.ID)
	if err != nil || !old.ExpiresAt.Equal(c.now().Add(time.Minute)) || next.ExpiresAt.Sub(c.now()) != 2*time.Hour {
		t.Errorf("rotated: %s and %s, %v", old.ExpiresAt, next.ExpiresAt, err)
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := r.Audit().Checkpoint(ctx); err != nil {
		t.Error(err)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
	c.move(48 * time.Hour)
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonExpired {
		t.Errorf("set right again: %+v, %v", v, err)
	}
}

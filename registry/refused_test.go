package registry_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/values"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner/secret"
)

// garbage is a value in our own form that no registry issued.
func garbage(t testing.TB) secret.Secret {
	plain, err := rules.QuenchToken("qnk", "live", []byte(values.Random(rules.TokenIDLen)), []byte(values.Random(rules.TokenSecretLen)))
	if err != nil {
		t.Fatal(err)
	}
	return secret.New(plain)
}

// However often what is no token is shown, the log grows by one event for each reason;
// the refusal of a token is an event of its own, there before the answer is.
func TestGarbageTogether(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{})
	// Also where several peppers are looked through, and what another process did is
	// found by a transaction.
	other := open(t, o)
	if _, err := other.RotatePepper(ctx); err != nil {
		t.Fatal(err)
	}
	before, err := r.Audit().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	const n = 50
	for i := range n {
		use := registry.Use{Client: fmt.Sprint("client ", i)}
		if v, err := r.Verify(ctx, garbage(t), use); err != nil || v.Reason != registry.ReasonUnknown || v.Valid || v.Token != nil {
			t.Fatal(v, err)
		}
		if v, err := r.Verify(ctx, secret.NewString("short"), use); err != nil || v.Reason != registry.ReasonMalformed || v.Valid {
			t.Fatal(v, err)
		}
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid { // under the old pepper
		t.Fatal(v, err)
	}
	if _, _, err := other.Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonRevoked {
			t.Fatal(v, err)
		}
	}
	if n := told(t, other, tok.ID)["token.refuse"]; n != 3 { // before anything is flushed
		t.Errorf("%d refusals of a token are on disk; want 3", n)
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	refused := map[string]int{}
	events := 0
	err = r.Audit().Each(ctx, before.N, "", func(e audit.Entry) error {
		if e.Kind == "token.refuse" && e.TokenID == "" {
			var n int
			fmt.Sscan(e.Details["refusals"], &n)
			refused[e.Details["reason"]] += n
			events++
			if c := e.Details["client"]; len(c) > 200 {
				t.Errorf("the event tells of all: %q", c)
			}
		}
		return nil
	})
	// The first second may have ended within the loop.
	if err != nil || refused[registry.ReasonUnknown] != n || refused[registry.ReasonMalformed] != n || events > 4 {
		t.Errorf("%v in %d events, %v; want %d of both reasons", refused, events, err, n)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

// A program that verifies one token and ends has the refusal on disk when it answers.
func TestGarbageOfEachUse(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	o.EachUse = true
	r := open(t, o)
	issue(t, r, registry.IssueRequest{})
	if _, err := r.Verify(ctx, garbage(t), registry.Use{}); err != nil {
		t.Fatal(err)
	}
	if n := told(t, r, "")["token.refuse"]; n != 1 {
		t.Errorf("%d events; want 1", n)
	}
}

// TestRevokeElsewhere is the child of TestRevokedByAnotherProcess: it revokes the tokens
// whose ids it reads, and tells each when that is done.
func TestRevokeElsewhere(t *testing.T) {
	dir := os.Getenv("QUENCH_TEST_REVOKE")
	if dir == "" {
		t.Skip("only as the child of TestRevokedByAnotherProcess")
	}
	r := open(t, place{os.Getenv("QUENCH_TEST_REVOKE_DB"), filepath.Join(dir, "config", "pepper")}.options())
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		action, id, _ := strings.Cut(lines.Text(), " ")
		if _, _, err := r.Do(context.Background(), registry.Action(action), id, registry.Change{}); err != nil {
			t.Fatal(err)
		}
		fmt.Println("done", id)
	}
}

// What another process has revoked or suspended is refused by the very next Verify, and
// what it resumed is good again, while other goroutines keep the token at hand.
func TestRevokedByAnotherProcess(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	child := exec.Command(os.Args[0], "-test.run=^TestRevokeElsewhere$")
	child.Env = append(os.Environ(), "QUENCH_TEST_REVOKE="+filepath.Dir(filepath.Dir(p.pepper)), "QUENCH_TEST_REVOKE_DB="+p.db)
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	busy, busyValue := issue(t, r, registry.IssueRequest{}) // so that the child finds a registry
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer child.Wait()
	defer in.Close()
	lines := bufio.NewScanner(out)
	elsewhere := func(action registry.Action, id string) {
		t.Helper()
		if _, err := io.WriteString(in, string(action)+" "+id+"\n"); err != nil {
			t.Fatal(err)
		}
		for lines.Scan() {
			if lines.Text() == "done "+id {
				return
			}
		}
		t.Fatal("the other process ended")
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				if v, err := r.Verify(ctx, busyValue, registry.Use{}); err != nil || !v.Valid {
					t.Errorf("token %s, which nobody touched: %s, %v", busy.ID, v.Reason, err)
					return
				}
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for i := range 30 {
		tok, value := issue(t, r, registry.IssueRequest{})
		verify := func(want string) {
			t.Helper()
			if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != want {
				t.Fatalf("token %d: %s, %v; want %s", i, v.Reason, err, want)
			}
		}
		for range 3 {
			verify(registry.ReasonValid)
		}
		if i%3 == 0 {
			elsewhere(registry.Suspend, tok.ID)
			verify(registry.ReasonSuspended)
			elsewhere(registry.Resume, tok.ID)
			verify(registry.ReasonValid)
		}
		elsewhere(registry.Revoke, tok.ID)
		verify(registry.ReasonRevoked)
	}
}

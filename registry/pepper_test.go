package registry_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/scanner/secret"
)

func rotatePepper(t testing.TB, r *registry.Registry) string {
	t.Helper()
	id, err := r.RotatePepper(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func verdict(t testing.TB, r *registry.Registry, value secret.Secret) string {
	t.Helper()
	v, err := r.Verify(context.Background(), value, registry.Use{})
	if err != nil {
		t.Fatal(err)
	}
	return v.Reason
}

// counts is "state tokens" of each pepper, the newest first.
func counts(t testing.TB, r *registry.Registry) string {
	t.Helper()
	all, err := r.Peppers(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, p := range all {
		s = append(s, fmt.Sprintf("%s %d", p.State, p.Tokens))
	}
	return strings.Join(s, ", ")
}

// A pepper is replaced while an older process works on: it learns of the new one,
// tokens move as they are verified, and what is under either is found by a scan.
func TestPepperRotation(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	old, r := open(t, p.options()), open(t, p.options())
	key := r.Audit().Key()
	_, first := issue(t, r, registry.IssueRequest{})
	_, idle := issue(t, r, registry.IssueRequest{})
	dead, gone := issue(t, r, registry.IssueRequest{})
	if _, _, err := r.Do(ctx, registry.Revoke, dead.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	set, err := old.Match(ctx)
	if err != nil {
		t.Fatal(err)
	}
	oldID := strings.Fields(counts(t, r))[0]
	was, err := r.Peppers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	newID := rotatePepper(t, r)
	if was[0].ID == newID || oldID != "primary" {
		t.Fatalf("rotated from %+v to %s", was[0], newID)
	}
	_, second := issue(t, r, registry.IssueRequest{})
	_, third := issue(t, old, registry.IssueRequest{}) // by a process that had only the old one
	if got := counts(t, r); got != "primary 2, active 3" {
		t.Errorf("after rotation: %s", got)
	}
	if err := set.Refresh(ctx); err != nil {
		t.Fatal(err)
	}
	for i, v := range []secret.Secret{first, second, third, idle, gone} {
		if tok, ok := set.Lookup(v.Reveal()); !ok {
			t.Errorf("value %d is not found by a scan: %v", i, tok)
		}
	}
	one, other := string(set.Snapshot().Key()), string(set.Snapshot().Key())
	if one == other {
		t.Error("a snapshot of two keys is like another one")
	}
	for i, v := range []secret.Secret{first, second, third} {
		if verdict(t, old, v) != registry.ReasonValid || verdict(t, r, v) != registry.ReasonValid {
			t.Errorf("value %d is refused", i)
		}
	}
	if got := verdict(t, r, gone); got != registry.ReasonRevoked {
		t.Errorf("the revoked token is %s", got)
	}
	if got := counts(t, r); got != "primary 4, active 1" {
		t.Errorf("after verifying: %s", got)
	}
	if _, err := r.Import(ctx, registry.ImportRequest{Value: idle, Owner: "o", Purpose: "p"}); !errors.Is(err, registry.ErrDuplicate) {
		t.Errorf("a value under the older pepper imported again: %v, want ErrDuplicate", err)
	}
	for _, n := range []int64{0, 2} {
		if err := r.RetirePepper(ctx, was[0].ID, n); !errors.Is(err, pepper.ErrInUse) || !strings.Contains(err.Error(), "--forget 1") {
			t.Errorf("retired with %d: %v, want ErrInUse and the count", n, err)
		}
	}
	if err := r.RetirePepper(ctx, newID, 4); !errors.Is(err, pepper.ErrInUse) {
		t.Errorf("the newest was retired: %v", err)
	}
	if err := r.RetirePepper(ctx, "nosuch'; --", 0); !errors.Is(err, pepper.ErrNone) {
		t.Errorf("%v, want ErrNone", err)
	}
	if got := verdict(t, r, idle); got != registry.ReasonValid {
		t.Errorf("the idle token is %s", got)
	}
	if err := r.RetirePepper(ctx, was[0].ID, 0); err != nil {
		t.Fatal(err)
	}
	if got := counts(t, r); got != "primary 5, retired 0" {
		t.Errorf("after retiring: %s", got)
	}
	if verdict(t, old, idle) != registry.ReasonValid {
		t.Error("the older process no longer knows a token")
	}
	old.Close()
	r.Close()
	// The old one may be taken out of the file now, and the log goes on.
	text, err := os.ReadFile(p.pepper)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	if err := os.WriteFile(p.pepper, []byte(lines[1]+"\n"), 0o600); err != nil || len(lines) != 2 {
		t.Fatal(len(lines), err)
	}
	r = open(t, p.options())
	if verdict(t, r, first) != registry.ReasonValid || r.Audit().Key() != key {
		t.Error("without the retired pepper the registry is another")
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

func TestPepperLimitsAndLoss(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	_, value := issue(t, r, registry.IssueRequest{})
	rotatePepper(t, r)
	rotatePepper(t, r)
	if _, err := r.RotatePepper(ctx); !errors.Is(err, pepper.ErrTooMany) {
		t.Errorf("a fourth pepper: %v, want ErrTooMany", err)
	}
	if got := counts(t, r); got != "primary 0, active 0, active 1" {
		t.Errorf("counts %s", got)
	}
	all, err := r.Peppers(ctx)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	text, err := os.ReadFile(p.pepper)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Fields(string(text))
	// The oldest is lost: clear refusal by its id, and it can be given up.
	o := p.options()
	o.Pepper = registry.PepperSource{Value: secret.NewString(lines[2] + "," + lines[1])}
	if _, err := registry.Open(ctx, o); !errors.Is(err, registry.ErrPepper) || !strings.Contains(err.Error(), all[2].ID) {
		t.Errorf("without the oldest: %v, want ErrPepper and %s", err, all[2].ID)
	}
	o.WithoutPepper = all[2].ID
	r = open(t, o)
	if got := verdict(t, r, value); got != registry.ReasonUnknown {
		t.Errorf("a token under a lost pepper is %s", got)
	}
	if err := r.RetirePepper(ctx, all[2].ID, 1); err != nil {
		t.Fatal(err)
	}
	r.Close()
	o.WithoutPepper = ""
	r = open(t, o)
	if got := counts(t, r); got != "primary 0, active 0, retired 1" {
		t.Errorf("counts %s", got)
	}
	// From the environment nothing can be added, and what is there is used.
	if _, err := r.RotatePepper(ctx); !errors.Is(err, registry.ErrPepper) || !strings.Contains(err.Error(), "add one to it") {
		t.Errorf("rotated without a new one: %v", err)
	}
}

// TestPepperCommandChild is a command that writes a pepper, or does what a broken
// one does.
func TestPepperCommandChild(t *testing.T) {
	switch os.Getenv("QUENCH_TEST_PEPPER_CHILD") {
	case "":
		t.Skip("only as a child")
	case "fails":
		fmt.Println("sesame")
		fmt.Fprintln(os.Stderr, "sesame")
		os.Exit(3)
	default:
		fmt.Println(os.Getenv("QUENCH_TEST_PEPPER_CHILD"))
		os.Exit(0)
	}
}

func TestPepperFromCommand(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	o.Pepper = registry.PepperSource{Command: []string{os.Args[0], "-test.run=^TestPepperCommandChild$"}, Checkpoints: t.TempDir()}
	t.Setenv("QUENCH_TEST_PEPPER_CHILD", strings.Repeat("5a", 32))
	r := open(t, o)
	_, value := issue(t, r, registry.IssueRequest{})
	r.Close()
	if r := open(t, o); verdict(t, r, value) != registry.ReasonValid {
		t.Error("a registry under a command's pepper does not know its token")
	}
	for _, c := range []struct{ gives, want string }{
		{"fails", "failed (exit status 3)"}, {"sesame", "must write 32 bytes"}, {strings.Repeat("ab", 32), "is not the one"}, {strings.Repeat("sesame", 10_000), "must write 32 bytes"},
	} {
		t.Setenv("QUENCH_TEST_PEPPER_CHILD", c.gives)
		_, err := registry.Open(ctx, o)
		if !errors.Is(err, registry.ErrPepper) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20s: %v, want ErrPepper and %q", c.gives, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "sesame") {
			t.Errorf("the error repeats what the command wrote: %v", err)
		}
	}
	o.Pepper.Command = []string{filepath.Join(t.TempDir(), "nosuch"), "sesame"}
	if _, err := registry.Open(ctx, o); !errors.Is(err, registry.ErrPepper) || strings.Contains(err.Error(), "sesame") {
		t.Errorf("a missing command: %v", err)
	}
	env := map[string]string{"QUENCH_PEPPER_COMMAND": `["pass", "show", "a b"]`}
	if got := registry.PepperFrom(func(k string) string { return env[k] }).Command; len(got) != 3 || got[2] != "a b" {
		t.Errorf("command %q", got)
	}
	// A command that hangs ends with the context.
	if runtime.GOOS != "windows" {
		if sleep, err := exec.LookPath("sleep"); err == nil {
			o.Pepper.Command = []string{sleep, "60"}
			ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
			defer cancel()
			if _, err := registry.Open(ctx, o); err == nil {
				t.Error("opened without an answer")
			}
		}
	}
}

package checkpoint_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/checkpoint"
	"github.com/quench-dev/quench/registry/store/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(storetest.Both{M: m}, goleak.IgnoreCurrent()) }

func open(t *testing.T, o registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func issue(t *testing.T, r *registry.Registry) {
	t.Helper()
	if _, _, err := r.Issue(t.Context(), registry.IssueRequest{Owner: "ann", Purpose: "tests"}); err != nil {
		t.Fatal(err)
	}
}

// newRegistry makes one, and tells what its checkpoint is and in which file.
func newRegistry(t *testing.T) (r *registry.Registry, file func() string, signed func() tlog.Tree) {
	dir := t.TempDir()
	r = open(t, registry.Options{Path: storetest.Address(t, filepath.Join(dir, "state", "registry.db")), Create: true, Actor: "tester",
		Pepper: registry.PepperSource{File: filepath.Join(dir, "config", "pepper")}})
	file = func() string {
		all, err := filepath.Glob(filepath.Join(dir, "config", "checkpoints", "*"))
		if err != nil || len(all) > 1 {
			t.Fatal(all, err)
		}
		if len(all) == 0 {
			return ""
		}
		return all[0]
	}
	signed = func() tlog.Tree {
		msg, err := os.ReadFile(file())
		if err != nil {
			t.Fatal(err)
		}
		tree, err := r.Audit().Open(msg)
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	return r, file, signed
}

// What the log has at the start is signed before work begins, and what it grows by
// every ten minutes, by whichever process; where it has not grown nothing is written.
func TestBeside(t *testing.T) {
	ctx := t.Context()
	r, file, signed := newRegistry(t)
	head := func() tlog.Tree {
		tree, err := r.Audit().Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return tree
	}
	issue(t, r)
	if file() != "" {
		t.Fatal("a checkpoint before its time")
	}
	tick, ticked := make(chan struct{}), make(chan time.Duration)
	o := checkpoint.Options{
		Trouble: func(err error) { t.Error(err) },
		Sleep: func(ctx context.Context, d time.Duration) {
			select {
			case ticked <- d: // what was to be signed is
				select {
				case <-tick:
				case <-ctx.Done():
				}
			case <-ctx.Done():
			}
		},
	}
	err := checkpoint.Beside(ctx, r, o, func() error {
		if signed() != head() || head().N != 2 {
			t.Errorf("at the start %v is signed, of %v", signed(), head())
		}
		if d := <-ticked; d != 10*time.Minute {
			t.Errorf("the next is in %v", d)
		}
		before, _ := os.Stat(file())
		tick <- struct{}{}
		<-ticked
		if after, _ := os.Stat(file()); !os.SameFile(before, after) {
			t.Error("signed again, and the log had not grown")
		}
		for range 2 {
			issue(t, r)
			if signed() == head() {
				t.Error("signed before its time")
			}
			tick <- struct{}{}
			<-ticked
			if signed() != head() {
				t.Errorf("after ten minutes %v is signed, of %v", signed(), head())
			}
		}
		return errors.New("work's own")
	})
	if err == nil || err.Error() != "work's own" {
		t.Error(err)
	}
}

// A log that was cut beneath a process is told each time, and the checkpoint that
// shows it is kept; work goes on.
func TestBesideOfCut(t *testing.T) {
	ctx := t.Context()
	r, _, signed := newRegistry(t)
	issue(t, r)
	troubles, sleeps := 0, 0
	work := make(chan struct{})
	o := checkpoint.Options{
		Trouble: func(err error) { troubles++ },
		Sleep: func(context.Context, time.Duration) {
			sleeps++
			switch sleeps {
			case 1:
				for _, cut := range []string{"DELETE FROM audit_leaves WHERE idx = 1", "DELETE FROM audit_hashes WHERE idx > 0"} {
					if _, err := r.Store().Writer().ExecContext(ctx, cut); err != nil {
						t.Error(err)
					}
				}
			case 3:
				close(work)
			}
		},
	}
	err := checkpoint.Beside(ctx, r, o, func() error { <-work; return nil })
	if err != nil || troubles < 2 || signed().N != 2 {
		t.Errorf("%v; told %d times, %v is kept", err, troubles, signed())
	}
}

package backup_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/backup"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/scanner/secret"
)

type place struct{ dir, db, pepper, file string }

func newPlace(t testing.TB) place {
	dir := t.TempDir()
	return place{dir, filepath.Join(dir, "state", "registry.db"), filepath.Join(dir, "config", "pepper"), filepath.Join(dir, "backup.db")}
}

func (p place) options() registry.Options {
	return registry.Options{Path: p.db, Create: true, Pepper: registry.PepperSource{File: p.pepper}, Actor: "tester", EachUse: true}
}

func open(t testing.TB, o registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func issue(t testing.TB, r *registry.Registry) (registry.Token, secret.Secret) {
	t.Helper()
	tok, v, err := r.Issue(context.Background(), registry.IssueRequest{Owner: "o", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	return tok, v
}

func reason(t testing.TB, r *registry.Registry, v secret.Secret) string {
	t.Helper()
	got, err := r.Verify(context.Background(), v, registry.Use{})
	if err != nil {
		t.Fatal(err)
	}
	return got.Reason
}

// lose removes a database.
func lose(t testing.TB, p place) {
	t.Helper()
	for _, end := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(p.db + end); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
}

func TestWriteAndRestore(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	_, value := issue(t, r)
	if _, err := r.Store().Writer().Exec("CREATE TABLE sealed_test (v BLOB); INSERT INTO sealed_test VALUES ('sesame-in-a-sealed-table')"); err != nil {
		t.Fatal(err)
	}
	w, err := backup.Write(ctx, r, p.file)
	if err != nil || w.Audit.N != 2 || w.Size == 0 {
		t.Fatal(w, err)
	}
	if fi, err := os.Stat(p.file); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", fi.Mode(), err)
	}
	content, err := os.ReadFile(p.file)
	if err != nil || bytes.Contains(content, []byte("sesame")) {
		t.Errorf("a sealed value is in the backup, %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "*backup*")); len(left) != 1 {
		t.Errorf("beside the backup lies %v", left)
	}
	if _, err := backup.Write(ctx, r, p.file); !errors.Is(err, backup.ErrExists) {
		t.Errorf("over an old one: %v, want ErrExists", err)
	}
	q := backup.Request{File: p.file, Options: p.options()}
	if _, err := backup.Restore(ctx, q); !errors.Is(err, backup.ErrExists) {
		t.Errorf("over a live one: %v, want ErrExists", err)
	}
	r.Close()
	lose(t, p)
	done, err := backup.Restore(ctx, q)
	if err != nil || done.Lost != 0 || done.Live != 1 || done.Audit.N != 2 || done.Aside != "" {
		t.Fatalf("%+v, %v", done, err)
	}
	r = open(t, p.options())
	if got := reason(t, r, value); got != registry.ReasonValid {
		t.Errorf("the token is %s", got)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
	if fi, err := os.Stat(p.db); err != nil || runtime.GOOS != "windows" && fi.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", fi.Mode(), err)
	}
}

// A token revoked after the backup does not silently live again.
func TestRestoreOlder(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	leaked, value := issue(t, r)
	if _, err := backup.Write(ctx, r, p.file); err != nil {
		t.Fatal(err)
	}
	if _, _, err := r.Do(ctx, registry.Revoke, leaked.ID, registry.Change{Reason: "leaked"}); err != nil {
		t.Fatal(err)
	}
	head, err := r.Audit().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := r.Audit().Sign(head)
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	lose(t, p)
	q := backup.Request{File: p.file, Options: p.options()}
	for _, n := range []int64{0, 2} {
		q.AcceptLoss = n
		if _, err := backup.Restore(ctx, q); !errors.Is(err, backup.ErrLoss) || !strings.Contains(err.Error(), "--accept-loss 1") {
			t.Errorf("accepting %d: %v, want ErrLoss and the number", n, err)
		}
		if _, err := os.Stat(p.db); !errors.Is(err, os.ErrNotExist) {
			t.Fatal("it was put in place all the same")
		}
	}
	// The file put there by hand is not used either.
	copied, err := os.ReadFile(p.file)
	if err == nil {
		err = os.WriteFile(p.db, copied, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Open(ctx, p.options()); !errors.Is(err, audit.ErrBehind) {
		t.Errorf("an older file: %v, want ErrBehind", err)
	}
	o := p.options()
	o.Older = true
	r = open(t, o)
	if _, err := backup.AcceptLoss(ctx, r, 7); !errors.Is(err, audit.ErrBehind) {
		t.Errorf("%v, want ErrBehind", err)
	}
	if rep, err := backup.Check(ctx, r, o); err != nil || len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], "1 more") {
		t.Errorf("check: %+v, %v", rep, err)
	}
	r.Close()
	lose(t, p)
	// Without the checkpoint beside the pepper, one saved elsewhere tells.
	anchor := filepath.Join(filepath.Dir(p.pepper), "checkpoints")
	if err := os.Rename(anchor, anchor+".gone"); err != nil {
		t.Fatal(err)
	}
	q.AcceptLoss, q.Checkpoints = 0, map[string][]byte{"saved": saved}
	if _, err := backup.Restore(ctx, q); !errors.Is(err, backup.ErrLoss) {
		t.Errorf("with a saved checkpoint: %v, want ErrLoss", err)
	}
	if err := os.Rename(anchor+".gone", anchor); err != nil {
		t.Fatal(err)
	}
	q.AcceptLoss, q.Suspend = 1, true
	done, err := backup.Restore(ctx, q)
	if err != nil || done.Lost != 1 || done.Suspended != 1 || done.Aside == "" {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := os.Stat(done.Aside); err != nil {
		t.Error(err)
	}
	r = open(t, p.options())
	if got := reason(t, r, value); got != registry.ReasonSuspended {
		t.Errorf("the token is %s", got)
	}
}

// Going on by hand with an older file says how many events are missing.
func TestAcceptLoss(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	if _, err := backup.AcceptLoss(ctx, r, 1); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("of a whole one: %v, want ErrInvalid", err)
	}
	if _, err := backup.Write(ctx, r, p.file); err != nil {
		t.Fatal(err)
	}
	issue(t, r)
	issue(t, r)
	r.Close()
	lose(t, p)
	if err := os.Rename(p.file, p.db); err != nil {
		t.Fatal(err)
	}
	o := p.options()
	o.Older = true
	r = open(t, o)
	aside, err := backup.AcceptLoss(ctx, r, 2)
	if err != nil || aside == "" {
		t.Fatal(aside, err)
	}
	r.Close()
	r = open(t, p.options())
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	ctx := context.Background()
	p, other := newPlace(t), newPlace(t)
	r := open(t, p.options())
	issue(t, r)
	if _, err := backup.Write(ctx, r, p.file); err != nil {
		t.Fatal(err)
	}
	if err := open(t, other.options()).Close(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	good, err := os.ReadFile(p.file)
	if err != nil {
		t.Fatal(err)
	}
	tampered := filepath.Join(p.dir, "tampered.db")
	db, err := sql.Open("sqlite", tampered)
	if err == nil {
		err = os.WriteFile(tampered, good, 0o600)
	}
	if err == nil {
		_, err = db.Exec("UPDATE audit_leaves SET open = CAST(replace(CAST(open AS TEXT), 'tester', 'nobody') AS BLOB)")
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	broken := bytes.Clone(good)
	for i := len(broken) / 2; i < len(broken)/2+4096; i++ {
		broken[i] ^= 0x5a
	}
	write := func(name string, b []byte) string {
		path := filepath.Join(p.dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	lose(t, p)
	for name, c := range map[string]struct {
		file   string
		pepper string
		want   error
	}{
		"another pepper": {p.file, other.pepper, registry.ErrPepper},
		"tampered log":   {tampered, p.pepper, audit.ErrTampered},
		"cut":            {write("cut.db", good[:len(good)/2]), p.pepper, store.ErrCorrupt},
		"text":           {write("text.db", []byte(strings.Repeat("no database ", 999))), p.pepper, store.ErrCorrupt},
		"missing":        {filepath.Join(p.dir, "nosuch"), p.pepper, os.ErrNotExist},
	} {
		o := p.options()
		o.Pepper.File = c.pepper
		if _, err := backup.Restore(ctx, backup.Request{File: c.file, Options: o}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := backup.Restore(ctx, backup.Request{File: write("broken.db", broken), Options: p.options()}); err == nil {
		t.Error("a broken page was restored")
	}
	if left, _ := filepath.Glob(filepath.Join(p.dir, "state", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCheck(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	o := p.options()
	r := open(t, o)
	issue(t, r)
	tok, _ := issue(t, r)
	if _, _, err := r.Do(ctx, registry.Suspend, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	look := func() backup.Report {
		t.Helper()
		rep, err := backup.Check(ctx, r, o)
		if err != nil {
			t.Fatal(err)
		}
		return rep
	}
	if rep := look(); len(rep.Problems) != 0 || rep.States[registry.Live] != 1 || rep.States[registry.Suspended] != 1 || rep.Schema == 0 || rep.Peppers[0].Tokens != 2 {
		t.Errorf("%+v", rep)
	}
	if runtime.GOOS != "windows" {
		os.Chmod(p.db, 0o644)
		if rep := look(); len(rep.Problems) != 1 || !strings.Contains(rep.Problems[0], "chmod 600") {
			t.Errorf("%q", rep.Problems)
		}
		os.Chmod(p.db, 0o600)
	}
	if _, err := r.Store().Writer().Exec("UPDATE tokens SET key_id = x'00000000' WHERE id = ?", tok.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store().Writer().Exec("PRAGMA foreign_keys = 0; INSERT INTO token_warnings VALUES ('nosuch', 'expiry', 1, 1); PRAGMA foreign_keys = 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Store().Writer().Exec("UPDATE audit_leaves SET token_id = 'x' WHERE idx = 1"); err != nil {
		t.Fatal(err)
	}
	rep := look()
	if s := fmt.Sprint(rep.Problems); len(rep.Problems) != 3 || !strings.Contains(s, "refers to none") || !strings.Contains(s, "1 tokens are under a pepper") || !strings.Contains(s, "event 1") {
		t.Errorf("%q", rep.Problems)
	}
}

// Nothing that is written holds a token: not the database, its WAL, backups, nor
// what fails.
func TestNoPlaintext(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	var plain [][]byte
	keep := func(v secret.Secret) { plain = append(plain, v.Reveal()) }
	for range 20 {
		tok, v := issue(t, r)
		keep(v)
		reason(t, r, v)
		_, next, err := r.Rotate(ctx, tok.ID, registry.RotateRequest{})
		if err != nil {
			t.Fatal(err)
		}
		keep(next)
		reason(t, r, v)
	}
	for i := range 20 {
		v := secret.NewString(fmt.Sprintf("imported-%04d-by-value-Zq", i))
		if _, err := r.Import(ctx, registry.ImportRequest{Value: v, Owner: "o", Purpose: "p"}); err != nil {
			t.Fatal(err)
		}
		_, err := r.Import(ctx, registry.ImportRequest{Value: v, Owner: "o", Purpose: "p"})
		if err == nil || bytes.Contains([]byte(err.Error()), v.Reveal()) {
			t.Fatal(err)
		}
		unknown := secret.NewString(fmt.Sprintf("unknown--%04d-by-value-Zq", i))
		reason(t, r, unknown)
		keep(v)
		keep(unknown)
	}
	if _, err := backup.Write(ctx, r, p.file); err != nil {
		t.Fatal(err)
	}
	search := func(when string) {
		files := 0
		err := filepath.WalkDir(p.dir, func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			files++
			b, err := os.ReadFile(path)
			for _, v := range plain {
				if bytes.Contains(b, v[9:]) {
					t.Errorf("%s: %s holds a token", when, filepath.Base(path))
					return nil
				}
			}
			return err
		})
		if err != nil || files < 3 {
			t.Errorf("%s: %d files searched, %v", when, files, err)
		}
	}
	search("open")
	r.Close()
	search("closed")
}

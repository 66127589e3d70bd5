package registry_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/finding"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// clock is a clock that stands until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.at }

func (c *clock) move(d time.Duration) { c.mu.Lock(); defer c.mu.Unlock(); c.at = c.at.Add(d) }

type place struct{ db, pepper string }

func newPlace(t testing.TB) place {
	dir := t.TempDir()
	return place{storetest.Address(t, filepath.Join(dir, "state", "registry.db")), filepath.Join(dir, "config", "pepper")}
}

func (p place) options() registry.Options {
	return registry.Options{Path: p.db, Create: true, Pepper: registry.PepperSource{File: p.pepper}, Actor: "tester"}
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

func issue(t testing.TB, r *registry.Registry, q registry.IssueRequest) (registry.Token, secret.Secret) {
	t.Helper()
	if q.Owner == "" {
		q.Owner, q.Purpose = "ann", "tests"
	}
	tok, value, err := r.Issue(context.Background(), q)
	if err != nil {
		t.Fatal(err)
	}
	return tok, value
}

// odd makes an imported token of no known form; n tells two apart.
func odd(n int) secret.Secret { return secret.NewString(fmt.Sprintf("Zq%04d!kd.%s~9x", n, "mW3tR7")) }

func kinds(t testing.TB, r *registry.Registry, token string) (all []string) {
	t.Helper()
	err := r.Audit().Each(context.Background(), 0, token, func(e audit.Entry) error {
		all = append(all, e.Kind)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestVerify(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	_, live := issue(t, r, registry.IssueRequest{Scopes: []string{"read:repo/*", "deploy/web:**"}, TTL: time.Hour})
	_, bare := issue(t, r, registry.IssueRequest{Env: "test", Prefix: "acme"})
	_, short := issue(t, r, registry.IssueRequest{TTL: time.Millisecond})
	dead, deadValue := issue(t, r, registry.IssueRequest{})
	if _, _, err := r.Do(ctx, registry.Revoke, dead.ID, registry.Change{Reason: "leaked"}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "bob", Purpose: "vendor", Provider: "vendor"}); err != nil {
		t.Fatal(err)
	}
	other, foreign := issue(t, open(t, newPlace(t).options()), registry.IssueRequest{})
	c.move(time.Millisecond) // the last instant of a token is the one before its expiry

	for _, tc := range []struct {
		name  string
		value secret.Secret
		scope string
		want  string
	}{
		{"live", live, "", registry.ReasonValid},
		{"live in scope", live, "read:repo/a", registry.ReasonValid},
		{"live in deep scope", live, "deploy/web:eu/1/a", registry.ReasonValid},
		{"live out of scope", live, "write:repo/a", registry.ReasonOutOfScope},
		{"live too deep", live, "read:repo/a/b", registry.ReasonOutOfScope},
		{"no scope, nothing asked", bare, "", registry.ReasonValid},
		{"no scope", bare, "read:repo/a", registry.ReasonOutOfScope},
		{"expired", short, "", registry.ReasonExpired},
		{"revoked", deadValue, "", registry.ReasonRevoked},
		{"revoked before scope", deadValue, "read:repo/a", registry.ReasonRevoked},
		{"imported", odd(1), "", registry.ReasonValid},
		{"not imported", odd(2), "", registry.ReasonUnknown},
		{"another registry's", foreign, "", registry.ReasonUnknown},
		{"empty", secret.Secret{}, "", registry.ReasonMalformed},
		{"short", secret.NewString("x' OR 1=1"), "", registry.ReasonMalformed},
		{"sql", secret.NewString("x' OR '1'='1'; DROP TABLE tokens; --"), "", registry.ReasonUnknown},
		{"a megabyte", secret.NewString(strings.Repeat("a", 1<<20)), "", registry.ReasonMalformed},
	} {
		v, err := r.Verify(ctx, tc.value, registry.Use{Scope: tc.scope, Client: "192.0.2.1"})
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
		if v.Reason != tc.want || v.Valid != (tc.want == registry.ReasonValid) {
			t.Errorf("%s: %+v, want %s", tc.name, v, tc.want)
		}
		if known := v.Reason != registry.ReasonUnknown && v.Reason != registry.ReasonMalformed; known != (v.Token != nil) {
			t.Errorf("%s: token %v", tc.name, v.Token)
		}
	}
	if _, err := r.Verify(ctx, live, registry.Use{Scope: "read:*"}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("a wildcard asked for: %v, want ErrInvalid", err)
	}
	if _, err := r.Token(ctx, other.ID); !errors.Is(err, registry.ErrNoToken) {
		t.Errorf("another registry's id: %v, want ErrNoToken", err)
	}
}

func TestVerifyRecordsUse(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, value := issue(t, r, registry.IssueRequest{})
	for range 3 {
		if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
			t.Fatal(v, err)
		}
	}
	if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{Actor: "eve'); --", Reason: "Robert'); DROP TABLE tokens;--"}); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonRevoked {
		t.Fatal(v, err)
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	got, err := r.Token(ctx, tok.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Uses != 3 || got.LastUsedAt.IsZero() || got.State != registry.Revoked || got.RevokedBy != "eve'); --" || got.RevokedReason != "Robert'); DROP TABLE tokens;--" {
		t.Errorf("token %+v", got)
	}
	want := "[token.issue token.first_use token.revoke token.refuse token.use]"
	if s := fmt.Sprint(kinds(t, r, tok.ID)); s != want {
		t.Errorf("audit %s, want %s", s, want)
	}
	if again, changed, err := revokeTx(r, tok.ID, nil); err != nil || changed || again.RevokedBy != "eve'); --" {
		t.Errorf("revoked again: %+v, %v, %v", again, changed, err)
	}
}

func revokeTx(r *registry.Registry, id string, end error) (tok registry.Token, changed bool, err error) {
	ctx := context.Background()
	err = r.Store().InTx(ctx, func(tx *sql.Tx) error {
		var err error
		if tok, changed, err = r.DoTx(ctx, tx, registry.Revoke, id, registry.Change{Reason: "r"}); err != nil {
			return err
		}
		return end
	})
	return tok, changed, err
}

// A rolled back revocation leaves neither the state nor the audit event.
func TestDoTxIsAtomic(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, value := issue(t, r, registry.IssueRequest{})
	before, err := r.Audit().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	boom := errors.New("boom")
	if _, changed, err := revokeTx(r, tok.ID, boom); !changed || !errors.Is(err, boom) {
		t.Fatal(changed, err)
	}
	after, err := r.Audit().Head(ctx)
	if err != nil || after != before {
		t.Errorf("audit head %v, %v; want %v as before", after, err, before)
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("after rollback: %+v, %v", v, err)
	}
	if _, changed, err := revokeTx(r, tok.ID, nil); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonRevoked {
		t.Errorf("after commit: %+v, %v", v, err)
	}
	if _, _, err := revokeTx(r, "nosuchtoke", nil); !errors.Is(err, registry.ErrNoToken) {
		t.Errorf("%v, want ErrNoToken", err)
	}
}

func TestInvalidRequests(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	_, value := issue(t, r, registry.IssueRequest{})
	good := registry.IssueRequest{Owner: "o", Purpose: "p"}
	for name, change := range map[string]func(*registry.IssueRequest){
		"no owner":        func(q *registry.IssueRequest) { q.Owner = "" },
		"no purpose":      func(q *registry.IssueRequest) { q.Purpose = "" },
		"blank owner":     func(q *registry.IssueRequest) { q.Owner = " " },
		"blank purpose":   func(q *registry.IssueRequest) { q.Purpose = " \u00a0 " },
		"line feed":       func(q *registry.IssueRequest) { q.Owner = "a\nb" },
		"no utf-8":        func(q *registry.IssueRequest) { q.Purpose = "a\xff" },
		"long":            func(q *registry.IssueRequest) { q.Purpose = strings.Repeat("p", 2000) },
		"env":             func(q *registry.IssueRequest) { q.Env = "prod" },
		"prefix":          func(q *registry.IssueRequest) { q.Prefix = "A_" },
		"past":            func(q *registry.IssueRequest) { q.TTL = -1 },
		"for ever":        func(q *registry.IssueRequest) { q.TTL = 1<<63 - 1 },
		"scope no colon":  func(q *registry.IssueRequest) { q.Scopes = []string{"read"} },
		"scope empty":     func(q *registry.IssueRequest) { q.Scopes = []string{""} },
		"scope segment":   func(q *registry.IssueRequest) { q.Scopes = []string{"read:a//b"} },
		"scope ** within": func(q *registry.IssueRequest) { q.Scopes = []string{"read:**/a"} },
		"scope a*":        func(q *registry.IssueRequest) { q.Scopes = []string{"read:a*"} },
		"scope sql":       func(q *registry.IssueRequest) { q.Scopes = []string{"read:a'; --"} },
		"scopes":          func(q *registry.IssueRequest) { q.Scopes = make([]string, 10_001) },
	} {
		q := good
		change(&q)
		if _, _, err := r.Issue(ctx, q); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("issue %s: %v, want ErrInvalid", name, err)
		}
	}
	plain := value.Reveal()
	mistyped := slices.Clone(plain)
	if mistyped[20]++; mistyped[20] > 'z' || mistyped[20] == '9'+1 || mistyped[20] == 'Z'+1 {
		mistyped[20] = '0'
	}
	for name, v := range map[string]string{
		"short": "abcdefgh1234567", "space": "abcdefgh 12345678", "control": "abcdefgh\x0012345678", "latin": "abcdefgh\xe412345678",
		"simple": "0000000000000001", "long": strings.Repeat("ab12", 1025),
		"mistyped": string(mistyped),
	} {
		_, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString(v), Owner: "o", Purpose: "p"})
		if !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("import %s: %v, want ErrInvalid", name, err)
		}
		if err != nil && strings.Contains(err.Error(), v) {
			t.Errorf("import %s: the error shows the value", name)
		}
	}
}

func TestImport(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "o'", Purpose: `p";--`, Provider: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	if !tok.ExpiresAt.IsZero() || tok.Shape.Extra != "!.~" || tok.Shape.Len != odd(1).Len() || tok.Owner != "o'" {
		t.Errorf("token %+v", tok)
	}
	_, err = r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "other", Purpose: "p"})
	if !errors.Is(err, registry.ErrDuplicate) || !strings.Contains(err.Error(), tok.ID) {
		t.Errorf("again: %v, want ErrDuplicate naming %s", err, tok.ID)
	}
	own, err := r.Import(ctx, registry.ImportRequest{Value: odd(2), Owner: "o", Purpose: "p"})
	if err != nil || own.ExpiresAt.Sub(own.CreatedAt) != registry.DefaultTTL {
		t.Errorf("own import expires %v, %v", own.ExpiresAt, err)
	}
}

// A value whose own edge is a delimiter followed by another one is the hard
// kind; what the scan misses is said, not assumed.
func TestImportSaysWhatIsHardToFind(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	for i, v := range []string{"3f2504e0-4f89-41d3-9a0c-0305e82c3301", "hvs." + strings.Repeat("CAES", 6), "0123456789abcdefABCDEF"} {
		tok, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString(v), Owner: "o", Purpose: "p"})
		if err != nil {
			t.Fatal(err)
		}
		if len(tok.HardToFind) > 0 {
			t.Errorf("value %d is not found in %q", i, tok.HardToFind)
		}
	}
	tok, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString("'quoted'(in)<brackets>\"&more"), Owner: "o", Purpose: "p"})
	if err != nil {
		t.Fatal(err)
	}
	again, err := r.Token(ctx, tok.ID)
	if err != nil || !slices.Equal(again.HardToFind, tok.HardToFind) {
		t.Errorf("stored %q, %v; want %q", again.HardToFind, err, tok.HardToFind)
	}
}

func TestShapesAreBounded(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	for n := range 64 {
		if _, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString("abcdefgh12345678" + strings.Repeat("x", n)), Owner: "o", Purpose: "p"}); err != nil {
			t.Fatal(n, err)
		}
	}
	_, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "o", Purpose: "p"})
	if !errors.Is(err, registry.ErrInvalid) || !strings.Contains(err.Error(), "forms") {
		t.Errorf("shape 65: %v, want ErrInvalid", err)
	}
	if _, err := r.Import(ctx, registry.ImportRequest{Value: secret.NewString("abcdefgh87654321"), Owner: "o", Purpose: "p"}); err != nil {
		t.Errorf("a known shape: %v", err)
	}
}

// Any changed byte of a token makes it refused, and never by an error.
func TestTamperedTokenIsRefused(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	_, value := issue(t, r, registry.IssueRequest{})
	plain := value.Reveal()
	rapid.Check(t, func(t *rapid.T) {
		b := slices.Clone(plain)
		i := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "xor"))
		v, err := r.Verify(ctx, secret.New(b), registry.Use{})
		if err != nil || v.Valid || v.Token != nil {
			t.Fatalf("byte %d changed: %+v, %v", i, v, err)
		}
	})
	for n := range plain {
		if v, err := r.Verify(ctx, secret.New(plain[:n]), registry.Use{}); err != nil || v.Valid {
			t.Fatalf("first %d bytes: %+v, %v", n, v, err)
		}
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Fatalf("the token itself: %+v, %v", v, err)
	}
}

func TestPepper(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	_, value := issue(t, r, registry.IssueRequest{})
	r.Close()
	kept, err := os.ReadFile(p.pepper)
	if err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(p.pepper); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("pepper mode %v, %v", fi.Mode(), err)
	}
	refused := func(name string, o registry.Options, hint string) {
		t.Helper()
		r, err := registry.Open(ctx, o)
		if err == nil {
			r.Close()
		}
		if !errors.Is(err, registry.ErrPepper) || !strings.Contains(fmt.Sprint(err), hint) {
			t.Errorf("%s: %v, want ErrPepper and %q", name, err, hint)
		}
	}
	write := func(text string, mode os.FileMode) {
		t.Helper()
		os.Remove(p.pepper)
		if err := os.WriteFile(p.pepper, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(p.pepper, mode); err != nil {
			t.Fatal(err)
		}
	}
	os.Remove(p.pepper)
	refused("missing", p.options(), "does not exist")
	if _, err := os.Stat(p.pepper); !errors.Is(err, os.ErrNotExist) {
		t.Error("a pepper was made for an old database")
	}
	write(strings.Repeat("0", 64), 0o600)
	refused("wrong", p.options(), "is not the one")
	write("not a key", 0o600)
	refused("no key", p.options(), "32 bytes")
	write(string(kept), 0o640)
	refused("readable by the group", p.options(), "chmod 600")
	o := p.options()
	o.Pepper = registry.PepperSource{Value: secret.NewString("hunter2")}
	refused("bad value", o, "QUENCH_PEPPER")
	if !storetest.OnPostgres() {
		o.Pepper = registry.PepperSource{File: filepath.Join(filepath.Dir(p.db), "pepper")}
		refused("beside the database", o, "elsewhere")
	}

	write(string(kept), 0o600)
	os.Remove(p.pepper)
	o.Pepper = registry.PepperSource{Value: secret.New(kept)}
	if v, err := open(t, o).Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("pepper by value: %+v, %v", v, err)
	}
}

func TestNoRegistry(t *testing.T) {
	o := newPlace(t).options()
	o.Create = false
	if _, err := registry.Open(context.Background(), o); !errors.Is(err, registry.ErrNoRegistry) {
		t.Errorf("%v, want ErrNoRegistry", err)
	}
	for _, p := range []string{o.Path, o.Pepper.File} {
		if _, err := os.Stat(filepath.Dir(p)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s was made", filepath.Dir(p))
		}
	}
}

// Two processes on one file: every change of either is there, in one log.
func TestTwoProcesses(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	regs := make([]*registry.Registry, 4)
	var wg sync.WaitGroup
	for i := range regs {
		wg.Go(func() {
			r, err := registry.Open(ctx, p.options())
			if err != nil {
				t.Error(err)
				return
			}
			regs[i] = r
		})
	}
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
	const each = 10
	for _, r := range regs {
		wg.Go(func() {
			for n := range each {
				tok, value, err := r.Issue(ctx, registry.IssueRequest{Owner: "o", Purpose: "p"})
				if err != nil {
					t.Error(err)
					return
				}
				if n%2 == 0 {
					if _, _, err := regs[0].Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
						t.Error(err)
					}
				}
				v, err := regs[1].Verify(ctx, value, registry.Use{})
				if err != nil || v.Valid != (n%2 == 1) {
					t.Errorf("token %d: %+v, %v", n, v, err)
				}
			}
		})
	}
	wg.Wait()
	all, err := regs[2].List(ctx, registry.Filter{State: registry.Revoked})
	if err != nil || len(all) != len(regs)*each/2 {
		t.Errorf("%d revoked tokens, %v; want %d", len(all), err, len(regs)*each/2)
	}
	tree, err := regs[3].Audit().Verify(ctx)
	// One creation, and per token: issue, then revoke and refuse, or first use.
	if want := int64(1 + len(regs)*each/2*(3+2)); err != nil || tree.N != want {
		t.Errorf("audit: %d events, %v; want %d", tree.N, err, want)
	}
	for _, r := range regs {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
	if _, err := open(t, p.options()).Audit().Verify(ctx); err != nil {
		t.Errorf("against the checkpoint: %v", err)
	}
}

// No file of the registry holds a token's bytes, not even the WAL.
func TestNoPlaintextOnDisk(t *testing.T) {
	ctx := context.Background()
	p := newPlace(t)
	r := open(t, p.options())
	var values []secret.Secret
	for n := range 20 {
		tok, v := issue(t, r, registry.IssueRequest{})
		values = append(values, v, odd(n))
		if _, err := r.Import(ctx, registry.ImportRequest{Value: odd(n), Owner: "o", Purpose: "p"}); err != nil {
			t.Fatal(err)
		}
		r.Verify(ctx, v, registry.Use{})
		r.Verify(ctx, secret.New(append(slices.Clone(v.Reveal()), 'x')), registry.Use{})
		r.Do(ctx, registry.Revoke, tok.ID, registry.Change{})
	}
	if storetest.OnPostgres() {
		noPlaintextInTables(t, r, values)
		return
	}
	files := 0
	err := filepath.WalkDir(filepath.Dir(filepath.Dir(p.db)), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for i, v := range values {
			if strings.Contains(string(b), string(v.Reveal()[10:])) {
				t.Errorf("%s holds value %d", filepath.Base(path), i)
			}
		}
		return nil
	})
	if err != nil || files < 3 {
		t.Fatalf("%d files, %v; want database, WAL and pepper", files, err)
	}
}

func TestList(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	a, _ := issue(t, r, registry.IssueRequest{Owner: "ann", Purpose: "x", Tags: []string{"ci", "a'b"}})
	b, _ := issue(t, r, registry.IssueRequest{Owner: "bob' OR 1=1 --", Purpose: "x", Tags: []string{"ci"}})
	if _, _, err := r.Do(ctx, registry.Revoke, b.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		f    registry.Filter
		want []string
	}{
		{registry.Filter{}, []string{a.ID, b.ID}},
		{registry.Filter{Owner: "ann"}, []string{a.ID}},
		{registry.Filter{Owner: "bob' OR 1=1 --"}, []string{b.ID}},
		{registry.Filter{Owner: "' OR 1=1 --"}, nil},
		{registry.Filter{Tag: "ci"}, []string{a.ID, b.ID}},
		{registry.Filter{Tag: "a'b"}, []string{a.ID}},
		{registry.Filter{Tag: "c"}, nil},
		{registry.Filter{State: registry.Revoked}, []string{b.ID}},
		{registry.Filter{State: registry.Live, Tag: "ci"}, []string{a.ID}},
	} {
		all, err := r.List(ctx, c.f)
		var ids []string
		for _, t := range all {
			ids = append(ids, t.ID)
		}
		slices.Sort(ids)
		slices.Sort(c.want)
		if err != nil || !slices.Equal(ids, c.want) {
			t.Errorf("%+v: %v, %v; want %v", c.f, ids, err, c.want)
		}
	}
}

func TestRecordFinding(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, _ := issue(t, r, registry.IssueRequest{})
	record := func(f finding.Record) (id string, fresh bool) {
		t.Helper()
		err := r.Store().InTx(ctx, func(tx *sql.Tx) (err error) {
			id, fresh, err = finding.Store(ctx, tx, f)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return id, fresh
	}
	f := finding.Record{Source: "git:x", Identity: "a'); --\xff", Offset: 7, Rule: "r", Path: "p\x00q", FoundAt: r.Now()}
	id, fresh := record(f)
	if !fresh {
		t.Error("the first time is not fresh")
	}
	f.TokenID = tok.ID
	if again, fresh := record(f); again != id || fresh {
		t.Errorf("again: %s, %v; want %s, false", again, fresh, id)
	}
	f.Offset++
	if other, fresh := record(f); other == id || !fresh {
		t.Errorf("another offset: %s, %v", other, fresh)
	}
	var n int
	if err := r.Store().Reader().QueryRow("SELECT count(*) FROM findings WHERE token_id = ?", tok.ID).Scan(&n); err != nil || n != 2 {
		t.Errorf("%d findings of the token, %v; want 2", n, err)
	}
}

func TestCorruptRow(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	tok, _ := issue(t, r, registry.IssueRequest{})
	if _, err := r.Store().Writer().Exec("UPDATE tokens SET scopes = 'not json'"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Token(ctx, tok.ID); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("%v, want ErrCorrupt", err)
	}
}

func TestPaths(t *testing.T) {
	env := func(kv ...string) func(string) string {
		return func(k string) string {
			for i := 0; i < len(kv); i += 2 {
				if kv[i] == k {
					return kv[i+1]
				}
			}
			return ""
		}
	}
	home := filepath.Join(string(filepath.Separator), "home", "x")
	state := filepath.Join(string(filepath.Separator), "state")
	for _, c := range []struct {
		env        func(string) string
		db, pepper string
	}{
		{env("HOME", home), filepath.Join(home, ".local/state/quench/registry.db"), filepath.Join(home, ".config/quench/pepper")},
		{env("HOME", home, "XDG_STATE_HOME", state, "XDG_CONFIG_HOME", "relative"), filepath.Join(state, "quench/registry.db"), filepath.Join(home, ".config/quench/pepper")},
		{env("HOME", home, "QUENCH_REGISTRY", "a.db", "QUENCH_PEPPER_FILE", "p"), "a.db", "p"},
	} {
		if got := registry.DefaultPath(c.env); got != c.db {
			t.Errorf("registry %q, want %q", got, c.db)
		}
		if got := registry.PepperFrom(c.env).File; got != c.pepper {
			t.Errorf("pepper %q, want %q", got, c.pepper)
		}
	}
}

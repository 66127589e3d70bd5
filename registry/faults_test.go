package registry_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

// A clock that is set back a day brings nothing to life: neither what expired while
// somebody looked, nor in a process that is started afterwards.
func TestClockSetBack(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	o.Now = c.now
	r := open(t, o)
	tok, value := issue(t, r, registry.IssueRequest{TTL: time.Hour})
	other, otherValue := issue(t, r, registry.IssueRequest{TTL: 48 * time.Hour})
	c.move(2 * time.Hour)
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonExpired {
		t.Fatal(v.Reason, err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	c.move(-24 * time.Hour)
	r = open(t, o)
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || v.Reason != registry.ReasonExpired || r.ClockBehind() != 24*time.Hour {
		t.Errorf("a day back token %s is %s, %v; behind by %v", tok.ID, v.Reason, err, r.ClockBehind())
	}
	if v, err := r.Verify(ctx, otherValue, registry.Use{}); err != nil || !v.Valid {
		t.Errorf("token %s, which has not expired, is %s, %v", other.ID, v.Reason, err)
	}
	// Time goes on from there: what is left of a token is not lengthened.
	c.move(46*time.Hour + time.Second)
	if v, err := r.Verify(ctx, otherValue, registry.Use{}); err != nil || v.Reason != registry.ReasonExpired {
		t.Errorf("token %s is %s, %v; its time is over", other.ID, v.Reason, err)
	}
	r.Close()
	// A clock that was ahead is set right by who says so, once.
	c.move(-46 * time.Hour)
	o.TrustClock = true
	r = open(t, o)
	if got := r.Now(); !got.Equal(c.now()) || r.ClockBehind() != 0 {
		t.Errorf("trusted, it is %v, want %v", got, c.now())
	}
	r.Close()
	o.TrustClock = false
	if r = open(t, o); r.ClockBehind() != 0 || !slices.Contains(kinds(t, r, ""), "clock.set_back") {
		t.Errorf("it is still behind by %v", r.ClockBehind())
	}
}

// What cannot be written down is not answered, and the error says what to do.
func TestVerifyWithoutADatabaseToWrite(t *testing.T) {
	storetest.OnlySQLite(t) // which can be told to be full
	ctx := context.Background()
	for _, tc := range []struct {
		name, on, off string
		want          error
	}{
		{"full", "PRAGMA max_page_count = 1", "PRAGMA max_page_count = 1000000", store.ErrFull},
		{"read-only", "PRAGMA query_only = 1", "PRAGMA query_only = 0", store.ErrReadOnly},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := open(t, newPlace(t).options())
			tok, value := issue(t, r, registry.IssueRequest{Scopes: []string{"read:a"}})
			for range 3 {
				if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
					t.Fatal(v, err)
				}
			}
			if err := r.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if _, err := r.Store().Writer().ExecContext(ctx, tc.on); err != nil {
				t.Fatal(err)
			}
			// Pages that are there may have room for a few; then it is full.
			var err error
			for i := range 500 {
				var v registry.Verdict
				if v, err = r.Verify(ctx, value, registry.Use{Scope: "read:b", Client: strings.Repeat(fmt.Sprint(i), 100)}); err != nil {
					break
				}
				if v.Valid {
					t.Fatal(v)
				}
			}
			if !errors.Is(err, tc.want) {
				t.Errorf("a refusal: %v, want %v", err, tc.want)
			}
			// Uses of a second are answered before they are written; when that fails, no
			// more are.
			valid, written := int64(3), error(nil)
			for range 2000 {
				v, err := r.Verify(ctx, value, registry.Use{Agent: strings.Repeat("a", 400)})
				if err == nil && v.Valid {
					valid++
				}
				if written = r.Flush(ctx); written != nil {
					break
				}
			}
			if !errors.Is(written, tc.want) {
				t.Errorf("uses are written down: %v, want %v", written, tc.want)
			}
			if v, err := r.Verify(ctx, value, registry.Use{Agent: strings.Repeat("a", 500)}); err == nil {
				t.Errorf("answered %v, and nothing can be written", v.Reason)
			}
			if _, err := r.Store().Writer().ExecContext(ctx, tc.off); err != nil {
				t.Fatal(err)
			}
			if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid {
				t.Errorf("afterwards: %v, %v", v.Reason, err)
			}
			if err := r.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			if again, err := r.Token(ctx, tok.ID); err != nil || again.Uses != valid+1 {
				t.Errorf("%d uses are written down of %d, %v", again.Uses, valid+1, err)
			}
		})
	}
}

// A lock that somebody holds delays an answer only as long as the caller waits.
func TestVerifyWhileLocked(t *testing.T) {
	storetest.OnlySQLite(t) // PostgreSQL has no BEGIN IMMEDIATE; its locks are package store's
	ctx := context.Background()
	p := newPlace(t)
	r, other := open(t, p.options()), open(t, p.options())
	_, value := issue(t, r, registry.IssueRequest{})
	if _, err := other.Store().Writer().ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	if v, err := r.Verify(short, value, registry.Use{}); err == nil {
		t.Errorf("a first use is answered %v, and nothing can be written", v.Reason)
	}
	if _, err := other.Store().Writer().ExecContext(ctx, "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if v, err := r.Verify(ctx, value, registry.Use{}); err != nil || !v.Valid || v.Token.Uses != 1 {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
}

// Values and tokens of an odd size are judged as any other.
func TestVerifyOddSizes(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	for _, n := range []int{0, 1, 15, 4097, 1 << 20} {
		if v, err := r.Verify(ctx, secret.New(make([]byte, n)), registry.Use{}); err != nil || v.Reason != registry.ReasonMalformed {
			t.Errorf("%d bytes: %v, %v", n, v.Reason, err)
		}
	}
	var scopes []string
	for i := range 10_000 {
		scopes = append(scopes, fmt.Sprintf("read:repo/%d/*", i))
	}
	_, value := issue(t, r, registry.IssueRequest{Scopes: scopes})
	for scope, want := range map[string]string{"read:repo/9999/a": registry.ReasonValid, "read:repo/10000/a": registry.ReasonOutOfScope} {
		for range 3 {
			if v, err := r.Verify(ctx, value, registry.Use{Scope: scope}); err != nil || v.Reason != want {
				t.Errorf("%s: %v, %v", scope, v.Reason, err)
			}
		}
	}
	if _, _, err := r.Issue(ctx, registry.IssueRequest{Owner: "o", Purpose: "p", Scopes: append(scopes, "read:one-more")}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("10,001 scopes: %v", err)
	}
	// What a client says of itself is bounded.
	long := strings.Repeat("x", 1<<20)
	if v, err := r.Verify(ctx, value, registry.Use{Client: long, Method: long, Endpoint: "/a?" + long, Agent: long + "\xff"}); err != nil || !v.Valid {
		t.Error(v.Reason, err)
	}
	if err := r.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

// What is decided together is decided one by one: a row that cannot be read is an
// error of its own, who no longer waits is left out, and nobody else hears of it.
func TestDecidedTogether(t *testing.T) {
	ctx := context.Background()
	o := newPlace(t).options()
	o.EachUse = true
	r := open(t, o)
	good, goodValue := issue(t, r, registry.IssueRequest{})
	limited, limitedValue := issue(t, r, registry.IssueRequest{MaxUses: 5})
	bad, badValue := issue(t, r, registry.IssueRequest{})
	err := r.Store().InTx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE tokens SET tags = 'no list' WHERE id = ?", bad.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	var wg sync.WaitGroup
	var valid, refused, broken atomic.Int64
	for range 20 {
		wg.Go(func() {
			if v, err := r.Verify(ctx, goodValue, registry.Use{}); err != nil || !v.Valid {
				t.Errorf("good: %v, %v", v.Reason, err)
			}
		})
		wg.Go(func() {
			v, err := r.Verify(ctx, limitedValue, registry.Use{})
			switch {
			case err == nil && v.Valid:
				valid.Add(1)
			case err == nil && v.Reason == registry.ReasonUsedUp:
				refused.Add(1)
			default:
				t.Errorf("limited: %v, %v", v.Reason, err)
			}
		})
		wg.Go(func() {
			if v, err := r.Verify(ctx, badValue, registry.Use{}); !errors.Is(err, store.ErrCorrupt) || v.Valid {
				t.Errorf("bad: %v, %v", v.Reason, err)
			} else {
				broken.Add(1)
			}
		})
		wg.Go(func() {
			if v, err := r.Verify(gone, goodValue, registry.Use{}); err == nil && !v.Valid {
				t.Errorf("gone: %v", v.Reason)
			}
		})
	}
	wg.Wait()
	if valid.Load() != 5 || refused.Load() != 15 || broken.Load() != 20 {
		t.Errorf("%d uses of 5 are valid, %d are refused, %d are errors", valid.Load(), refused.Load(), broken.Load())
	}
	if tok, err := r.Token(ctx, limited.ID); err != nil || tok.Uses != 5 {
		t.Errorf("%d uses, %v", tok.Uses, err)
	}
	if tok, err := r.Token(ctx, good.ID); err != nil || tok.Uses < 20 || told(t, r, good.ID)["token.use"]+1 != int(tok.Uses) {
		t.Errorf("%d uses, %v; the log has %v", tok.Uses, err, told(t, r, good.ID))
	}
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
}

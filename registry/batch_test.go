package registry_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/findable"
	"github.com/quench-dev/quench/registry/pepper"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/scanner/secret"
)

func finder(t testing.TB) *findable.Finder {
	t.Helper()
	f, err := findable.NewFinder()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func importAll(t testing.TB, r *registry.Registry, qs []registry.ImportRequest, dry bool) []registry.Entry {
	t.Helper()
	all, err := r.PrepareImport(qs, finder(t))
	if err == nil {
		err = r.StoreAll(context.Background(), all, nil, dry)
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// What is imported together is what is imported one by one: rows, events, errors.
func TestBatchIsOneByOne(t *testing.T) {
	ctx := context.Background()
	c := &clock{at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	var qs []registry.ImportRequest
	for i := range 150 {
		q := registry.ImportRequest{Value: odd(i % 120), Owner: "o'; --", Purpose: "p", Scopes: []string{"read:a"}, Tags: []string{"t"}, Provider: "vault"}
		switch i {
		case 3:
			q.Value = secret.NewString("short")
		case 5:
			q.Owner = ""
		case 7:
			q.Scopes = []string{"no scope"}
		case 9:
			q.Value = secret.NewString("3f2504e0-4f89-41d3-9a0c-0305e82c3301")
		}
		qs = append(qs, q)
	}
	describe := func(tok registry.Token, err error) string {
		kind := "stored"
		for name, e := range map[string]error{"duplicate": registry.ErrDuplicate, "invalid": registry.ErrInvalid} {
			if errors.Is(err, e) {
				kind = name
			}
		}
		if err != nil {
			return kind
		}
		tok.ID, tok.Family = "", ""
		return fmt.Sprintf("%s %+v", kind, tok)
	}
	o1, o2 := newPlace(t).options(), newPlace(t).options()
	o1.Now, o2.Now = c.now, c.now
	one, many := open(t, o1), open(t, o2)
	got := importAll(t, many, qs, false)
	for i, q := range qs {
		tok, err := one.Import(ctx, q)
		if a, b := describe(tok, err), describe(got[i].Token, got[i].Err); a != b {
			t.Fatalf("line %d: alone %s, together %s", i, a, b)
		}
		if got[i].Err == nil {
			stored, err := many.Token(ctx, got[i].Token.ID)
			if err != nil || describe(stored, nil) != describe(got[i].Token, nil) {
				t.Fatalf("line %d is stored as %+v, %v", i, stored, err)
			}
			if k := kinds(t, many, stored.ID); !slices.Equal(k, []string{"token.import"}) {
				t.Fatalf("line %d has the events %q", i, k)
			}
			if verdict(t, many, q.Value) != registry.ReasonValid {
				t.Fatalf("line %d does not verify", i)
			}
		}
	}
	if _, err := many.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
	// Again it is all duplicates, and nothing changes.
	head, err := many.Audit().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range importAll(t, many, qs, false) {
		if e.Err == nil || got[i].Err == nil && !errors.Is(e.Err, registry.ErrDuplicate) {
			t.Fatalf("line %d again: %v", i, e.Err)
		}
	}
	if again, err := many.Audit().Head(ctx); err != nil || again != head {
		t.Errorf("the second import wrote events: %v, %v", again, err)
	}
}

// A batch that is tried, or whose values could not be delivered, leaves nothing.
func TestBatchUndone(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	issue(t, r, registry.IssueRequest{})
	head, err := r.Audit().Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tried := importAll(t, r, []registry.ImportRequest{{Value: odd(1), Owner: "o", Purpose: "p"}, {Value: odd(1), Owner: "o", Purpose: "p"}, {Owner: "o"}}, true)
	if tried[0].Err != nil || !errors.Is(tried[1].Err, registry.ErrDuplicate) || !errors.Is(tried[2].Err, registry.ErrInvalid) {
		t.Errorf("dry run: %v, %v, %v", tried[0].Err, tried[1].Err, tried[2].Err)
	}
	boom := errors.New("boom")
	all := r.PrepareIssue([]registry.IssueRequest{{Owner: "o", Purpose: "p"}, {Owner: "o", Purpose: "p"}})
	if err := r.StoreAll(ctx, all, func(all []registry.Entry) error {
		if len(all) != 2 || all[1].Value.IsZero() {
			t.Errorf("given %d", len(all))
		}
		return boom
	}, false); !errors.Is(err, boom) {
		t.Errorf("%v, want boom", err)
	}
	if again, err := r.Audit().Head(ctx); err != nil || again != head {
		t.Errorf("something was written: %v, %v", again, err)
	}
	if list, err := r.List(ctx, registry.Filter{}); err != nil || len(list) != 1 {
		t.Errorf("%d tokens, %v", len(list), err)
	}
}

// A value that never travelled is the same token.
func TestImportPair(t *testing.T) {
	ctx := context.Background()
	r := open(t, newPlace(t).options())
	hand, err := pepper.DecodeHand(r.Hand().Encode().Reveal())
	if err != nil {
		t.Fatal(err)
	}
	make1 := func(h pepper.Hand, v secret.Secret) *pepper.Pair {
		p := h.Pair(v, findable.ShapeOf(v.Reveal()), []string{"k=%s"})
		return &p
	}
	q := registry.ImportRequest{Pair: make1(hand, odd(1)), Owner: "o", Purpose: "p", Provider: "v"}
	tok, err := r.Import(ctx, q)
	if err != nil || tok.Hint != odd(1).Redacted() || len(tok.HardToFind) != 1 {
		t.Fatal(tok, err)
	}
	if verdict(t, r, odd(1)) != registry.ReasonValid {
		t.Error("the value of an imported pair does not verify")
	}
	set, err := r.Match(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if k, ok := set.Lookup(odd(1).Reveal()); !ok || k.ID != tok.ID {
		t.Errorf("a scan finds %v, %v", k, ok)
	}
	if _, err := r.Import(ctx, registry.ImportRequest{Value: odd(1), Owner: "o", Purpose: "p"}); !errors.Is(err, registry.ErrDuplicate) {
		t.Errorf("the value of a pair: %v, want ErrDuplicate", err)
	}
	for name, change := range map[string]func(*pepper.Pair){
		"mac": func(p *pepper.Pair) { p.MAC = p.Seal + p.Seal }, "fingerprint": func(p *pepper.Pair) { p.Fingerprint = "0000000000000000" },
		"shape": func(p *pepper.Pair) { p.ShapeLen++ }, "seal": func(p *pepper.Pair) { p.Seal = "" }, "key": func(p *pepper.Pair) { p.KeyID = "00000000" },
	} {
		p := make1(hand, odd(2))
		change(p)
		if _, err := r.Import(ctx, registry.ImportRequest{Pair: p, Owner: "o", Purpose: "p"}); !errors.Is(err, pepper.ErrPair) {
			t.Errorf("%s changed: %v, want ErrPair", name, err)
		}
	}
	other := open(t, newPlace(t).options())
	if _, err := r.Import(ctx, registry.ImportRequest{Pair: make1(other.Hand(), odd(2)), Owner: "o", Purpose: "p"}); !errors.Is(err, pepper.ErrPair) {
		t.Errorf("another registry's: %v, want ErrPair", err)
	}
	// A revoked token under an older pepper does not become a live one.
	if _, _, err := r.Do(ctx, registry.Revoke, tok.ID, registry.Change{}); err != nil {
		t.Fatal(err)
	}
	rotatePepper(t, r)
	if _, err := r.Import(ctx, q); !errors.Is(err, pepper.ErrPair) {
		t.Errorf("a pair under the older pepper: %v, want ErrPair", err)
	}
	q.Pair = make1(r.Hand(), odd(1))
	if _, err := r.Import(ctx, q); !errors.Is(err, registry.ErrDuplicate) {
		t.Errorf("the same value under the new pepper: %v, want ErrDuplicate", err)
	}
	if got := verdict(t, r, odd(1)); got != registry.ReasonRevoked {
		t.Errorf("the token is %s", got)
	}
}

// The members of a family are found by an index that holds only those that need it.
func TestFamilyIsIndexed(t *testing.T) {
	storetest.OnlySQLite(t)
	r := open(t, newPlace(t).options())
	for _, query := range []string{
		"SELECT id FROM tokens WHERE (id = 'a' OR family = 'a' AND predecessor <> '') AND id <> 'b'",
		"SELECT id FROM tokens WHERE family = 'a' AND predecessor <> '' AND predecessor = 'b' ORDER BY seq DESC LIMIT 1",
	} {
		rows, err := r.Store().Reader().Query("EXPLAIN QUERY PLAN " + query)
		if err != nil {
			t.Fatal(err)
		}
		plan := ""
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				t.Fatal(err)
			}
			plan += step + "; "
		}
		rows.Close()
		if !strings.Contains(plan, "tokens_family") || strings.Contains(plan, "SCAN") {
			t.Errorf("%s: %s", query, plan)
		}
	}
}

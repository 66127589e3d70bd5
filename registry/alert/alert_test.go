package alert_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/alert"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func open(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), storetest.Address(t, filepath.Join(t.TempDir(), "registry.db")), store.Options{Create: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func write(t *testing.T, s *store.Store, a alert.Alert) (fresh bool) {
	t.Helper()
	err := s.InTx(t.Context(), func(tx *sql.Tx) (err error) {
		fresh, err = alert.Append(context.Background(), tx, a)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return fresh
}

func sample(key, token string) alert.Alert {
	return alert.Alert{Key: key, Kind: "token.expiring", Severity: alert.Warning, TokenID: token, Owner: "ci",
		Title: "token expires in an hour", Advice: "rotate it", Details: map[string]string{"before": "1h"}, At: noon}
}

func TestAppendListsInOrder(t *testing.T) {
	s := open(t)
	for _, id := range []string{"a", "b", "c"} {
		write(t, s, sample("", id))
	}
	all, err := alert.List(t.Context(), s.Reader(), alert.Filter{})
	if err != nil || len(all) != 3 {
		t.Fatalf("%d alerts, %v; want 3", len(all), err)
	}
	for i, id := range []string{"a", "b", "c"} {
		if got := all[i]; got.TokenID != id || got.Details["before"] != "1h" || !got.At.Equal(noon) || got.ID <= 0 {
			t.Errorf("alert %d is %+v, want of token %s", i, got, id)
		}
	}
	rest, err := alert.List(t.Context(), s.Reader(), alert.Filter{After: all[0].ID, Limit: 1})
	if err != nil || len(rest) != 1 || rest[0].TokenID != "b" {
		t.Errorf("after the first, at most one: %+v, %v; want that of b", rest, err)
	}
	one, err := alert.List(t.Context(), s.Reader(), alert.Filter{TokenID: "c", Kind: "token.expiring"})
	if err != nil || len(one) != 1 || one[0].TokenID != "c" {
		t.Errorf("of token c: %+v, %v", one, err)
	}
}

func TestKeyIsWrittenOnce(t *testing.T) {
	s := open(t)
	if !write(t, s, sample("expiry/a/1", "a")) {
		t.Error("the first of a key is not fresh")
	}
	if write(t, s, sample("expiry/a/1", "a")) {
		t.Error("the second of a key is fresh")
	}
	all, _ := alert.List(t.Context(), s.Reader(), alert.Filter{})
	if len(all) != 1 {
		t.Errorf("%d alerts, want 1", len(all))
	}
}

func TestNotCommittedIsNotThere(t *testing.T) {
	s := open(t)
	stop := errors.New("stop")
	err := s.InTx(t.Context(), func(tx *sql.Tx) error {
		if _, err := alert.Append(t.Context(), tx, sample("", "a")); err != nil {
			return err
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	if all, _ := alert.List(t.Context(), s.Reader(), alert.Filter{}); len(all) != 0 {
		t.Errorf("%d alerts of a transaction that failed", len(all))
	}
}

func TestRefusesWhatSaysTooLittle(t *testing.T) {
	s := open(t)
	for name, change := range map[string]func(*alert.Alert){
		"kind":     func(a *alert.Alert) { a.Kind = "" },
		"severity": func(a *alert.Alert) { a.Severity = "loud" },
		"title":    func(a *alert.Alert) { a.Title = "" },
		"advice":   func(a *alert.Alert) { a.Advice = "" },
		"time":     func(a *alert.Alert) { a.At = time.Time{} },
	} {
		a := sample("", "a")
		change(&a)
		err := s.InTx(t.Context(), func(tx *sql.Tx) error {
			_, err := alert.Append(t.Context(), tx, a)
			return err
		})
		if !errors.Is(err, alert.ErrInvalid) {
			t.Errorf("without a good %s: %v, want ErrInvalid", name, err)
		}
	}
}

func TestForeignBytesAreStored(t *testing.T) {
	s := open(t)
	a := sample("", "a")
	a.Title = "file \xff\x00 leaked"
	write(t, s, a)
	all, err := alert.List(t.Context(), s.Reader(), alert.Filter{})
	if err != nil || len(all) != 1 || all[0].Title != "file \uFFFD\uFFFD leaked" {
		t.Errorf("%+v, %v", all, err)
	}
}

package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry/audit"
)

// A proof holds with the public key alone, and for nothing but its event.
func TestProve(t *testing.T) {
	ctx := context.Background()
	f := newLog(t, 13)
	other := newLog(t, 13)
	key := f.log.Key()
	var last audit.Proof
	for i := range int64(13) {
		p, err := f.log.Prove(ctx, i)
		if err != nil {
			t.Fatal(err)
		}
		// As it is passed on.
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		var read audit.Proof
		if err := json.Unmarshal(b, &read); err != nil {
			t.Fatal(err)
		}
		e, err := audit.CheckProof(key, read)
		if err != nil || e.Index != i || e.Kind != "test.event" || e.Details["n"] != fmt.Sprint(i) {
			t.Errorf("event %d: %+v, %v", i, e, err)
		}
		for name, change := range map[string]func(*audit.Proof){
			"leaf":       func(p *audit.Proof) { p.Leaf = strings.Replace(p.Leaf, "test.event", "test.other", 1) },
			"index":      func(p *audit.Proof) { p.Index++ },
			"negative":   func(p *audit.Proof) { p.Index = -1 },
			"hash":       func(p *audit.Proof) { p.Hashes = append(p.Hashes[:0:0], p.Hashes...); p.Hashes[0][3] ^= 1 },
			"no hashes":  func(p *audit.Proof) { p.Hashes = nil },
			"tree":       func(p *audit.Proof) { p.Checkpoint = strings.Replace(p.Checkpoint, "\n13\n", "\n14\n", 1) },
			"checkpoint": func(p *audit.Proof) { p.Checkpoint = "" },
		} {
			bad := read
			change(&bad)
			if _, err := audit.CheckProof(key, bad); !errors.Is(err, audit.ErrProof) {
				t.Errorf("event %d with another %s: %v", i, name, err)
			}
		}
		last = p
	}
	for _, i := range []int64{-1, 13} {
		if _, err := f.log.Prove(ctx, i); err == nil {
			t.Errorf("event %d was proven", i)
		}
	}
	if _, err := audit.CheckProof("nonsense", last); !errors.Is(err, audit.ErrProof) || !strings.Contains(err.Error(), "quench audit key") {
		t.Errorf("a key that is none: %v", err)
	}
	// The fixtures share a seed and a name, so that a key of another name stands for
	// another log.
	if _, err := audit.CheckProof(strings.Replace(other.log.Key(), "quench-registry/x", "quench-registry/y", 1), last); !errors.Is(err, audit.ErrProof) {
		t.Errorf("another log's key: %v", err)
	}
	if _, err := f.Writer().Exec(edit("data", 7, "test.event", "test.avent")); err != nil {
		t.Fatal(err)
	}
	if _, err := f.log.Prove(ctx, 7); !errors.Is(err, audit.ErrTampered) {
		t.Errorf("a changed event: %v", err)
	}
}

// An export proves itself; any change to it, and any cut, is found.
func TestExport(t *testing.T) {
	ctx := context.Background()
	for _, n := range []int{0, 1, 2, 21} {
		f := newLog(t, n)
		var b bytes.Buffer
		if err := f.log.Export(ctx, &b); err != nil {
			t.Fatal(err)
		}
		head, err := f.log.Head(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if tree, err := audit.CheckExport(f.log.Key(), bytes.NewReader(b.Bytes())); err != nil || tree != head {
			t.Errorf("%d events: %v, %v; want %v", n, tree, err, head)
		}
		lines := strings.SplitAfter(strings.TrimRight(b.String(), "\n"), "\n")
		if len(lines) != n+1 {
			t.Fatalf("%d lines for %d events", len(lines), n)
		}
		bad := map[string]string{"nothing": "", "not JSON": "{", "cut": strings.Join(lines[:n], ""), "more": b.String() + "{}"}
		if n > 2 {
			bad["changed"] = strings.Replace(b.String(), `n\":\"7`, `n\":\"8`, 1)
			bad["changed leaf"] = strings.Replace(b.String(), `test.event`, `test.avent`, 1)
			bad["removed"] = strings.Join(append(append([]string{}, lines[:7]...), lines[8:]...), "")
			bad["swapped"] = strings.Join(append(append(append([]string{}, lines[:7]...), lines[8], lines[7]), lines[9:]...), "")
			renumbered := strings.ReplaceAll(strings.Join(append(append([]string{}, lines[:n-1]...), lines[n]), ""), `"index":20`, `"index":19`)
			bad["last removed"] = renumbered
		}
		for name, text := range bad {
			if _, err := audit.CheckExport(f.log.Key(), strings.NewReader(text)); !errors.Is(err, audit.ErrProof) {
				t.Errorf("%d events, %s: %v", n, name, err)
			}
		}
	}
}

func FuzzCheckExport(f *testing.F) {
	l := newLog(f, 3)
	var b bytes.Buffer
	if err := l.log.Export(context.Background(), &b); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	p, err := l.log.Prove(context.Background(), 1)
	if err != nil {
		f.Fatal(err)
	}
	proof, err := json.Marshal(p)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(proof)
	// Each process of a fuzzing run has a log of its own, which differs in its salts: what
	// is committed to is left out of the comparison, and nobody can choose it.
	salted := regexp.MustCompile(`\\?"(actor|details)\\?":\\?"[^"]*"`)
	whole := salted.ReplaceAllString(b.String(), "")
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := audit.CheckExport(l.log.Key(), bytes.NewReader(b)); err == nil && !strings.HasPrefix(strings.TrimSpace(string(b)), "{") {
			t.Errorf("%q proves itself", b)
		}
		var q audit.Proof
		if json.Unmarshal(b, &q) != nil {
			return
		}
		if _, err := audit.CheckProof(l.log.Key(), q); err == nil && !strings.Contains(whole, salted.ReplaceAllString(strings.Trim(mustJSON(q.Leaf), `"`), "")) {
			t.Errorf("%q is proven", q.Leaf)
		}
	})
}

func mustJSON(s string) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		panic(err)
	}
	return strings.TrimSpace(b.String())
}

package watch

import (
	"bytes"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/revoker"
	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
	"github.com/quench-dev/quench/scanner/secret"
	"github.com/quench-dev/quench/sources"
)

// What was contained, and not stored or not reported then, is reported when it is
// delivered again, as another list or the same, and once.
func TestDeliveredAgain(t *testing.T) {
	dir := t.TempDir()
	reg, err := registry.Open(t.Context(), registry.Options{Path: filepath.Join(dir, "db", "r.db"), Create: true, Actor: "test",
		Pepper: registry.PepperSource{File: filepath.Join(dir, "keys", "pepper"), Checkpoints: filepath.Join(dir, "keys", "cp")}})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	value, err := rules.Expand("Zq{30:alnum}", 1)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := reg.Import(t.Context(), registry.ImportRequest{Owner: "ann", Purpose: "test", Value: secret.NewString(value)})
	if err != nil {
		t.Fatal(err)
	}
	rev, err := revoker.New(reg, revoker.Policy{}, revoker.Options{Mode: revoker.Auto})
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := report.New("jsonl", &out, report.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Recorder{Registry: reg, Writer: w, Now: time.Now}
	r.Set(Settings{Revoker: rev})
	list := func() []scanner.Finding {
		return []scanner.Finding{{Hit: scanner.Hit{
			Match:  scanner.Match{Rule: scanner.RegistryRule, Start: 10, End: 42, Line: 3, Secret: secret.NewString(value), Confidence: rules.High, Token: &scanner.KnownToken{ID: tok.ID, State: "live"}},
			Origin: sources.Origin{Source: "tail", Root: dir, Path: "app.log"}, FoundAt: time.Now()}}}
	}
	full := errors.New("the disk is full")
	if err := r.deliver(t.Context(), &delivery{list: list()}, func(*sql.Tx) error { return full }); !errors.Is(err, full) {
		t.Fatal(err)
	}
	if out.Len() > 0 {
		t.Fatalf("reported before it is stored: %s", &out)
	}
	for range 2 {
		if err := r.Deliver(t.Context(), list()); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(out.String(), scanner.RegistryRule.ID); n != 1 || len(r.unreported) > 0 {
		t.Errorf("reported %d times, %d places are kept:\n%s", n, len(r.unreported), &out)
	}
}

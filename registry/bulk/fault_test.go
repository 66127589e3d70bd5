package bulk

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quench-dev/quench/registry"
	"github.com/quench-dev/quench/registry/audit"
	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/registry/store/storetest"
	"github.com/quench-dev/quench/registry/values"
)

// fileOf is CSV of n random tokens.
func fileOf(n int) string {
	var b strings.Builder
	b.WriteString("value,owner,purpose,provider,tags\n")
	for i := range n {
		fmt.Fprintf(&b, "%s,it's; DROP TABLE tokens; --,\"p'\"\"%d\",v' OR '1'='1,'); --\n", values.Random(30), i)
	}
	return b.String()
}

// whole checks that each token has its event, and the log proves itself.
func whole(t *testing.T, r *registry.Registry) int {
	t.Helper()
	ctx := context.Background()
	if _, err := r.Audit().Verify(ctx); err != nil {
		t.Error(err)
	}
	events := map[string]int{}
	if err := r.Audit().Each(ctx, 0, "", func(e audit.Entry) error { events[e.TokenID]++; return nil }); err != nil {
		t.Fatal(err)
	}
	all, err := r.List(ctx, registry.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tok := range all {
		if events[tok.ID] != 1 || tok.Provider != "v' OR '1'='1" || tok.Owner != "it's; DROP TABLE tokens; --" {
			t.Fatalf("token %+v has %d events", tok, events[tok.ID])
		}
	}
	if n := len(events) - 1; n != len(all) { // and one without a token: registry.create
		t.Errorf("%d tokens, and events of %d", len(all), n)
	}
	return len(all)
}

// A disk that fills up ends the import between two batches, and it goes on later.
func TestImportDiskFull(t *testing.T) {
	storetest.OnlySQLite(t)
	ctx := context.Background()
	r := open(t)
	w := r.Store().Writer()
	var pages int
	if err := w.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Exec(fmt.Sprintf("PRAGMA max_page_count = %d", pages+120)); err != nil {
		t.Fatal(err)
	}
	text := fileOf(2000)
	do := func(from int) (Count, error) {
		in, err := NewReader(strings.NewReader(text), Options{})
		if err != nil {
			t.Fatal(err)
		}
		run := Run{Registry: r, Batch: 100, FromLine: from, Bad: func(n int, err error) { t.Errorf("line %d: %v", n, err) }}
		return run.Import(ctx, in)
	}
	c, err := do(0)
	if !errors.Is(err, store.ErrFull) || c.Stored == 0 || c.Stored%100 != 0 || c.Last != c.Stored+1 {
		t.Fatalf("%+v, %v; want ErrFull after whole batches", c, err)
	}
	if n := whole(t, r); n != c.Stored {
		t.Errorf("%d tokens are stored, %d were said", n, c.Stored)
	}
	if _, err := w.Exec("PRAGMA max_page_count = 1000000"); err != nil {
		t.Fatal(err)
	}
	if again, err := do(c.Last + 1); err != nil || again.Stored != 2000-c.Stored || again.Duplicates != 0 {
		t.Errorf("from line %d: %+v, %v", c.Last+1, again, err)
	}
	if n := whole(t, r); n != 2000 {
		t.Errorf("%d tokens", n)
	}
}

// TestImportUntilKilled is the child of TestImportKilled.
func TestImportUntilKilled(t *testing.T) {
	dir := os.Getenv("QUENCH_TEST_BULK_KILL")
	if dir == "" {
		t.Skip("only as the child of TestImportKilled")
	}
	r := openAt(t, filepath.Join(dir, "db", "registry.db"), dir)
	text, err := os.ReadFile(filepath.Join(dir, "file.csv"))
	if err != nil {
		t.Fatal(err)
	}
	in, err := NewReader(bytes.NewReader(text), Options{})
	if err != nil {
		t.Fatal(err)
	}
	run := Run{Registry: r, Batch: 50, Bad: func(int, error) {}, Progress: func(c Count) { fmt.Println("stored", c.Stored+c.Duplicates) }}
	if _, err := run.Import(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	fmt.Println("all")
}

// A process killed at any batch of an import leaves whole batches, and the same
// import again completes them.
func TestImportKilled(t *testing.T) {
	storetest.OnlySQLite(t)
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "file.csv"), []byte(fileOf(1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for round := 0; ; round++ {
		child := exec.Command(os.Args[0], "-test.run=^TestImportUntilKilled$")
		child.Env = append(os.Environ(), "QUENCH_TEST_BULK_KILL="+dir)
		out, err := child.StdoutPipe()
		if err == nil {
			err = child.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		said, n, done := 0, 0, false
		var buf [1]byte
		var line []byte
		for {
			if _, err := out.Read(buf[:]); err != nil {
				break
			}
			if line = append(line, buf[0]); buf[0] != '\n' {
				continue
			}
			done = done || string(line) == "all\n"
			if _, err := fmt.Sscanf(string(line), "stored %d", &said); err == nil {
				if n++; n == 3+2*round {
					child.Process.Kill()
				}
			}
			line = line[:0]
		}
		child.Wait()
		r := openAt(t, filepath.Join(dir, "db", "registry.db"), dir)
		if stored := whole(t, r); stored < said || stored%50 != 0 {
			t.Fatalf("%d tokens are stored, %d were said", stored, said)
		}
		r.Close()
		if done {
			break
		}
		if round > 20 {
			t.Fatal("it never completes")
		}
	}
	if n := whole(t, openAt(t, filepath.Join(dir, "db", "registry.db"), dir)); n != 1000 {
		t.Errorf("%d tokens", n)
	}
}

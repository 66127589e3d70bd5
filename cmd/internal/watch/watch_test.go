package watch

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/quench-dev/quench/rules"
	"github.com/quench-dev/quench/scanner"
	"github.com/quench-dev/quench/scanner/report"
)

// The pool that ants makes at start-up lives as long as the process.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).purgeStaleWorkers"), goleak.IgnoreAnyFunction("github.com/panjf2000/ants/v2.(*poolCommon).ticktock"))
}

// Without a registry a run goes on where the last one ended, and one whose positions
// cannot be read does not begin.
func TestRun(t *testing.T) {
	set, err := rules.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	e, err := scanner.New(set, scanner.Options{})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	log, state := filepath.Join(dir, "app.log"), filepath.Join(dir, "state", "watch.json")
	leak := func(seed uint64) {
		t.Helper()
		s, err := rules.Expand("k=ghp_{30:alnum}{6:crc32}\n", seed)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(log, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteString(s); err != nil {
			t.Fatal(err)
		}
	}
	watch := func() (found int, blocked []string) {
		t.Helper()
		var out bytes.Buffer
		w, err := report.New("jsonl", &out, report.Options{})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		err = Run(ctx, Options{Engine: e, Writer: w, Paths: []string{log}, State: state, Ready: func(int) { stop() }, Blocked: func(err error) {
			if err != nil {
				blocked = append(blocked, err.Error())
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(out.String(), `"rule_id":"github-pat"`), blocked
	}
	leak(1)
	if n, blocked := watch(); n != 1 || blocked != nil {
		t.Errorf("%d found, %v", n, blocked)
	}
	leak(2)
	if n, _ := watch(); n != 1 {
		t.Errorf("%d found after a restart", n)
	}
	leak(3)
	if err := os.Remove(state); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(state, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(state); err == nil {
		t.Skip("a folder can be read here")
	}
	if err := Run(t.Context(), Options{Engine: e, Paths: []string{log}, State: state}); err == nil || !strings.Contains(err.Error(), "reading positions") {
		t.Errorf("positions that cannot be read: %v", err)
	}
}

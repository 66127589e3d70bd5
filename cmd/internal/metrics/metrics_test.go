package metrics

import (
	"bufio"
	"database/sql"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"go.uber.org/goleak"

	"github.com/quench-dev/quench/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

var silent = slog.New(slog.DiscardHandler)

// get asks a handler for a path as if it was asked for at host.
func get(h http.Handler, host, path string) (int, string) {
	r := httptest.NewRequest("GET", path, nil)
	r.Host = host
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestAddress(t *testing.T) {
	for _, c := range []struct {
		args, want string
		local      bool
	}{
		{"--metrics=9000", "127.0.0.1:9000", true},
		{"--metrics=:9000", "127.0.0.1:9000", true},
		{"--metrics=127.0.0.3:1", "127.0.0.3:1", true},
		{"--metrics=[::1]:1", "[::1]:1", true},
		{"--metrics=10.0.0.1:1 --metrics-public", "10.0.0.1:1", false},
		{"--metrics=0.0.0.0:1 --metrics-public", "0.0.0.0:1", false},
		{"--metrics=0.0.0.0:1", "", false},
		{"--metrics=10.0.0.1:1", "", false},
		{"--metrics=[::]:1", "", false},
		{"--metrics=localhost:1", "", false},
		{"--metrics=127.0.0.1", "", false},
		{"--metrics=127.0.0.1:x", "", false},
		{"--metrics=70000", "", false},
	} {
		var f Flags
		fl := pflag.NewFlagSet("", pflag.ContinueOnError)
		f.Add(fl)
		if err := fl.Parse(strings.Fields(c.args)); err != nil {
			t.Fatal(err)
		}
		addr, local, err := f.address()
		if addr != c.want || local != c.local || (err != nil) != (c.want == "") {
			t.Errorf("%s: got %q, %v, %v; want %q, %v", c.args, addr, local, err, c.want, c.local)
		}
	}
}

// A page of somebody else whose name was made to lead to this machine reads nothing.
func TestHost(t *testing.T) {
	h := New("1").Handler(true, silent)
	for host, want := range map[string]int{"127.0.0.1:9": 200, "localhost:9": 200, "[::1]:9": 200, "127.0.0.1": 200, "evil.example:9": 403, "10.0.0.1:9": 403, "": 403} {
		if code, _ := get(h, host, "/metrics"); code != want {
			t.Errorf("host %q: %d, want %d", host, code, want)
		}
	}
	if code, _ := get(New("1").Handler(false, silent), "any.example", "/metrics"); code != 200 {
		t.Errorf("public: %d", code)
	}
	if code, _ := get(h, "127.0.0.1", "/debug/pprof/"); code != 404 {
		t.Errorf("something else: %d", code)
	}
}

func TestStart(t *testing.T) {
	if stop, err := (&Flags{}).Start("1", silent, nil); err != nil {
		t.Errorf("not asked for: %v", err)
	} else {
		stop(&err)
	}
	var log strings.Builder
	var addr string
	var early net.Conn // who asks as soon as somebody listens is answered with all
	stop, err := (&Flags{addr: "0"}).Start("9.9", slog.New(slog.NewTextHandler(&log, nil)), func(s *Set) {
		addr = regexp.MustCompile(`127\.0\.0\.1:\d+`).FindString(log.String())
		var err error
		if early, err = net.Dial("tcp", addr); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(early, "GET /metrics HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", addr)
		NewWatch(s).Read("files", 7, 1)
	})
	if err != nil {
		t.Fatal(err)
	}
	defer early.Close()
	if _, err := (&Flags{addr: addr}).Start("9.9", silent, nil); err == nil {
		t.Error("an address that is taken is no error")
	}
	resp, err := http.ReadResponse(bufio.NewReader(early), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, want := range []string{`quench_build_info{goversion="go`, `version="9.9"} 1`, `quench_watch_read_bytes_total{input="files"} 7`} {
		if !strings.Contains(string(body), want) {
			t.Errorf("no %q in\n%s", want, body)
		}
	}
	if stop(&err); err != nil {
		t.Error(err)
	}
}

// As many files as there are, the series are those of the files farthest behind.
func TestLag(t *testing.T) {
	dir := t.TempDir()
	s := New("1")
	w := NewWatch(s)
	for i := range maxFiles + 50 {
		path := filepath.Join(dir, fmt.Sprintf("%03d.log", i))
		if err := os.WriteFile(path, make([]byte, i), 0o600); err != nil {
			t.Fatal(err)
		}
		w.At(path, 0)
	}
	w.At(filepath.Join(dir, "149.log"), 9)
	w.At(filepath.Join(dir, "148.log"), 1000) // truncated since: all 148 bytes are behind
	w.At(filepath.Join(dir, "not utf-8 \xff"), 1)
	_, body := get(s.Handler(false, silent), "", "/metrics")
	if n := strings.Count(body, "quench_watch_lag_bytes{"); n != maxFiles {
		t.Errorf("%d series of lag", n)
	}
	for _, want := range []string{`149.log"} 140`, `148.log"} 148`, "quench_watch_lag_all_bytes 11166", "quench_watch_files 151"} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
	for i := range maxFiles + 50 {
		w.Gone(filepath.Join(dir, fmt.Sprintf("%03d.log", i)))
	}
	if _, body = get(s.Handler(false, silent), "", "/metrics"); !strings.Contains(body, `not utf-8 \\xff`) || !strings.Contains(body, "quench_watch_files 1\n") {
		t.Errorf("what is left:\n%s", body)
	}
}

// nothing is counted nowhere.
func TestNil(t *testing.T) {
	var w *Watch
	w.At("a", 1)
	w.Gone("a")
	w.Read("files", 1, 1)
	w.Finding("a", "b")
	w.Incident("a")
	w.Killed(time.Second)
	w.Unread("a")
	w.Saved(time.Now())
	w.Blocked(time.Now())
}

// docs/metrics.md has each metric of our own, its type and its labels, and none that
// there is not.
func TestDocumented(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	s := New("1")
	w := NewWatch(s)
	w.At("x", 0)
	w.Finding("x", "high")
	w.Incident("revoked")
	w.Unread("unreadable")
	s.Incidents(withIncident(t), silent)
	families, err := s.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "quench_") {
			continue
		}
		var labels []string
		for _, l := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+l.GetName()+"`")
		}
		row := fmt.Sprintf("| `%s` | %s | %s |", f.GetName(), strings.ToLower(f.GetType().String()), strings.Join(labels, ", "))
		want[f.GetName()] = true
		if !strings.Contains(string(doc), row) {
			t.Errorf("docs/metrics.md has no row %s", row)
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(quench_watch_\\w+|quench_build\\w+|quench_incident\\w+)`").FindAllStringSubmatch(string(doc), -1) {
		if !want[m[1]] {
			t.Errorf("docs/metrics.md tells of %s, which there is not", m[1])
		}
	}
}

// withIncident is a registry with one incident that is done.
func withIncident(t *testing.T) *registry.Registry {
	t.Helper()
	dir := t.TempDir()
	r, err := registry.Open(t.Context(), registry.Options{Path: filepath.Join(dir, "db", "registry.db"), Create: true, Pepper: registry.PepperSource{File: filepath.Join(dir, "pepper", "pepper")}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	err = r.Store().InTx(t.Context(), func(tx *sql.Tx) error {
		now := r.Now().UnixMicro()
		_, err := tx.ExecContext(t.Context(), "INSERT INTO incidents (id, secret_mac, state, provider, note, leaked_at, found_at, matched_at, dead_at, confirmed_at) VALUES ('i', ?, 'dead', 'acme', '', ?, ?, ?, ?, ?)",
			[]byte("m"), now-7e6, now-2e6, now-2e6, now, now)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The times of an incident are a histogram, and a database that is gone costs no other
// metric.
func TestIncidents(t *testing.T) {
	s, r := New("1"), withIncident(t)
	s.Incidents(r, silent)
	_, body := get(s.Handler(false, silent), "", "/metrics")
	for _, want := range []string{`quench_incidents{state="dead"} 1`, `quench_incident_step_seconds_bucket{provider="acme",step="leaked_found",le="5"} 1`,
		`quench_incident_step_seconds_sum{provider="acme",step="found_dead"} 2`, `quench_incident_step_seconds_bucket{provider="acme",step="found_dead",le="1"} 0`} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s in\n%s", want, body)
		}
	}
	s, r = New("1"), withIncident(t)
	s.Incidents(r, silent)
	r.Close()
	if code, body := get(s.Handler(false, silent), "", "/metrics"); code != 200 || !strings.Contains(body, "quench_build_info") {
		t.Errorf("%d", code)
	}
}

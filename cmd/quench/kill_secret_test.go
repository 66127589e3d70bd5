package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quench-dev/quench/registry/store"
	"github.com/quench-dev/quench/revoker/revokertest"
)

// leaks are fakes of one vendor, one for each leaked secret, behind one address. They
// answer slowly, and of some calls the answer is lost.
type leaks struct {
	mu    sync.Mutex
	all   map[string]*revokertest.Vendor
	ended map[string]int // revocations asked for, by secret
	net   *revokertest.Network
}

func newLeaks(t *testing.T) *leaks {
	l := &leaks{all: map[string]*revokertest.Vendor{}, ended: map[string]int{}}
	l.net = revokertest.Serve(t, l)
	return l
}

// add makes a vendor whose secret has leaked.
func (l *leaks) add() string {
	all := revokertest.Vendors()
	v := all[slices.IndexFunc(all, func(v *revokertest.Vendor) bool { return v.Provider == "gitlab" })]
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[v.Secret] = v
	return v.Secret
}

func (l *leaks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	value := r.Header.Get("Private-Token")
	l.mu.Lock()
	v := l.all[value]
	if r.Method == http.MethodDelete {
		l.ended[value]++
	}
	l.mu.Unlock()
	if v == nil {
		http.Error(w, "", http.StatusTeapot)
		return
	}
	time.Sleep(time.Duration(rand.IntN(40)) * time.Millisecond) // the vendor is slow: the kill is to fall into it
	if r.Method == http.MethodDelete && rand.IntN(6) == 0 {
		v.ServeHTTP(discarded{}, r) // done, and the answer is lost
		if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
			c.Close()
		}
		return
	}
	v.ServeHTTP(w, r)
}

type discarded struct{}

func (discarded) Header() http.Header         { return http.Header{} }
func (discarded) Write(b []byte) (int, error) { return len(b), nil }
func (discarded) WriteHeader(int)             {}

// Killed at any moment between a finding and its receipt, a scan leaves nothing that is
// not true: a secret without an incident was not touched; one with an incident is dead
// once a worker ran, by one revocation; and its value is nowhere.
func TestKilledWithSecrets(t *testing.T) {
	rounds := 36
	if testing.Short() {
		rounds = 6
	}
	t.Parallel()
	l := newLeaks(t)
	const perHome = 9 // below the brake
	middle := 0
	var all sync.WaitGroup
	for first := 0; first < rounds; first += perHome {
		h := newKillHome(t, l)
		whole := h.scan(t, l.add(), time.Minute)
		for range min(perHome, rounds-first) - 1 {
			h.scan(t, l.add(), time.Duration((0.2+rand.Float64())*float64(whole)))
		}
		middle += h.unfinished(t)
		all.Go(func() { h.finish(t) })
	}
	all.Wait()
	t.Logf("%d of %d were killed between the transaction and the receipt", middle, rounds)
}

// killHome is one registry, and what was leaked into its scans.
type killHome struct {
	l       *leaks
	dir     string
	policy  string
	secrets []string
	said    bytes.Buffer
}

func newKillHome(t *testing.T, l *leaks) *killHome {
	t.Helper()
	h := &killHome{l: l, dir: t.TempDir()}
	conf := t.TempDir()
	h.policy = filepath.Join(conf, "policy.toml")
	for name, text := range map[string]string{"ca.pem": string(l.net.CA), "policy.toml": fmt.Sprintf(
		"[[provider]]\nname = 'gitlab'\nkind = 'api'\nhost = %q\nca_file = 'ca.pem'\n[[leak]]\nprovider = ['gitlab']\ndo = 'revoke'\n", l.net.Addr())} {
		if err := os.WriteFile(filepath.Join(conf, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run(t, h.dir, "token", "issue", "--owner", "ann", "--purpose", "x")
	return h
}

// scan scans a file with a leaked secret and kills the process after a while. It gives
// how long it lived.
func (h *killHome) scan(t *testing.T, value string, after time.Duration) time.Duration {
	t.Helper()
	h.secrets = append(h.secrets, value)
	leak := filepath.Join(t.TempDir(), "leak.env")
	if err := os.WriteFile(leak, []byte("token = \""+value+"\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := quench(t, h.dir, "scan", "--revoke=auto", "--policy", h.policy, leak)
	cmd.Stdout, cmd.Stderr = &h.said, &h.said
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := time.AfterFunc(after, func() { cmd.Process.Kill() })
	defer kill.Stop()
	cmd.Wait()
	return time.Since(begun)
}

type killed struct {
	ID      string `json:"incident_id"`
	State   string `json:"state"`
	Outcome string `json:"outcome"`
	Hint    string `json:"secret"`
}

func (h *killHome) incidents(t *testing.T) map[string]killed {
	t.Helper()
	var list []killed
	if err := json.Unmarshal([]byte(run(t, h.dir, "incident", "list", "-f", "json")), &list); err != nil {
		t.Fatal(err)
	}
	out := map[string]killed{}
	for _, i := range list {
		out[i.Hint[len(i.Hint)-4:]] = i
	}
	return out
}

func (h *killHome) unfinished(t *testing.T) (n int) {
	for _, i := range h.incidents(t) {
		if i.State == "revoking" {
			n++
		}
	}
	return n
}

// finish lets a worker do what is left, and looks at all of it.
func (h *killHome) finish(t *testing.T) {
	out, err := quench(t, h.dir, "worker", "--drain", "--policy", h.policy).CombinedOutput()
	h.said.Write(out)
	if err != nil {
		t.Errorf("worker: %v\n%s", err, out)
	}
	list := h.incidents(t)
	for _, value := range h.secrets {
		h.l.mu.Lock()
		v, ended := h.l.all[value], h.l.ended[value]
		h.l.mu.Unlock()
		i, ok := list[value[len(value)-4:]]
		switch {
		case !v.DecoysAlive():
			t.Errorf("incident %+v: another credential was ended", i)
		case !ok && (ended > 0 || !v.Alive()):
			t.Errorf("a secret without an incident: %d revocations, alive %v", ended, v.Alive())
		case ok && (i.State != "dead" || v.Alive() || ended != 1):
			t.Errorf("incident %+v: %d revocations, alive %v\n%s", i, ended, v.Alive(), run(t, h.dir, "incident", "show", i.ID))
		}
		if bytes.Contains(h.said.Bytes(), []byte(value)) {
			t.Error("the output holds a secret")
		}
		err := filepath.WalkDir(h.dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(value)) {
				t.Errorf("%s holds a secret", strings.TrimPrefix(path, h.dir))
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	s, err := store.Open(t.Context(), filepath.Join(h.dir, "state", "quench", "registry.db"), store.Options{})
	if err != nil {
		t.Error(err)
		return
	}
	defer s.Close()
	var n int
	if err := s.Reader().QueryRow("SELECT count(*) FROM sealed_secrets").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d secrets are still sealed, %v", n, err)
	}
}
